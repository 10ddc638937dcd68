"""Frames and sound of a file of a stranger, within limits.

Runs in `child` only. The demuxer is chosen by the first bytes of the file and reads an open file, so that no format can
make it open anything else. What a header promises is checked before anything is decoded.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageOps

from features.media.limits import Limits
from features.media.promise import is_cut, seconds_told, share_told
from features.media.reasons import MediaError
from features.media.types import DEMUXERS, HEAD_BYTES, PICTURES, sniff

SAMPLE_RATE: Final = 22_050
"""Hz; the rate librosa works at."""
_SIDE: Final = 256
_HUGE: Final = 16_000_000
"""Pixels of a picture from which on it is worth to reduce it before all else."""
_STRIP: Final = 32
_BYTES_PER_PIXEL: Final = 18
"""What is held of a frame at its peak, as measured: 17 of a WebP, 16 of a progressive JPEG, 13 of a GIF and an AVIF."""
_COPIES: Final = 2
"""Of the file, while it is decoded."""
_FAR_FRAMES: Final = 250
"""Usual distance of the frames one can jump to; nearer ones are reached faster by decoding what lies between."""


@dataclass(slots=True)
class Media:
    """What a file shows and plays.

    Attributes
    ----------
    kind : by its first bytes, such as video/mp4
    frames : uint8 array (n, 256, 256, 3), RGB, the square in the middle of each; None where there is no picture
    sound : float32 array (samples,) at 22,050 Hz, one channel; None where there is none
    width, height : pixels; fps: frames per second; duration_s: seconds; sample_rate: Hz of the file; None: unknown
    visual_reason, audio_reason : why there is none, or what is wrong with it
    """

    kind: str
    frames: NDArray[np.uint8] | None = None
    sound: NDArray[np.float32] | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    duration_s: float | None = None
    sample_rate: int | None = None
    visual_reason: MediaError | None = field(default=None)
    audio_reason: MediaError | None = field(default=None)


def decode(file: IO[bytes], limits: Limits) -> Media:
    """Look at an open file.

    Raises
    ------
    MediaError : when nothing of it can be used; a reason that concerns one modality stands in the answer
    """
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise MediaError("empty_file")
    if size > limits.file_bytes:
        raise MediaError("too_large", f"It has {size:,} bytes; the limit is {limits.file_bytes:,}.")
    kind = sniff(file.read(HEAD_BYTES))
    file.seek(0)
    if kind in PICTURES:
        return _picture(file, kind, size, limits)
    if kind in DEMUXERS:
        return _clip(file, kind, limits, share=share_told(file, kind, size))
    raise MediaError("not_media", f"By its first bytes it is {kind or 'unknown'}.")


# --- Still and moving pictures ---------------------------------------------------------------------------------------
def _picture(file: IO[bytes], kind: str, size: int, limits: Limits) -> Media:
    most = _most_pixels(size, limits)
    # Some decoders take memory as soon as they are opened, and a GIF may grow with any frame: Pillow looks before each,
    # and gives up at twice what it is told. The check below is exact, and tells width and height.
    Image.MAX_IMAGE_PIXELS = most // 2
    # A frame per thread is a memory per core of the machine.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # It also warns from half of that on.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        with Image.open(file, formats=[PICTURES[kind]]) as image:
            width, height = image.size
            _check_pixels(width, height, most)
            # Cheap only for JPEG, where it skips most of the decoding; a no-op for others.
            image.draft("RGB", (_SIDE * 2, _SIDE * 2))
            frames = list(_stills(image, limits))
    except MediaError:
        raise
    except Image.DecompressionBombError:
        raise MediaError("too_many_pixels", f"The limit is {most:,} in all.") from None
    except MemoryError:
        raise MediaError("out_of_memory") from None
    except Exception as error:
        # Pillow's decoders raise whatever the damage leads them to: OSError, SyntaxError, struct.error, ValueError.
        raise MediaError("corrupt", f"({error})") from error
    return Media(kind, np.stack(frames), width=width, height=height, audio_reason=MediaError("no_audio"))


def _stills(image: Any, limits: Limits) -> Iterator[NDArray[np.uint8]]:
    """The first frames of a picture that may move; each is decoded on top of the one before."""
    affordable = min(limits.frames, max(limits.image_decoded_pixels // (image.width * image.height), 1))
    for at in range(affordable):
        try:
            image.seek(at)
        except EOFError:
            return
        fewer = _reduced(image)
        yield _square(ImageOps.exif_transpose(fewer) if at == 0 else fewer)


def _most_pixels(size: int, limits: Limits) -> int:
    """How many pixels a picture in a file of a size may have so that decoding it stays within memory.

    A picture that is refused has its reason at once, where a decoder that runs out of memory costs a process.
    """
    return min(limits.image_pixels, max(limits.image_bytes - _COPIES * size, 0) // _BYTES_PER_PIXEL)


def _reduced(image: Any) -> Any:
    """A huge picture with fewer pixels: every other copy of it would be as large as itself.

    It is averaged in strips of whole blocks, which gives the same as at once.
    """
    block = min(image.size) // (4 * _SIDE)
    if image.width * image.height <= _HUGE or block < 2:
        return image
    image.load()
    small = Image.new("RGBA", (-(-image.width // block), -(-image.height // block)))
    for top in range(0, image.height, block * _STRIP):
        strip = image.crop((0, top, image.width, min(top + block * _STRIP, image.height)))
        small.paste(strip.convert("RGBA").reduce(block), (0, top // block))
    # It says which side is up.
    small.info = image.info
    return small


def _square(image: Any) -> NDArray[np.uint8]:
    """The square in the middle, on white where it is transparent: there pixels may have any colour."""
    fitted = ImageOps.fit(image.convert("RGBA"), (_SIDE, _SIDE), Image.Resampling.BICUBIC)
    white = Image.new("RGBA", fitted.size, "white")
    white.alpha_composite(fitted)
    return np.asarray(white.convert("RGB"), np.uint8)


def _check_pixels(width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise MediaError("too_many_pixels", f"It has {width} x {height}; the limit is {limit:,} in all.")
    if width <= 0 or height <= 0:
        raise MediaError("corrupt", f"(It says it is {width} x {height} pixels.)")


# --- Clips -----------------------------------------------------------------------------------------------------------
def _clip(file: IO[bytes], kind: str, limits: Limits, *, share: float) -> Media:
    try:
        # Metadata may be in any encoding; it is not read.
        with av.open(file, format=DEMUXERS[kind], metadata_errors="ignore") as container:
            if not container.streams.video and not container.streams.audio:
                raise MediaError("corrupt", "(It holds neither frames nor sound.)")
            media = Media(kind, duration_s=_seconds(container))
            if media.duration_s is not None and media.duration_s > limits.duration_s:
                hours = f"{media.duration_s / 3600:.1f} hours; the limit is {limits.duration_s / 3600:.1f}"
                raise MediaError("too_long", f"It says {hours}.")
            _look(container, media, limits)
            _listen(container, media, limits, share=share)
    except MediaError:
        raise
    except MemoryError:
        raise MediaError("out_of_memory") from None
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise MediaError("corrupt", f"({_told(error)})") from error
    return media


def _seconds(container: Any) -> float | None:
    return None if container.duration is None or container.duration <= 0 else container.duration / av.time_base


def _decoder(stream: Any) -> Any:
    """What decodes a track; of a codec that nothing here knows the library has None, and fails only when it is used."""
    if stream.codec_context is None:
        raise MediaError("unknown_codec")
    return stream.codec_context


def _look(container: Any, media: Media, limits: Limits) -> None:
    """Fill in frames, or why there are none."""
    # A cover picture of a song is no video.
    streams = [each for each in container.streams.video if not each.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        media.visual_reason = MediaError("no_visual")
        return
    stream = streams[0]
    try:
        context = _decoder(stream)
        media.width, media.height = context.width, context.height
        media.fps = float(stream.average_rate) if stream.average_rate else None
        _check_pixels(media.width, media.height, limits.video_pixels)
        context.thread_count = 1
        found = list(_sampled(container, stream, media, limits))
        if not found:
            raise MediaError("corrupt", "(No frame could be decoded.)")
        media.frames = np.stack(found)
    except MediaError as reason:
        media.visual_reason = reason
    except MemoryError:
        media.visual_reason = MediaError("out_of_memory")
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        media.visual_reason = MediaError("corrupt", f"({_told(error)})")


def _sampled(container: Any, stream: Any, media: Media, limits: Limits) -> Iterator[NDArray[np.uint8]]:
    """Frames at equal distances: of n, the k-th at (k + 1/2) / n of the duration, as two encodings of a clip have it.

    Where frames cannot be decoded, those before them stand, and the reason says so.
    """
    count = limits.frames
    # The stream's own duration where the container knows it: sound may go on after the last frame.
    duration = float(stream.duration * stream.time_base) if stream.duration else media.duration_s or 0.0
    origin = float((stream.start_time or 0) * stream.time_base)
    budget = max(limits.decoded_pixels // max((media.width or 1) * (media.height or 1), 1), 2 * count)
    walk = _Walk(container, stream, may_seek=duration / count * (media.fps or 30.0) > _FAR_FRAMES)
    for at in range(count if duration else 1):
        frame = walk.to(origin + (at + 0.5) / count * duration, budget=max((budget - walk.used) // (count - at), 1))
        if frame is None:
            if at >= count - 1:
                return  # a container that only knows one duration, and sound that is longer
            media.visual_reason = MediaError("truncated", f"Frames end before {(at + 0.5) / count:.0%} of it.")
            return
        _check_pixels(frame.width, frame.height, limits.video_pixels)
        yield _frame(frame)


class _Walk:
    """Goes through a stream from frame to frame, by decoding all of them or by jumping where they are far apart."""

    def __init__(self, container: Any, stream: Any, *, may_seek: bool) -> None:
        self._container, self._stream, self._may_seek = container, stream, may_seek
        self._frames = container.decode(stream)
        self.used = 0

    def to(self, moment_s: float, *, budget: int) -> Any:
        """The first frame at or after a moment, or the last before it that can be afforded; None after the end."""
        last = None
        try:
            if self._may_seek:
                self._container.seek(max(int(moment_s / self._stream.time_base), 0), stream=self._stream)
                self._frames = self._container.decode(self._stream)
            for _ in range(budget):
                last = next(self._frames)
                self.used += 1
                if last.time is not None and last.time >= moment_s - 1e-3:
                    break
        except StopIteration:
            # The last frame lasts to the end: one that is less than half a step early is the one that is wanted.
            pass
        except av.error.FFmpegError:
            return None
        return last


def _frame(frame: Any) -> NDArray[np.uint8]:
    """The square in the middle of a frame, upright."""
    scale = _SIDE / min(frame.width, frame.height)
    width, height = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
    # A strip of a thousand to one would be enlarged to gigabytes.
    if max(width, height) > 16 * _SIDE:
        return _square(frame.to_image())
    rgb = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    top, left = (height - _SIDE) // 2, (width - _SIDE) // 2
    middle = rgb[top : top + _SIDE, left : left + _SIDE]
    return np.ascontiguousarray(np.rot90(middle, round(frame.rotation / 90) % 4))


def _listen(container: Any, media: Media, limits: Limits, *, share: float) -> None:
    """Fill in the sound, or why there is none or less than the file promises (`promise`)."""
    if not container.streams.audio:
        media.audio_reason = MediaError("no_audio")
        return
    stream = container.streams.audio[0]
    try:
        context = _decoder(stream)
        media.sample_rate = context.sample_rate or None
        context.thread_count = 1
        container.seek(0)
        told_s = seconds_told(container, stream, share)
        parts, broke = _samples(container, stream, round(limits.sound_s * SAMPLE_RATE), told_s)
    except MediaError as reason:
        media.audio_reason = reason
        return
    except MemoryError:
        media.audio_reason = MediaError("out_of_memory")
        return
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        media.audio_reason = MediaError("corrupt", f"({_told(error)})")
        return
    sound = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if len(sound) == 0:
        media.audio_reason = MediaError("corrupt", f"({broke or 'No sound could be decoded.'})")
    elif not np.any(np.abs(sound) > 1e-5):
        media.audio_reason = MediaError("silent")
    else:
        media.sound = sound
        if broke:
            media.audio_reason = MediaError("truncated", f"Sound ends after {len(sound) / SAMPLE_RATE:.1f} s.")


def _samples(container: Any, stream: Any, most: int, told_s: float | None) -> tuple[list[NDArray[np.float32]], str]:
    """Up to `most` samples of one channel, and what ended them before the file did, if anything."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    parts: list[NDArray[np.float32]] = []
    length, end_s, begin_s = 0, 0.0, float((stream.start_time or 0) * stream.time_base)
    try:
        for frame in container.decode(stream):
            # By the clock of the file: in between there may be nothing, as its author wanted it.
            end_s = max(end_s, (frame.time or 0.0) + frame.samples / (frame.sample_rate or 1) - begin_s)
            for piece in resampler.resample(frame):
                parts.append(piece.to_ndarray()[0])
                length += len(parts[-1])
            if length >= most:
                break
        else:
            parts.extend(piece.to_ndarray()[0] for piece in resampler.resample(None))
    except av.error.FFmpegError as error:
        return parts, _told(error)
    short = length < most and is_cut(max(end_s, length / SAMPLE_RATE), told_s)
    if parts:
        whole = np.nan_to_num(np.concatenate(parts)[:most], posinf=0.0, neginf=0.0)
        return [np.clip(whole, -1.0, 1.0).astype(np.float32)], f"It promises {told_s:.1f} s." if short else ""
    return parts, ""


def _told(error: Exception) -> str:
    """What a library says of a failure, on one short line without the name it gave the file."""
    return " ".join((getattr(error, "strerror", None) or str(error)).split())[:200]
