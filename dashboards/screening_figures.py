"""What the automatic check did, for whoever judges it as a whole: verdicts and likenesses of many contents."""

from collections import Counter

from dashboards import screening_lists
from dashboards.screening_lists import Banned, Match
from dashboards.screening_models import Screening, UploadSigns


def verdicts(prefix: str) -> Counter[str]:
    """The newest verdict of each content whose id begins so, counted."""
    rows = Screening.objects.filter(content_id__startswith=prefix).order_by("content_id", "-id").distinct("content_id")
    return Counter(rows.values_list("verdict", flat=True))


def most_indecent(prefix: str) -> float:
    """The highest score of a frame among the contents whose ids begin so; 0 where there is none."""
    scores = UploadSigns.objects.filter(content_id__startswith=prefix).values_list("indecency", flat=True)
    return max((max(each) for each in scores if each), default=0.0)


def match(content_id: str, banned: Banned | None = None) -> Match:
    """What a content is or resembles among what moderation removed, or what else is banned."""
    signs = UploadSigns.objects.get(pk=content_id)
    return (banned or screening_lists.removed()).match(signs)
