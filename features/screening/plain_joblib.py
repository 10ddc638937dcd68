"""Read the numbers of a scikit-learn model from a joblib file, without running any of what the file names.

A pickle may name any function to be called. The reader here makes a `Facts` of every class that scikit-learn has, reads
arrays of numbers, and refuses a file that asks for anything else, arrays of objects included.
"""

from pathlib import Path
from typing import Any

import numpy as np
from joblib import numpy_pickle


class JoblibFileError(ValueError):
    """The file is no model, or asks for what no model needs."""


class Facts:
    """The attributes of an object, and nothing of what its class does."""

    def __init__(self, *_: Any) -> None:
        pass


class _Array(numpy_pickle.NumpyArrayWrapper):  # type: ignore[misc]  # it has no types
    """Arrays of numbers only: those of objects are pickles of their own."""

    def read_array(self, unpickler: Any, *more: Any) -> Any:
        """The numbers that follow in the file."""
        if np.dtype(self.dtype).hasobject:
            raise JoblibFileError("the file holds an array of objects")
        return super().read_array(unpickler, *more)


_KNOWN = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "float64"): np.float64,
    ("numpy", "float32"): np.float32,
    ("numpy", "int64"): np.int64,
}
_SCALAR = {("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar")}


class _Reader(numpy_pickle.NumpyUnpickler):  # type: ignore[misc]  # as above
    def find_class(self, module: str, name: str) -> Any:
        """Stand-ins for scikit-learn, the few names that arrays need, and nothing else."""
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if (module, name) in _SCALAR:
            return _scalar
        if module.split(".", maxsplit=1)[0] == "sklearn":
            return Facts
        raise JoblibFileError(f"the file asks for {module}.{name}, which is no number")


def _scalar(dtype: np.dtype[Any], raw: bytes) -> Any:
    return np.frombuffer(raw, dtype, 1)[0]


def read(path: Path) -> Facts:
    """What the file holds, as plain attributes.

    Raises
    ------
    JoblibFileError : when it is no such file, or asks for anything but numbers
    """
    try:
        with path.open("rb") as stream:
            found = _Reader(str(path), stream, ensure_native_byte_order=True).load()
    except JoblibFileError:
        raise
    except Exception as error:  # a damaged pickle fails in more ways than can be listed
        raise JoblibFileError(f"{path.name} is no model: {type(error).__name__}") from error
    if not isinstance(found, Facts):
        raise JoblibFileError(f"{path.name} holds a {type(found).__name__}, which is no model")
    return found
