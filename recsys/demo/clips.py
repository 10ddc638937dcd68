"""The set of demo clips as files: portrait MP4 (H.264 and AAC, ready to stream) with a JPEG thumbnail each.

`specs()` lists the clips, `build()` writes those that are missing. A file takes its final name only when it is
complete, the thumbnail before the clip, so a clip that is there is a clip that plays and an interrupted run is simply
run again. The pictures come from `scenes`, the sound from `sounds`; encoding is done by the ffmpeg binary of
`imageio-ffmpeg`.
"""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from recsys.demo import FAMILIES, VARIANTS
from recsys.demo.scenes import FPS, HEIGHT, WIDTH, draw
from recsys.demo.sounds import sound, wav_bytes

# Two encoders, one thread each: the smallest machine the product supports has two cores.
_PARALLEL = 2
_SHORTEST_S, _STEP_S, _STEPS = 5.0, 0.25, 17


class ClipEncodingError(RuntimeError):
    """ffmpeg could not write a clip; the message names the clip and what ffmpeg said."""


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """One clip of the set: which family, which variant of it, how long."""

    family: str
    variant: int
    duration_s: float

    @property
    def name(self) -> str:
        """Stem of the file names and of the content's id."""
        return f"{self.family}-{self.variant:02d}"

    @property
    def frame_count(self) -> int:
        return round(self.duration_s * FPS)


def specs() -> list[ClipSpec]:
    """All clips, families interleaved so that a partly built set is already mixed.

    Durations are spread over 5..9 s without a pattern that follows the family.

    >>> len(specs()), specs()[1].name
    (96, 'ocean-00')
    """
    return [
        ClipSpec(family, variant, _SHORTEST_S + _STEP_S * ((variant * 7 + number * 5) % _STEPS))
        for variant in range(VARIANTS)
        for number, family in enumerate(FAMILIES)
    ]


def clip_path(folder: Path, spec: ClipSpec) -> Path:
    return folder / f"{spec.name}.mp4"


def thumbnail_path(folder: Path, spec: ClipSpec) -> Path:
    return folder / f"{spec.name}.jpg"


def is_complete(folder: Path, spec: ClipSpec) -> bool:
    """Whether the clip and its thumbnail are whole.

    A whole MP4 is a chain of boxes whose sizes end exactly at the end of the file, with an index (`moov`) and data
    (`mdat`); a file cut short by a full disk fails this although it exists.
    """
    clip, thumbnail = clip_path(folder, spec), thumbnail_path(folder, spec)
    if not clip.is_file() or not thumbnail.is_file() or thumbnail.stat().st_size == 0:
        return False
    size, position, kinds = clip.stat().st_size, 0, set()
    with clip.open("rb") as source:
        while position < size:
            source.seek(position)
            header = source.read(8)
            length = int.from_bytes(header[:4], "big")
            if len(header) < 8 or length < 8:
                return False
            kinds.add(header[4:8])
            position += length
    return position == size and {b"moov", b"mdat"} <= kinds


def build(folder: Path, *, chosen: Sequence[ClipSpec], on_done: Callable[[ClipSpec], None] | None = None) -> int:
    """Write every chosen clip that is not complete into `folder`; returns how many were made.

    `on_done` is called once per chosen clip, made or already there, from this thread. Raises `ClipEncodingError` when
    ffmpeg fails.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def ensure(spec: ClipSpec) -> bool:
        if is_complete(folder, spec):
            return False
        _encode(folder, spec)
        return True

    made = 0
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        for spec, was_made in zip(chosen, pool.map(ensure, chosen), strict=True):
            made += was_made
            if on_done is not None:
                on_done(spec)
    return made


def _command(spec: ClipSpec, *, audio: Path, clip: Path, thumbnail: Path) -> list[str]:
    graph = (
        f"[0:v]scale={2 * WIDTH}:{2 * HEIGHT}:flags=bicubic,split=2[clip][still];"
        f"[still]select='eq(n,{spec.frame_count * 2 // 5})'[thumbnail]"
    )
    return [
        imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "pipe:0",
        "-i", str(audio),
        # One decode feeds both outputs: the clip, and a still from its first half.
        "-filter_complex", graph,
        "-map", "[clip]", "-map", "1:a", "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-crf", "28",
        "-maxrate", "470k", "-bufsize", "940k", "-g", str(2 * FPS), "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k",
        "-map_metadata", "-1", "-fflags", "+bitexact", "-movflags", "+faststart", str(clip),
        "-map", "[thumbnail]", "-frames:v", "1", "-q:v", "4", "-pix_fmt", "yuvj420p", str(thumbnail),
    ]  # fmt: skip


def _encode(folder: Path, spec: ClipSpec) -> None:
    # Beside the target, because a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=f".{spec.name}-", dir=folder) as scratch:
        audio, clip, thumbnail = (Path(scratch) / name for name in ("sound.wav", "clip.mp4", "still.jpg"))
        audio.write_bytes(wav_bytes(sound(spec.family, spec.variant, duration_s=spec.duration_s)))
        with subprocess.Popen(
            _command(spec, audio=audio, clip=clip, thumbnail=thumbnail), stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as encoder:
            assert encoder.stdin is not None  # asked for above
            assert encoder.stderr is not None
            try:
                for frame in draw(spec.family, spec.variant, frame_count=spec.frame_count):
                    encoder.stdin.write(frame.tobytes())
                encoder.stdin.close()
            except BrokenPipeError:
                # ffmpeg stopped early and says why on stderr, which is read and raised below.
                with contextlib.suppress(BrokenPipeError):
                    encoder.stdin.close()
            said = encoder.stderr.read().decode(errors="replace").strip()
        if encoder.returncode != 0 or not clip.is_file() or not thumbnail.is_file():
            raise ClipEncodingError(f"clip {spec.name}: ffmpeg ended with {encoder.returncode}: {said[-400:]}")
        thumbnail.replace(thumbnail_path(folder, spec))
        clip.replace(clip_path(folder, spec))
