"""The child process under files and limits that kill it."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.media.limits import Limits
from features.media.reasons import MediaError
from features.sandbox import Cost, Sandbox, _environment
from recsys.benchmarks.hostile_media import clip
from tests.conftest import ROOT

CACHE = ROOT / "var" / "test-encoders" / "compiled"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(None, cache=CACHE) as made:
        yield made


def look(sandbox: Sandbox, path: Path):
    with path.open("rb") as file:
        return sandbox.analyse(file)


def test_one_child_serves_many_files(sandbox, tmp_path):
    path = clip(tmp_path / "a.mp4")
    first = look(sandbox, path)
    child = sandbox.process_id
    assert look(sandbox, path) == first
    assert sandbox.process_id == child
    assert (first.frames, first.visual_code, first.visual) == (8, "model_unavailable", None)


def test_a_killed_child_costs_one_file(sandbox, tmp_path):
    path = clip(tmp_path / "a.mp4")
    look(sandbox, path)
    child = sandbox.process_id
    os.kill(child, signal.SIGSEGV)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert look(sandbox, path).frames == 8
    assert sandbox.process_id != child


def test_memory_and_time_are_limited_each_with_its_reason(tmp_path):
    big = tmp_path / "big.png"
    Image.fromarray(np.zeros((6000, 6000, 3), np.uint8)).save(big, compress_level=1)
    for cost, code in ((Cost(memory_bytes=100_000_000), "out_of_memory"), (Cost(wall_s=0.02), "timed_out")):
        with Sandbox(None, cache=CACHE, cost=cost) as strict:
            assert reason(strict, big) == code
            assert strict.process_id is None


def test_processor_time_is_limited_by_the_kernel():
    code = "from features.media import child\nchild._grant_cpu(0)\nwhile True: pass"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == -signal.SIGXCPU


@pytest.mark.parametrize(
    ("end", "code"), [(signal.SIGXCPU, "timed_out"), (signal.SIGKILL, "out_of_memory"), (signal.SIGSEGV, "crashed")]
)
def test_the_way_a_child_ended_says_why(tmp_path, end, code):
    with Sandbox(None, cache=CACHE) as made:
        made._connected()
        os.kill(made.process_id, end)
        assert made._obituary().code == code
        assert made.process_id is None


def reason(sandbox: Sandbox, path: Path) -> str:
    try:
        look(sandbox, path)
    except MediaError as error:
        return error.code
    return ""


def test_the_limits_of_a_file_reach_the_child(tmp_path):
    path = clip(tmp_path / "a.mp4")
    with Sandbox(None, cache=CACHE, cost=Cost(limits=Limits(file_bytes=100, frames=2))) as small:
        assert reason(small, path) == "too_large"
    with Sandbox(None, cache=CACHE, cost=Cost(limits=Limits(frames=2, video_pixels=1000))) as small:
        found = look(small, path)
        assert (found.visual_code, found.audio_code, found.audio is not None) == ("too_many_pixels", "", True)


def test_the_child_gets_no_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_KEY", "hush")
    monkeypatch.setenv("DATABASE_URL", "postgres://hush")
    assert "hush" not in str(_environment(tmp_path))


def test_the_child_ends_when_its_parent_is_gone(tmp_path):
    code = (
        "import sys, time, pathlib; from features.sandbox import Sandbox; "
        f"s = Sandbox(None, cache=pathlib.Path({str(CACHE)!r})); s._connected(); "
        "print(s.process_id, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the child is still there")


def test_a_picture_of_each_kind_is_read(sandbox, tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8))
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        (tmp_path / kind).write_bytes(buffer.getvalue())
        found = look(sandbox, tmp_path / kind)
        assert (found.kind, found.width, found.height, found.frames) == (f"image/{kind.lower()}", 48, 64, 1)
        assert found.audio_code == "no_audio"


def saved(path, picture, **how):
    picture.save(path, **how)
    return path


def test_pictures_of_49_megapixels_fit_into_the_memory_there_is(tmp_path):
    square = Image.new("RGBA", (7000, 7000), (200, 30, 30, 120))
    square.paste((20, 90, 200, 255), (1000, 1000, 5000, 6000))
    paths = [
        saved(tmp_path / "lossless.webp", square, lossless=True, method=0, quality=0),
        saved(tmp_path / "a.avif", square, speed=10, quality=20, subsampling="4:4:4"),
        saved(tmp_path / "wide.jpg", square.convert("RGB").resize((65_500, 740)), progressive=True, subsampling=0),
    ]
    with Sandbox(None, cache=CACHE) as made:
        for path in paths:
            found = look(made, path)
            assert (found.frames, found.visual_code) == (1, "model_unavailable"), path.name
            assert found.width * found.height > 48_000_000


def test_a_picture_that_would_need_more_memory_than_there_is_is_refused_before_it_is_decoded(sandbox, tmp_path):
    picture = saved(tmp_path / "a.webp", Image.new("RGB", (7000, 7000)), lossless=True, method=0, quality=0)
    with picture.open("ab") as file:
        # As incompressible as they come; it is the size that tells.
        file.truncate(180_000_000)
    look(sandbox, clip(tmp_path / "a.mp4"))
    child = sandbox.process_id
    with pytest.raises(MediaError) as refused:
        look(sandbox, picture)
    assert (refused.value.code, sandbox.process_id) == ("too_many_pixels", child)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_of_a_picture_with_thousands_of_frames_the_first_are_looked_at(sandbox, tmp_path, kind):
    frames = [Image.new("L", (40, 30), at % 250) for at in range(2_000)]
    path = saved(tmp_path / f"a.{kind}", frames[0], save_all=True, append_images=frames[1:], duration=20)
    assert look(sandbox, path).frames == 8


def test_the_same_clip_in_two_containers_has_near_equal_hashes(sandbox, tmp_path):
    one, other, foreign = (
        look(sandbox, clip(tmp_path / name, seed=seed)) for name, seed in (("a.mp4", 3), ("a.webm", 3), ("b.mp4", 4))
    )

    def differing_bits(left, right):
        return np.mean([bin((a ^ b) & (2**64 - 1)).count("1") for a, b in zip(left.hashes, right.hashes, strict=True)])

    assert differing_bits(one, other) <= 8
    assert differing_bits(one, foreign) >= 16


@pytest.mark.parametrize(
    ("unknown", "codes"),
    [
        ((b"avc1",), ("unknown_codec", "")),
        ((b"mp4a", b"esds"), ("model_unavailable", "unknown_codec")),
        ((b"avc1", b"mp4a", b"esds"), ("unknown_codec", "unknown_codec")),
    ],
)
def test_a_track_of_an_unknown_codec_leaves_the_other_one(sandbox, tmp_path, unknown, codes):
    whole = look(sandbox, clip(tmp_path / "whole.mp4"))
    child = sandbox.process_id
    path = tmp_path / "changed.mp4"
    data = (tmp_path / "whole.mp4").read_bytes()
    for name in unknown:
        # The last is in the sample description; avc1 is a brand of the file too. What is in esds would tell AAC alone.
        at = data.rindex(name)
        data = data[:at] + b"vvvv" + data[at + 4 :]
    path.write_bytes(data)
    found = look(sandbox, path)
    assert (found.visual_code, found.audio_code) == codes
    assert found.frames == (0 if b"avc1" in unknown else whole.frames)
    assert found.audio == (None if b"mp4a" in unknown else whole.audio)
    assert found.audio is None or len(found.audio) > 0
    assert sandbox.process_id == child
