"""Read the tensors of a PyTorch weight file (the format before zip archives) without PyTorch, and without trusting it.

Such a file is five pickles and then the raw numbers. A pickle may name any function of any module to be called; the
unpickler here knows four names, all of them harmless, and refuses a file that says anything else. Nothing but numpy
arrays of float32 and int64 can come out.
"""

import collections
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_MAX_TENSOR_BYTES: Final = 1 << 30


class TorchFileError(ValueError):
    """The file is not a plain list of tensors."""


class _Tensor:
    """What the pickle says of a tensor, until its numbers are read."""

    def __init__(self, storage: tuple[str, str], offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.key, self.kind = storage
        self.offset, self.shape, self.stride = offset, shape, stride


def _rebuild_tensor(
    storage: tuple[str, str], offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_gradient: Any
) -> _Tensor:
    return _Tensor(storage, offset, shape, stride)


class _Unpickler(pickle.Unpickler):
    """Knows four names."""

    _NAMES: Final[Mapping[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): "FloatStorage",
        ("torch", "LongStorage"): "LongStorage",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._NAMES:
            raise TorchFileError(f"the file asks for {module}.{name}, which is no tensor")
        return self._NAMES[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        kind, key = pid[1], pid[2]
        if kind not in _DTYPES:
            raise TorchFileError(f"the file stores numbers as {kind!r}; known are {sorted(_DTYPES)}")
        return str(key), kind


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file by name, as arrays of their own.

    Raises
    ------
    TorchFileError : when it is no such file, is cut short, or asks for anything but tensors
    """
    with path.open("rb") as stream:
        try:
            return _read(stream)
        except (pickle.UnpicklingError, EOFError, struct.error, AttributeError, IndexError, TypeError) as error:
            raise TorchFileError(f"{path.name} is no weight file of PyTorch: {error}") from error


def _read(stream: IO[bytes]) -> dict[str, NDArray[Any]]:
    load: Callable[[], Any] = lambda: _Unpickler(stream).load()  # noqa: E731
    if load() != _MAGIC or load() != _PROTOCOL or not load().get("little_endian"):
        raise TorchFileError("the file does not begin as a weight file of PyTorch does")
    tensors: Mapping[str, _Tensor] = load()
    kinds = {tensor.key: tensor.kind for tensor in tensors.values()}
    storages = {key: _numbers(stream, kinds[key]) for key in load()}
    return {name: _array(storages[tensor.key], tensor) for name, tensor in tensors.items()}


def _numbers(stream: IO[bytes], kind: str) -> NDArray[Any]:
    """The next storage: how many numbers, and the numbers."""
    (count,) = struct.unpack("<q", stream.read(8))
    dtype = _DTYPES[kind]
    if not 0 <= count * dtype.itemsize <= _MAX_TENSOR_BYTES:
        raise TorchFileError(f"the file claims a tensor of {count} numbers")
    raw = stream.read(count * dtype.itemsize)
    return np.frombuffer(raw, dtype, count)


def _array(storage: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """A tensor's part of its storage, in the order of memory that its strides say."""
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
    if min((tensor.offset, *tensor.stride), default=0) < 0 or last >= len(storage):
        raise TorchFileError(f"a tensor of shape {tensor.shape} reaches beyond its numbers")
    steps = [step * storage.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps).copy()
