"""How well contents are understood, how fast, and what files that want to do harm can do.

With `--path`, a folder of real media with any of `video`, `audio` and `image` in it: two files whose names differ in
their ending alone are one clip, and names that begin alike (up to the first hyphen) belong to one series, whose clips
may resemble each other. Without it, clips and sounds are made here; such clips all look alike and decode in no time, so
that likeness of the unrelated and speed are shown but not judged. Speed stands beside decoding the same clips.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import av
import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from features import visual_model
from features.embeddings import audio, sentence
from features.embeddings.combine import DIMENSIONS, ContentEncoder
from features.embeddings.sentence import SentenceEncoder
from features.media.findings import Findings
from features.media.reasons import MediaError
from features.sandbox import Cost, Sandbox
from recsys.benchmarks.content_samples import CAPTION_PAIRS, REAL_KINDS, write_sounds
from recsys.benchmarks.hostile_media import HOSTILE, clip
from recsys.benchmarks.results import Bar, Options, Result

LEAST_SAME: Final = 0.95
MOST_UNRELATED: Final = 0.6
LEAST_CAPTIONS: Final = 0.95
LEAST_SOUNDS: Final = 0.9
LEAST_REAL_SOUNDS: Final = 0.75
"""A trumpet may be nearer to a voice than to drums: what sound is made of is not what it is for."""
MOST_FILE_S: Final = 30.0
MOST_DECODINGS: Final = 5.0

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Hostile:
    """What one hostile file should get, what it got, and how long that took."""

    expected: str
    code: str
    seconds: float


def run(options: Options) -> Result:
    """Analyse media, sounds and hostile files in one sandbox, and captions beside it."""
    began = perf_counter()
    encoder = visual_model.folder()
    export_s = perf_counter() - began
    cost = Cost()
    with tempfile.TemporaryDirectory() as name, Sandbox(encoder, cache=_cache(), cost=cost) as sandbox:
        folder = Path(name)
        start_s = _timed(sandbox, folder)
        clips = _files(options.path, "video") or _made(folder)
        stills = _files(options.path, "image")
        made = write_sounds(folder)
        sounds = made | _labelled(_files(options.path, "audio"))
        found, took = _analysed(sandbox, [*clips, *stills, *sounds])
        hostile = _hostile(sandbox, folder)
        peak_mb = _peak_mb(sandbox)
        decoding_s = sum(_decoding(path) for path in clips)
    figures: dict[str, float] = {
        **_alike(found, clips, stills),
        "captions_nearer_share": _captions(),
        "made_sounds_nearer_share": _nearer_share({path: found[path].audio for path in made}, made),
        "sounds_nearer_share": _nearer_share({path: found[path].audio for path in sounds}, sounds),
        "clip_s": sum(took[path] for path in clips) / len(clips),
        "times_decoding": sum(took[path] for path in clips) / decoding_s,
        "start_s": start_s,
        "export_s": export_s,
        "clips": len(clips),
        "hostile": len(hostile),
        "hostile_as_expected": sum(each.code == each.expected for each in hostile.values()),
        "hostile_slowest_s": max(each.seconds for each in hostile.values()),
        "peak_mb": peak_mb,
    }
    return _judge(figures, hostile, limit_mb=cost.memory_bytes / 1e6, real=options.path is not None)


def _cache() -> Path:
    return Path(settings.ENCODER_DIR) / "compiled"


def _files(path: Path | None, kind: str) -> list[Path]:
    folder = None if path is None else path / kind
    return [] if folder is None or not folder.is_dir() else sorted(each for each in folder.iterdir() if each.is_file())


def _made(folder: Path) -> list[Path]:
    pairs = [clip(folder / f"made{seed}.{kind}", seed=seed) for seed in range(1, 4) for kind in ("mp4", "webm")]
    return [*pairs, *(clip(folder / f"other{seed}.mp4", seed=seed) for seed in range(4, 8))]


def _labelled(paths: Iterable[Path]) -> dict[Path, str]:
    return {path: kind for path in paths for name, kind in REAL_KINDS.items() if path.name.startswith(name)}


def _timed(sandbox: Sandbox, folder: Path) -> float:
    """Seconds until the first file is done: what starting the child costs."""
    first = folder / "empty.mp4"
    first.touch()
    began = perf_counter()
    _reason(sandbox, first)
    return perf_counter() - began


def _analysed(sandbox: Sandbox, paths: Iterable[Path]) -> tuple[dict[Path, Findings], dict[Path, float]]:
    found, took = {}, {}
    for path in paths:
        began = perf_counter()
        with path.open("rb") as file:
            found[path] = sandbox.analyse(file)
        took[path] = perf_counter() - began
    return found, took


def _decoding(path: Path) -> float:
    """Seconds that FFmpeg takes for all frames and all sound of a clip on one thread."""
    began = perf_counter()
    with av.open(str(path)) as container:
        for stream in container.streams:
            stream.codec_context.thread_count = 1
        for _ in container.decode():
            pass
    return perf_counter() - began


# --- Likeness --------------------------------------------------------------------------------------------------------
def _combined(found: Mapping[Path, Findings], paths: list[Path]) -> Matrix:
    """Combined vectors of some contents without text."""
    blocks = {name: np.zeros((len(paths), DIMENSIONS[name]), np.float32) for name in ("visual", "audio")}
    for row, path in enumerate(paths):
        for name, block in blocks.items():
            block[row] = getattr(found[path], name) or 0.0
    encoder = ContentEncoder().fit([], {}, {"audio": audio.VERSION, "visual": visual_model.version()})
    return encoder.transform([""] * len(paths), blocks)


def _alike(found: Mapping[Path, Findings], clips: list[Path], stills: list[Path]) -> dict[str, float]:
    """Cosines of one clip in two containers, and of clips with clips and pictures of other series.

    Pairs of two pictures do not count: among the usual test pictures are two cats.
    """
    paths = [*clips, *stills]
    vectors = _combined(found, paths)
    same, unrelated = [], []
    for one, other in combinations(range(len(paths)), 2):
        cosine = float(vectors[one] @ vectors[other])
        if paths[one].stem == paths[other].stem:
            same.append(cosine)
        # The first of a pair is a picture only where both are.
        elif one < len(clips) and paths[one].stem.partition("-")[0] != paths[other].stem.partition("-")[0]:
            unrelated.append(cosine)
    return {
        "same_clip_cosine": min(same, default=float("nan")),
        "unrelated_cosine": max(unrelated, default=float("nan")),
        "unrelated_mean_cosine": float(np.mean(unrelated)),
        "unrelated_pairs": len(unrelated),
    }


def _captions() -> float:
    """How often a caption is nearer to the other one of its pair than to one about something else."""
    texts = [text for pair in CAPTION_PAIRS for text in pair]
    versions = {"sentence": sentence.version()}
    encoder = ContentEncoder().fit(texts, {}, versions)
    vectors = encoder.transform(texts, {"sentence": SentenceEncoder().encode(texts)})
    return _nearer_share(dict(enumerate(vectors)), {at: at // 2 for at in range(len(texts))})


def _nearer_share(vectors: Mapping[Any, Any], kinds: Mapping[Any, Any]) -> float:
    """Of all (a, b of its kind, c of another kind): the share with a nearer to b than to c; 0.5 is chance."""
    names = list(vectors)
    stacked = np.array([vectors[name] for name in names], np.float32)
    labels = np.array([kinds[name] for name in names])
    cosine = stacked @ stacked.T
    shares = []
    for at in range(len(names)):
        own = (labels == labels[at]) & (np.arange(len(names)) != at)
        shares.append(np.mean(cosine[at][own][:, None] > cosine[at][labels != labels[at]][None, :]))
    return float(np.mean(shares))


# --- Hostile files ---------------------------------------------------------------------------------------------------
def _hostile(sandbox: Sandbox, folder: Path) -> dict[str, _Hostile]:
    found = {}
    for name, (make, expected) in HOSTILE.items():
        path = make(folder)
        began = perf_counter()
        found[name] = _Hostile(expected, _reason(sandbox, path), perf_counter() - began)
    return found


def _reason(sandbox: Sandbox, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return sandbox.analyse(file).visual_code
    except MediaError as error:
        return error.code


def _peak_mb(sandbox: Sandbox) -> float:
    """The most memory that the child ever had (Linux: VmHWM)."""
    status = Path(f"/proc/{sandbox.process_id}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmHWM"))


def _judge(figures: Mapping[str, float], hostile: Mapping[str, _Hostile], *, limit_mb: float, real: bool) -> Result:
    rows = [
        ("one clip in two containers", f"cosine {figures['same_clip_cosine']:.3f}", "1"),
        ("unrelated, nearest", f"cosine {figures['unrelated_cosine']:.3f}", f"{figures['unrelated_pairs']:.0f} pairs"),
        ("unrelated, mean", f"cosine {figures['unrelated_mean_cosine']:.3f}", "0"),
        ("captions about one thing nearer", f"{figures['captions_nearer_share']:.1%}", "chance 50 %"),
        ("sounds of one kind nearer", f"{figures['made_sounds_nearer_share']:.1%}", "chance 50 %"),
        ("the same with real recordings", f"{figures['sounds_nearer_share']:.1%}", "chance 50 %"),
        ("a clip", f"{figures['clip_s']:.2f} s", f"{figures['times_decoding']:.1f} times decoding all of it"),
        ("start of the process", f"{figures['start_s']:.1f} s", "once per worker"),
        ("export of the network", f"{figures['export_s']:.1f} s", "once per installation"),
        ("peak memory", f"{figures['peak_mb']:.0f} MB", f"limit {limit_mb:.0f} MB above the start"),
        *(
            (name, f"{each.code or 'no reason'} in {each.seconds:.2f} s", f"expected {each.expected}")
            for name, each in hostile.items()
        ),
    ]
    bars: tuple[Bar, ...] = (
        Bar.at_least("content: cosine of one clip in two containers", figures["same_clip_cosine"], LEAST_SAME),
        Bar.at_least("content: captions about one thing nearer", figures["captions_nearer_share"], LEAST_CAPTIONS),
        Bar.at_least("content: sounds of one kind nearer", figures["made_sounds_nearer_share"], LEAST_SOUNDS),
        Bar.at_least("content: the same with real recordings", figures["sounds_nearer_share"], LEAST_REAL_SOUNDS),
        Bar.at_least("content: hostile files with their reason", figures["hostile_as_expected"], figures["hostile"]),
        Bar.at_most("content: seconds for a hostile file", figures["hostile_slowest_s"], MOST_FILE_S),
        Bar.at_most("content: peak MB", figures["peak_mb"], limit_mb),
    )
    if real:
        bars += (
            Bar.at_most("content: cosine of unrelated clips", figures["unrelated_cosine"], MOST_UNRELATED),
            Bar.at_most("content: times decoding", figures["times_decoding"], MOST_DECODINGS),
        )
    return Result("content", figures, ("what", "measured", "beside"), rows, bars)
