"""What the sandbox says of frames beside their vectors: hashes of the whole and of parts, and how decent they are."""

import numpy as np
from PIL import Image

from features.media.analyse import Analyser, _hash, _parts
from features.media.limits import Limits


def picture(path, seed=1):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).resize((256, 256), Image.Resampling.BICUBIC)
    small.save(path)
    return path


def test_frames_are_hashed_whole_and_in_five_parts_and_scored(tmp_path):
    with picture(tmp_path / "a.png").open("rb") as file:
        found = Analyser(None).analyse(file, Limits())
    assert (found.frames, len(found.hashes), len(found.crop_hashes), len(found.indecency)) == (1, 1, 5, 1)
    assert 0.0 <= found.indecency[0] < 0.5
    assert found.visual_code == "model_unavailable"


def test_without_the_network_nothing_is_said_of_decency_and_the_rest_is_known(tmp_path):
    broken = tmp_path / "network.onnx"
    broken.write_bytes(b"no network")
    with picture(tmp_path / "a.png").open("rb") as file:
        found = Analyser(None, nsfw=broken).analyse(file, Limits())
    assert (found.indecency, found.indecency_version, len(found.hashes)) == ([], "", 1)


def test_a_part_of_a_frame_has_the_hash_of_a_picture_that_was_cropped_so():
    rng = np.random.default_rng(4)
    frame = np.array(Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).resize((256, 256)))
    middle, *corners = _parts(frame)
    assert middle.shape == corners[0].shape == (243, 243, 3)
    assert np.array_equal(corners[3], frame[13:, 13:])
    assert _hash(middle) == _hash(frame[6:249, 6:249])
