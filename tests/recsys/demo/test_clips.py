"""Clips are read back with the ffmpeg that made them: what a browser would get, not what the encoder was told."""

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from recsys.demo import FAMILIES, VARIANTS
from recsys.demo.clips import ClipEncodingError, ClipSpec, build, clip_path, is_complete, specs, thumbnail_path

SHORT = [ClipSpec("ocean", 6, 1.0), ClipSpec("petri", 2, 1.5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clips")
    assert build(made, chosen=SHORT) == len(SHORT)
    return made


def run_ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *arguments], capture_output=True, check=False
    )


def describe(path: Path) -> str:
    return run_ffmpeg("-i", str(path)).stderr.decode()


@pytest.mark.parametrize("spec", SHORT, ids=lambda spec: spec.name)
def test_clip_is_portrait_h264_with_aac_sound_of_the_stated_length(folder, spec):
    said = describe(clip_path(folder, spec))
    assert re.search(r"Video: h264 .*yuv420p.* 360x640\b", said)
    assert "Audio: aac" in said
    minutes, seconds = re.search(r"Duration: 00:(\d\d):(\d\d\.\d\d)", said).groups()
    assert int(minutes) * 60 + float(seconds) == pytest.approx(spec.duration_s, abs=0.15)


def test_index_comes_before_the_data_so_that_playing_starts_at_once(folder):
    data = clip_path(folder, SHORT[0]).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_sound_is_audible_and_not_clipped(folder):
    raw = run_ffmpeg("-i", str(clip_path(folder, SHORT[1])), "-f", "s16le", "-").stdout
    peak = np.abs(np.frombuffer(raw, dtype="<i2")).max() / 32768
    assert 0.3 < peak < 1.0


def test_thumbnail_is_a_jpeg_of_the_same_shape(folder):
    assert thumbnail_path(folder, SHORT[0]).read_bytes()[:2] == b"\xff\xd8"
    assert "360x640" in describe(thumbnail_path(folder, SHORT[0]))


def test_picture_moves(folder):
    shown = run_ffmpeg("-i", str(clip_path(folder, SHORT[1])), "-f", "rawvideo", "-pix_fmt", "gray", "-").stdout
    frames = np.frombuffer(shown, dtype=np.uint8).reshape(-1, 640, 360).astype(float)
    assert np.abs(frames[-1] - frames[0]).mean() > 2.0


def test_building_again_makes_nothing_and_reports_every_clip(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    reported: list[str] = []
    assert build(folder, chosen=SHORT, on_done=lambda spec: reported.append(spec.name)) == 0
    assert reported == [spec.name for spec in SHORT]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_truncated_clip_and_missing_thumbnail_are_made_again(tmp_path):
    spec = ClipSpec("neon", 3, 0.5)
    build(tmp_path, chosen=[spec])
    clip = clip_path(tmp_path, spec)
    whole = clip.read_bytes()
    clip.write_bytes(whole[:-100])
    assert not is_complete(tmp_path, spec)
    assert build(tmp_path, chosen=[spec]) == 1
    assert clip.read_bytes() == whole  # and the same clip again, byte for byte
    thumbnail_path(tmp_path, spec).unlink()
    assert build(tmp_path, chosen=[spec]) == 1


def test_failed_encoding_names_the_clip_and_leaves_nothing_behind(tmp_path):
    # Too short for a single frame: ffmpeg gets no picture and refuses.
    with pytest.raises(ClipEncodingError, match="neon-01"):
        build(tmp_path, chosen=[ClipSpec("neon", 1, 0.02)])
    assert list(tmp_path.iterdir()) == []


def test_set_has_24_variants_of_four_families_between_five_and_nine_seconds():
    every = specs()
    assert len({spec.name for spec in every}) == len(FAMILIES) * VARIANTS
    assert all(5.0 <= spec.duration_s <= 9.0 for spec in every)
    means = [np.mean([spec.duration_s for spec in every if spec.family == family]) for family in FAMILIES]
    assert max(means) - min(means) < 0.5  # length must not give the family away
