"""The reader of weight files, and that it runs nothing a file says."""

import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from features.embeddings import backbones, torch_file
from features.embeddings.torch_file import TorchFileError, read_tensors


def written(path: Path, state: object, keys: list[str], numbers: bytes) -> Path:
    buffer = io.BytesIO()
    for part in (torch_file._MAGIC, torch_file._PROTOCOL, {"little_endian": True}):
        pickle.dump(part, buffer, protocol=2)
    buffer.write(state if isinstance(state, bytes) else pickle.dumps(state, protocol=2))
    pickle.dump(keys, buffer, protocol=2)
    path.write_bytes(buffer.getvalue() + numbers)
    return path


def test_the_shipped_weights_are_read():
    tensors = backbones._lite0_tensors(None)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_bn1.num_batches_tracked"].dtype == np.int64
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    # A variance is never negative, which it would be if numbers were read from the wrong place.
    assert all((tensor >= 0).all() for name, tensor in tensors.items() if name.endswith("running_var"))


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_file_that_asks_for_more_than_tensors_is_refused_and_not_obeyed(tmp_path):
    bad = written(tmp_path / "bad.pth", {"weight": Attack(tmp_path / "owned")}, [], b"")
    with pytest.raises(TorchFileError, match="system"):
        read_tensors(bad)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps(1), pickle.dumps(torch_file._MAGIC)])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(TorchFileError):
        read_tensors(tmp_path / "other")


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    whole = Path(backbones.importlib.util.find_spec(backbones.LITE0_PACKAGE).origin).parent / backbones.LITE0_FILE
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:1_000_000])
    with pytest.raises((TorchFileError, ValueError)):
        read_tensors(tmp_path / "cut.pth")


@pytest.mark.parametrize(
    ("offset", "shape", "stride"), [(0, (5,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,)), (3, (2,), (1,))]
)
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(offset, shape, stride):
    with pytest.raises(TorchFileError, match="beyond"):
        torch_file._array(np.zeros(4, np.float32), torch_file._Tensor(("0", "FloatStorage"), offset, shape, stride))


def test_a_claim_of_too_many_numbers_is_refused():
    with pytest.raises(TorchFileError, match="claims"):
        torch_file._numbers(io.BytesIO(struct.pack("<q", 1 << 40)), "FloatStorage")
