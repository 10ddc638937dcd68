"""Files that want to be decoded and should not be: truncated, mislabelled, enormous by their header, or bombs.

Each is made here from nothing, so that a bench and a test on a fresh clone see the same ones.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from PIL import Image

from recsys.demo.sounds import sound, wav_bytes


def clip(path: Path, *, seed: int = 0, seconds: float = 2.0, side: int = 160, with_sound: bool = True) -> Path:
    """A small clip of moving coloured shapes with a tone, in the container that the name says."""
    rng = np.random.default_rng(seed)
    colours, speeds = rng.integers(40, 255, (4, 3)), rng.uniform(0.5, 2.0, 4)
    web = path.suffix == ".webm"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libvpx" if web else "libx264", rate=12)
        video.width = video.height = side
        video.pix_fmt = "yuv420p"
        audio: Any = container.add_stream("libopus" if web else "aac", rate=48_000) if with_sound else None
        for at in range(round(seconds * 12)):
            picture = np.full((side, side, 3), 20 + 10 * (seed % 8), np.uint8)
            for colour, speed in zip(colours, speeds, strict=True):
                left = int((at * speed * 6 + colour[0]) % (side * 3 // 4))
                top = int(colour[1] % (side * 3 // 4))
                picture[top : top + side // 4, left : left + side // 4] = colour
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        if audio is not None:
            _mux_tone(container, audio, 220.0 * (1 + seed), seconds)
    return path


def _mux_tone(container: Any, stream: Any, frequency_hz: float, seconds: float) -> None:
    samples = (0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(round(48_000 * seconds)) / 48_000)).astype(np.float32)
    for start in range(0, len(samples), 960):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], "flt", "mono")
        frame.sample_rate, frame.pts = 48_000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


# --- The files -------------------------------------------------------------------------------------------------------
def _truncated(folder: Path) -> Path:
    """A clip cut in the middle, before the index at its end."""
    whole = clip(folder / "whole.mp4").read_bytes()
    return _written(folder / "truncated.mp4", whole[: len(whole) // 2])


def _cut_webm(folder: Path) -> Path:
    """A clip that can be decoded up to where it is cut."""
    whole = clip(folder / "whole.webm", seconds=4.0).read_bytes()
    return _written(folder / "cut.webm", whole[: len(whole) * 2 // 5])


def _zip_bomb(folder: Path) -> Path:
    """A gigabyte of zeros in a megabyte, named as a clip."""
    path = folder / "bomb.mp4"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as out,
    ):
        for _ in range(64):
            out.write(bytes(1 << 24))
    return path


def _eight_k(folder: Path) -> Path:
    """A video of 7680 x 4320 pixels."""
    path = folder / "8k.mp4"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=1)
        video.width, video.height, video.pix_fmt = 7680, 4320, "yuv420p"
        frame = av.VideoFrame(7680, 4320, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def _ten_hours(folder: Path) -> Path:
    """A clip of two seconds whose header says ten hours (Matroska: element 4489, milliseconds as a double)."""
    data = bytearray(clip(folder / "short.webm").read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    struct.pack_into(">d", data, at, 36_000_000.0)
    return _written(folder / "10h.webm", bytes(data))


def _corrupt_index(folder: Path) -> Path:
    """An MP4 whose index is noise."""
    data = bytearray(clip(folder / "indexed.mp4").read_bytes())
    at = data.index(b"moov")
    data[at + 4 :] = np.random.default_rng(0).integers(0, 256, len(data) - at - 4, np.uint8).tobytes()
    return _written(folder / "index.mp4", bytes(data))


def _text(folder: Path) -> Path:
    return _written(folder / "text.mp4", b"This is a text and no clip at all.\n" * 100)


def _empty(folder: Path) -> Path:
    return _written(folder / "empty.mp4", b"")


def _html(folder: Path) -> Path:
    return _written(folder / "page.mp4", b"<!DOCTYPE html><html><script>alert(1)</script></html>")


def _playlist(folder: Path) -> Path:
    """A playlist that asks the decoder to read a file of the system."""
    return _written(folder / "list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


def _gif_bomb(folder: Path) -> Path:
    """A GIF of 65,535 x 65,535 pixels in a few bytes."""
    head = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    image = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02L\x01\0;"
    return _written(folder / "bomb.gif", head + image)


def _growing_gif(folder: Path) -> Path:
    """A GIF of 10 x 10 pixels whose second frame is 65,535 x 65,535."""
    buffer = io.BytesIO()
    Image.new("P", (10, 10)).save(buffer, "GIF")
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02L\x01\0;"
    return _written(folder / "growing.gif", buffer.getvalue()[:-1] + frame)


def _webp_bomb(folder: Path) -> Path:
    """A WebP that moves on 65,536 x 65,535 pixels, for which its decoder takes memory before anybody asks."""
    size = (65_535).to_bytes(3, "little") + (65_534).to_bytes(3, "little")
    head = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size
    return _written(folder / "bomb.webp", b"RIFF" + struct.pack("<I", 4 + len(head)) + b"WEBP" + head)


def _png_bomb(folder: Path) -> Path:
    """A PNG of 60,000 x 60,000 pixels, all black, in a few kilobytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 22), 9)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return _written(folder / "bomb.png", data)


def _broken_jpeg(folder: Path) -> Path:
    """A photograph that ends after a third."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return _written(folder / "third.jpg", buffer.getvalue()[: buffer.tell() // 3])


def _sound_only(folder: Path) -> Path:
    """Sound named as a clip."""
    return _written(folder / "sound.mp4", wav_bytes(sound("neon", 0, duration_s=4.0)))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


HOSTILE: Final[dict[str, tuple[Callable[[Path], Path], str]]] = {
    "truncated mp4": (_truncated, "corrupt"),
    "webm cut in the middle": (_cut_webm, "truncated"),
    "zip bomb named mp4": (_zip_bomb, "not_media"),
    "8k video": (_eight_k, "too_many_pixels"),
    "10-hour header": (_ten_hours, "too_long"),
    "corrupt index": (_corrupt_index, "corrupt"),
    "text named mp4": (_text, "not_media"),
    "zero bytes": (_empty, "empty_file"),
    "html named mp4": (_html, "not_media"),
    "playlist of a system file": (_playlist, "not_media"),
    "gif bomb": (_gif_bomb, "too_many_pixels"),
    "gif that grows": (_growing_gif, "too_many_pixels"),
    "webp bomb": (_webp_bomb, "too_many_pixels"),
    "png bomb": (_png_bomb, "too_many_pixels"),
    "jpeg cut short": (_broken_jpeg, "corrupt"),
    "sound named mp4": (_sound_only, "no_visual"),
}
"""What it is: how to make it in a folder, and the reason it must be given, of the whole or of its frames."""
