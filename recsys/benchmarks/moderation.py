"""What the automatic check of uploads lets through, what it catches, and how many uploads it judges in a second.

With `--path`, a folder of real media with `video` and `image` in it; without it clips are made here, which all look
alike, so that likeness is not judged. Everything goes the way of an upload: catalogue, analysis in the sandbox, check.
"""

import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import imageio_ffmpeg
import numpy as np
from django.conf import settings

from dashboards import hash_lists, moderation, moderation_log, moderation_reports, screening, screening_figures
from dashboards import screening_lists as lists
from dashboards.moderation import Decision, Moderator
from events.catalogue import NewContent, register_contents
from features import content
from recsys.benchmarks.hostile_media import clip
from recsys.benchmarks.moderation_samples import ABUSIVE, ADVERTISING, INNOCENT
from recsys.benchmarks.results import Bar, Options, Result

MODERATOR: Final = Moderator(1, lead=True)
FLOOD: Final = 30
UPLOADS, QUICK_UPLOADS = 2_000, 400
LISTED, QUICK_LISTED = 10_000, 1_000
LEAST_TEXTS_PER_S: Final = 50.0
CROPS: Final = {
    "from all sides": "crop=iw*0.95:ih*0.95", "from a corner": "crop=iw*0.95:ih*0.95:0:0", "from one side":
    "crop=iw*0.95:ih:0:0",
}  # fmt: skip
CAUGHT: Final = ("flag", "hold", "quarantine")
HIDDEN: Final = ("hold", "quarantine")


def run(options: Options) -> Result:
    """Upload innocent media and words, then planted ones, and count."""
    now = datetime.now(UTC)
    folder = Path(settings.MEDIA_ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    clips, stills = _media(options.path, folder)
    figures = _innocent([*clips, *stills], now=now)
    figures |= _planted(now=now)
    figures |= _again(clips, folder, now=now, real=options.path is not None)
    figures |= _speed(clips, now=now, quick=options.quick)
    return _judge(figures, real=options.path is not None)


def _media(path: Path | None, folder: Path) -> tuple[list[Path], list[Path]]:
    """Copies of the clips and pictures in the media folder."""
    if path is None:
        return [clip(folder / f"made{seed}.mp4", seed=seed) for seed in range(1, 5)], []
    found = []
    for kind in ("video", "image"):
        files = sorted(each for each in (path / kind).iterdir() if each.is_file())
        found.append([Path(shutil.copy(each, folder / each.name)) for each in files])
    return found[0], found[1]


def _upload(named: Iterable[tuple[str, str, str, Path | None]], *, at: datetime) -> float:
    """Register contents (id, creator, caption, file), have them analysed and judged; seconds of the analysis."""
    register_contents(
        NewContent(
            content_id, creator, at, {"caption": caption}, media_url=f"{settings.MEDIA_URL}{file.name}" if file else ""
        )
        for content_id, creator, caption, file in named
    )
    began = time.perf_counter()
    content.analyse(now=datetime.now(UTC), budget_s=3_600.0)
    took_s = time.perf_counter() - began
    while screening.screen_due(now=datetime.now(UTC)).verdicts:
        pass
    return took_s


def _innocent(files: Sequence[Path], *, now: datetime) -> dict[str, float]:
    took_s = _upload(((f"real-{file.name}", f"by {file.name}", "", file) for file in files), at=now)
    _upload(((f"words-{at}", f"by {at}", text, None) for at, text in enumerate(INNOCENT)), at=now)
    media, words = screening_figures.verdicts("real-"), screening_figures.verdicts("words-")
    return {
        "files": len(files), "files_hidden": sum(media[each] for each in HIDDEN), "files_flagged": media["flag"],
        "indecency_most": screening_figures.most_indecent("real-"),
        "captions": len(INNOCENT), "captions_hidden": sum(words[each] for each in HIDDEN),
        "captions_flagged": words["flag"], "media_s": took_s / len(files),
    }  # fmt: skip


def _planted(*, now: datetime) -> dict[str, float]:
    _upload(((f"abuse-{at}", f"by {at}", text, None) for at, text in enumerate(ABUSIVE)), at=now)
    _upload(((f"advert-{at}", f"ad {at}", text, None) for at, text in enumerate(ADVERTISING)), at=now)
    flood = [
        (f"flood-{at:02}", "flood", f"get {at} coins now at x{at}.com today my friends", None) for at in range(FLOOD)
    ]
    for each in flood:
        _upload([each], at=now)
    abuse, adverts, floods = (screening_figures.verdicts(f"{each}-") for each in ("abuse", "advert", "flood"))
    return {
        "abusive": len(ABUSIVE), "abusive_caught": sum(abuse[each] for each in CAUGHT),
        "abusive_hidden": sum(abuse[each] for each in HIDDEN), "adverts": len(ADVERTISING),
        "adverts_caught": sum(adverts[each] for each in CAUGHT),
        "flood": FLOOD, "flood_hidden": sum(floods[each] for each in HIDDEN),
    }  # fmt: skip


def _again(clips: Sequence[Path], folder: Path, *, now: datetime, real: bool) -> dict[str, float]:
    """Remove each clip, upload it again encoded anew and cropped, and see whether the others stay what they are."""
    kept = clips[:1] if not real else clips
    figures = {f"again_{at}_{name}": 0.0 for at in range(len(CROPS)) for name in CAUGHT}
    figures |= {"again": float(len(kept)), "others_quarantined": 0.0, "others_held": 0.0, "others": 0.0}
    for number, file in enumerate(kept):
        subject = moderation_reports.subject_of("content", f"real-{file.name}")
        moderation.decide_unasked(subject, Decision(("remove",), policy="violence"), MODERATOR, now=now)
        copies = [
            (
                f"again-{number}-{at}",
                f"thief {number} {at}",
                "",
                _cropped(file, folder / f"again{number}-{at}.mp4", how),
            )
            for at, how in enumerate(CROPS.values())
        ]
        _upload(copies, at=now)
        for at in range(len(CROPS)):
            for verdict in screening_figures.verdicts(f"again-{number}-{at}"):
                figures[f"again_{at}_{verdict}"] = figures.get(f"again_{at}_{verdict}", 0.0) + 1
        _count_others(figures, file, clips)
        decision = moderation_log.in_force_of(subject)[-1].decision_id
        assert decision is not None
        moderation.undo(decision, MODERATOR, now=now)
    return figures


def _count_others(figures: dict[str, float], removed: Path, clips: Sequence[Path]) -> None:
    """How many of the other clips would be taken for the removed one; one clip in another container is the same."""
    for other in clips:
        if other.stem == removed.stem:
            continue
        match = screening_figures.match(f"real-{other.name}")
        figures["others"] += 1
        figures["others_quarantined"] += match.same >= 0.75
        figures["others_held"] += match.near >= 0.6


def _cropped(file: Path, target: Path, how: str) -> Path:
    """A clip encoded anew by another codec's settings, at half its size, without sound and without its edges."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-threads", "1", "-i", str(file)]
    command += ["-vf", f"{how},scale=trunc(iw/4)*2:trunc(ih/4)*2", "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([*command, "-crf", "30", "-an", str(target)], check=True)
    return target


def _speed(clips: Sequence[Path], *, now: datetime, quick: bool) -> dict[str, float]:
    """Uploads judged in a second by their words, and what comparing frames with a long list costs."""
    count, listed = (QUICK_UPLOADS, QUICK_LISTED) if quick else (UPLOADS, LISTED)
    register_contents(
        NewContent(
            f"speed-{at}", f"s{at % 97}", now - timedelta(days=at), {"caption": f"{INNOCENT[at % len(INNOCENT)]} {at}"}
        )
        for at in range(count)
    )
    content.analyse(now=datetime.now(UTC), budget_s=3_600.0)
    began = time.perf_counter()
    while screening.screen_due(now=datetime.now(UTC)).verdicts:
        pass
    judged_s = time.perf_counter() - began
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 2**63, (listed, 8))
    lines = (f"{at},,{' '.join(f'{each:016x}' for each in row)}" for at, row in enumerate(frames.tolist()))
    hash_lists.import_list("long", lines, policy="spam", origin="made here", now=now)
    banned = lists.listed()
    first = next(f"real-{file.name}" for file in clips)
    began = time.perf_counter()
    for _ in range(5):
        screening_figures.match(first, banned)
    return {
        "texts_per_s": count / judged_s, "listed": float(listed), "listed_ms": (time.perf_counter() - began) / 5 * 1e3,
    }  # fmt: skip


def _judge(figures: dict[str, float], *, real: bool) -> Result:
    of = "real" if real else "made"
    number = {name: f"{value:.0f}" for name, value in figures.items()}
    rows = [
        (f"{of} clips and pictures hidden wrongly", number["files_hidden"], f"of {number['files']}"),
        ("the same, flagged for a look", number["files_flagged"], f"highest score {figures['indecency_most']:.2f}"),
        ("innocent captions hidden wrongly", number["captions_hidden"], f"of {number['captions']}"),
        ("the same, flagged for a look", number["captions_flagged"], ""),
        ("abusive captions caught", number["abusive_caught"], f"of {number['abusive']}"),
        ("the same, hidden at once", number["abusive_hidden"], ""),
        ("advertising caught", number["adverts_caught"], f"of {number['adverts']}"),
        ("uploads of a flood hidden", number["flood_hidden"], f"of {number['flood']}, the first 4 pass"),
        *(
            (f"removed clips again, cropped by 5 % {name}", ", ".join(_counted(figures, at)), f"of {number['again']}")
            for at, name in enumerate(CROPS)
        ),
        (
            "other clips taken for a removed one",
            f"{number['others_quarantined']} quarantined, {number['others_held']} held",
            f"of {number['others']} pairs",
        ),
        ("an upload with media, with all of the analysis", f"{figures['media_s'] * 1e3:.0f} ms", ""),
        (
            "an upload judged by its words",
            f"{1e3 / figures['texts_per_s']:.1f} ms",
            f"{number['texts_per_s']} a second",
        ),
        (f"frames against {number['listed']} listed clips", f"{figures['listed_ms']:.1f} ms", ""),
    ]
    bars: list[Bar] = [
        Bar.at_most("moderation: real media hidden wrongly", figures["files_hidden"], 0),
        Bar.at_most("moderation: innocent captions hidden wrongly", figures["captions_hidden"], 0),
        Bar.at_least("moderation: abusive captions caught", figures["abusive_caught"], figures["abusive"]),
        Bar.at_least("moderation: advertising caught", figures["adverts_caught"], figures["adverts"]),
        Bar.at_least("moderation: uploads of a flood hidden", figures["flood_hidden"], figures["flood"] - 4),
        Bar.at_least("moderation: texts judged per second", figures["texts_per_s"], LEAST_TEXTS_PER_S),
    ]
    bars += [
        Bar.at_least(f"moderation: removed clips again, cropped {name}, hidden", _hidden(figures, at), figures["again"])
        for at, name in enumerate(CROPS)
    ]
    bars.append(Bar.at_most("moderation: other clips quarantined as removed", figures["others_quarantined"], 0))
    return Result("moderation", figures, ("what", "measured", "beside"), rows, tuple(bars))


def _counted(figures: dict[str, float], at: int) -> list[str]:
    return [f"{figures[f'again_{at}_{name}']:.0f} {name}" for name in CAUGHT if figures[f"again_{at}_{name}"]]


def _hidden(figures: dict[str, float], at: int) -> float:
    return sum(figures[f"again_{at}_{name}"] for name in HIDDEN)
