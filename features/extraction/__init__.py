"""The one list of features and the pure functions that compute them.

Training and serving call the same code: `assemble` for one request, `assemble_many` for a training set, where every
example sees the log strictly before its moment.
"""

from features.extraction.assemble import FeatureBlocks, assemble, assemble_many
from features.extraction.profile import Profile
from features.extraction.snapshot import ContentSnapshot
from features.extraction.timeline import ForgottenError, Remembered, Timeline, timeline
from features.extraction.user import taste_vector

__all__ = [
    "ContentSnapshot", "FeatureBlocks", "ForgottenError", "Profile", "Remembered", "Timeline", "assemble",
    "assemble_many", "taste_vector", "timeline",
]  # fmt: skip
