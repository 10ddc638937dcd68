"""The rules that an installation begins with. Bounds are explained by `bench moderation`, which checks them.

Words alone flag: a word list cannot tell a donkey from an insult. Words and the model together quarantine. So do the
frames of a removed clip, while another clip of the same people in the same room is held: nobody but a human tells it
from the first one, cropped.
"""

from typing import Any, Final

DEFAULT_RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "key": "abuse-certain", "title": "Abusive language, by model and word list", "action": "quarantine",
        "policy": "harassment",
        "conditions": [{"signal": "text_abuse", "at_least": 0.99}, {"signal": "text_words", "at_least": 1}],
    },
    {
        "key": "abuse-likely", "title": "Abusive language, by the model", "action": "flag", "policy": "harassment",
        "conditions": [{"signal": "text_abuse", "at_least": 0.85}],
    },
    {
        "key": "profanity", "title": "Words of the list of profanity", "action": "flag", "policy": "other",
        "conditions": [{"signal": "text_words", "at_least": 1}],
    },
    {
        "key": "spam-links", "title": "Many web addresses", "action": "flag", "policy": "spam",
        "conditions": [{"signal": "text_links", "at_least": 3}],
    },
    {
        "key": "spam-offer", "title": "An address and a way to get in touch", "action": "flag", "policy": "spam",
        "conditions": [{"signal": "text_links", "at_least": 1}, {"signal": "text_contacts", "at_least": 1}],
    },
    {
        "key": "spam-repeats", "title": "One word over and over", "action": "flag", "policy": "spam",
        "conditions": [{"signal": "text_repeats", "at_least": 0.6}],
    },
    {
        "key": "flood-same-words", "title": "One creator, the same words again and again", "action": "quarantine",
        "policy": "spam", "conditions": [{"signal": "creator_same_text_1d", "at_least": 5}],
    },
    {
        "key": "flood-many-creators", "title": "Many creators, the same words", "action": "flag", "policy": "spam",
        "conditions": [{"signal": "creators_same_text_1d", "at_least": 10}],
    },
    {
        "key": "flood-uploads", "title": "More uploads in an hour than anybody films", "action": "quarantine",
        "policy": "spam", "conditions": [{"signal": "creator_uploads_1h", "at_least": 60}],
    },
    {
        "key": "fast-uploads", "title": "Many uploads in an hour", "action": "flag", "policy": "spam",
        "conditions": [{"signal": "creator_uploads_1h", "at_least": 20}],
    },
    {
        "key": "indecent", "title": "An indecent frame", "action": "quarantine", "policy": "sexual",
        "conditions": [{"signal": "indecency", "at_least": 0.8}],
    },
    {
        "key": "indecent-perhaps", "title": "A frame that may be indecent", "action": "flag", "policy": "sexual",
        "conditions": [{"signal": "indecency", "at_least": 0.4}],
    },
    {
        "key": "listed-file", "title": "A banned file", "action": "quarantine", "policy": "other",
        "conditions": [{"signal": "hash_exact", "at_least": 1}],
    },
    {
        "key": "listed-clip", "title": "Frames of a banned clip", "action": "quarantine", "policy": "other",
        "conditions": [{"signal": "hash_same", "at_least": 0.75}],
    },
    {
        "key": "listed-scene", "title": "The scene of a banned clip, or the clip cropped", "action": "hold",
        "policy": "other", "conditions": [{"signal": "hash_near", "at_least": 0.6}],
    },
    {
        "key": "listed-scene-perhaps", "title": "Some frames of the scene of a banned clip", "action": "flag",
        "policy": "other", "conditions": [{"signal": "hash_near", "at_least": 0.3}],
    },
    {
        "key": "removed-file", "title": "A removed file again", "action": "quarantine", "policy": "other",
        "conditions": [{"signal": "removed_exact", "at_least": 1}],
    },
    {
        "key": "removed-clip", "title": "Frames of a removed clip", "action": "quarantine", "policy": "other",
        "conditions": [{"signal": "removed_same", "at_least": 0.75}],
    },
    {
        "key": "removed-scene", "title": "The scene of a removed clip, or the clip cropped", "action": "hold",
        "policy": "other", "conditions": [{"signal": "removed_near", "at_least": 0.6}],
    },
    {
        "key": "removed-scene-perhaps", "title": "Some frames of the scene of a removed clip", "action": "flag",
        "policy": "other", "conditions": [{"signal": "removed_near", "at_least": 0.3}],
    },
    {
        "key": "unknown", "title": "The check could not look at all of it", "action": "hold", "policy": "other",
        "conditions": [{"signal": "unknown", "at_least": 1}],
    },
    {
        "key": "first-uploads", "title": "The first uploads of a creator wait for somebody to look", "action": "hold",
        "policy": "other", "conditions": [{"signal": "creator_contents", "at_most": 3}], "enabled": False,
    },
)  # fmt: skip
