"""Why a modality of a content is not known: codes that programs compare, sentences that people read."""

from typing import Final

TRANSIENT: Final = frozenset({"fetch_failed", "not_found", "model_unavailable", "interrupted"})
"""Reasons that may pass by themselves, so that another try is worth it."""

REASONS: Final = {
    # The content simply has none.
    "no_text": "The content has no caption, tags or category.",
    "no_media": "The content has no media.",
    "no_visual": "The file has no picture.",
    "no_audio": "The file has no sound.",
    "silent": "The sound is silence.",
    "language_unclear": "The text is too short, or of no language that is known.",
    # The file cannot be had.
    "bad_address": "The media address is no web address and no path below the media folder.",
    "forbidden_address": "The media address leads into a private network.",
    "forbidden_path": "The path leads out of the media folder, or to something that is no plain file.",
    "not_found": "There is no such file.",
    "fetch_refused": "The server of the media refuses to give it.",
    "fetch_failed": "The server of the media cannot be reached.",
    "too_many_redirects": "The media address is redirected too often.",
    # The file is not what it should be.
    "empty_file": "The file has no bytes.",
    "too_large": "The file is larger than the limit.",
    "not_media": "The file is no video, sound or picture of a known type.",
    "unknown_codec": "The track is of a codec that is not known here.",
    "too_many_pixels": "The picture has more pixels than the limit.",
    "too_long": "The file says it is longer than the limit.",
    "corrupt": "The file is damaged and cannot be decoded.",
    "truncated": "The file ends before it says it does; what could be decoded was used.",
    # The work on it failed.
    "out_of_memory": "Decoding needs more memory than the limit.",
    "timed_out": "Decoding takes longer than the limit.",
    "crashed": "The decoder crashed on the file.",
    "interrupted": "The work on it was interrupted.",
    "model_unavailable": "The network that looks at frames cannot be had.",
}


class MediaError(Exception):
    """A file, or a part of it, cannot be used.

    Attributes
    ----------
    code : one of `REASONS`
    more : what is particular about this file
    detail : the reason as a sentence, with what is particular
    """

    def __init__(self, code: str, more: str = "") -> None:
        self.code, self.more = code, more
        self.detail = f"{REASONS[code]} {more}".strip()
        super().__init__(self.detail)
