"""What is banned, as the check asks for it: lists of files and frames, and the contents that moderation removed."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Count, Max, QuerySet

from dashboards.casework.policies import POLICIES
from dashboards.moderation_models import ModerationAction, ModerationCase
from dashboards.screening_models import HashEntry, HashList, UploadSigns
from features.screening.likeness import SAME_BITS, Listed, nearest

_PIECE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Match:
    """What an upload is or resembles: shares in [0, 1], the policy that this breaks, and what it is called."""

    exact: float = 0.0
    same: float = 0.0
    near: float = 0.0
    policy: str = ""
    name: str = ""


@dataclass(slots=True)
class Banned:
    """Files and frames that are banned, with the policy of each name; `version` changes when they do."""

    version: str
    files: dict[str, str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    frames: Listed = field(default_factory=lambda: Listed.of([]))

    def match(self, signs: UploadSigns, *, but: str = "") -> Match:
        """What an upload is or resembles; `but` is the name under which it may be listed itself."""
        named = self.files.get(signs.sha256, "") if signs.sha256 else ""
        exact = named if named != but else ""
        # A copy may be cropped, and so may be what is on the list.
        near, alike = max(nearest(hashes, self.frames) for hashes in (signs.hashes, signs.crop_hashes))
        same, _ = nearest(signs.hashes, self.frames, bits=SAME_BITS)
        if alike == but:
            near, same, alike = 0.0, 0.0, ""
        name = exact or alike
        return Match(float(bool(exact)), round(same, 3), round(near, 3), self.policies.get(name, ""), name)


_cache: dict[str, Banned] = {}


def listed() -> Banned:
    """What the lists say; read again only after one changed."""
    versions = HashList.objects.order_by("pk").values_list("name", "pk", "version")
    # With the key: a list that is dropped and made again begins to count anew.
    version = ", ".join(f"{name} {key}.{number}" for name, key, number in versions)
    return _kept("listed", version) or _keep("listed", _read_lists(version))


def removed() -> Banned:
    """What moderation removed; read again only after a decision about a removed content."""
    gone = _removed_cases().aggregate(count=Count("pk"), newest=Max("version"))
    version = f"{gone['count']} removed, {gone['newest'] or 0}"
    return _kept("removed", version) or _keep("removed", _read_removed(version))


def severity(policy: str) -> float:
    """How grave it is to be on a list; 0 without one."""
    return float(POLICIES[policy].severity) if policy else 0.0


def _kept(kind: str, version: str) -> Banned | None:
    known = _cache.get(kind)
    return known if known is not None and known.version == version else None


def _keep(kind: str, banned: Banned) -> Banned:
    _cache[kind] = banned
    return banned


def _read_lists(version: str) -> Banned:
    rows = HashEntry.objects.values_list("listed_in__name", "listed_in__policy", "label", "sha256", "hashes")
    return _banned(version, ((f"{name}: {label}", policy, sha, hashes) for name, policy, label, sha, hashes in rows))


def _read_removed(version: str) -> Banned:
    ids = list(_removed_cases().order_by("case_id").values_list("subject_id", flat=True))
    policies = _removal_policies(ids)
    rows: list[tuple[str, str, str, Sequence[int]]] = []
    for start in range(0, len(ids), _PIECE):
        signs = UploadSigns.objects.filter(content_id__in=ids[start : start + _PIECE], media=UploadSigns.Media.SEEN)
        rows += [
            (each.content_id, policies.get(each.content_id, "other"), each.sha256, [*each.hashes, *each.crop_hashes])
            for each in signs
        ]
    return _banned(version, rows)


def _removed_cases() -> QuerySet[ModerationCase]:
    return ModerationCase.objects.filter(subject_kind="content", shown_status="removed")


def _removal_policies(ids: Collection[str]) -> dict[str, str]:
    entries = ModerationAction.objects.filter(subject_kind="content", subject_id__in=list(ids), kind="remove")
    return dict(entries.exclude(policy="").order_by("id").values_list("subject_id", "policy"))


def _banned(version: str, rows: Iterable[tuple[str, str, str, Sequence[int]]]) -> Banned:
    rows = list(rows)
    return Banned(
        version, {sha: name for name, _, sha, _ in rows if sha}, {name: policy for name, policy, _, _ in rows},
        Listed.of((name, hashes) for name, _, _, hashes in rows),
    )  # fmt: skip
