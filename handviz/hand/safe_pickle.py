"""Read the data of a pickle without running what it holds.

A pickle is a program that names functions to call. Here every allowed name leads to a harmless stand-in: NumPy arrays and
data types, SciPy's sparse matrices, and the ``chumpy`` objects that MANO's files are made of become boxes that only keep their
state, from which plain arrays are then built. Any other name is refused before it is looked up.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.errors import ModelFileError

MAX_BYTES = 256 * 1024 * 1024
_DAMAGE = (
    pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError, MemoryError,
    AssertionError, ImportError, struct.error, RecursionError, LookupError,
)  # fmt: skip


class _ForbiddenNameError(pickle.UnpicklingError):
    """The pickle asks for something that is not plain data."""


class _Box:
    """Stand in for an object of a library that must not run: keep its state, run none of its code."""

    def __init__(self, *_arguments: object) -> None:
        self.state: Any = {}

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Sparse(_Box):
    """A SciPy sparse matrix in compressed columns or rows."""

    by_columns = True


class _SparseRows(_Sparse):
    by_columns = False


class _DType(_Box):
    """A NumPy data type: the code such as ``f8``, and the byte order from its state."""

    def __init__(self, code: str, *_arguments: object) -> None:
        super().__init__()
        self.code = code

    def real(self) -> np.dtype[Any]:
        """Return the data type; only plain numbers are allowed."""
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "="
        code = self.code.lstrip("<>=|")
        if code[:1] not in ("f", "i", "u", "b") or not code[1:].isdigit():
            raise _ForbiddenNameError(f"data type {self.code}")
        return np.dtype(("<" if order not in ("<", ">") else order) + code)


class _Array(_Box):
    """A NumPy array as pickled: (version, shape, data type, Fortran order, bytes)."""

    def real(self) -> npt.NDArray[Any]:
        """Return the array."""
        _, shape, dtype, fortran, raw = self.state
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        return np.frombuffer(data, dtype.real()).reshape(shape, order="F" if fortran else "C").copy()


def _scalar(dtype: _DType, raw: str | bytes) -> int | float | bool:
    data = raw.encode("latin1") if isinstance(raw, str) else raw
    value: int | float | bool = np.frombuffer(data, dtype.real())[0].item()
    return value


def _new_array(*_arguments: object) -> _Array:
    return _Array()


def _array_from_buffer(raw: bytes | bytearray, dtype: _DType, shape: tuple[int, ...], order: str = "C") -> _Array:
    """Stand in for the function with which protocol 5 builds arrays."""
    array = _Array()
    array.state = (1, shape, dtype, order == "F", bytes(raw))
    return array


def _new_object(kind: type, *_arguments: object) -> _Box:
    if not issubclass(kind, _Box):
        raise _ForbiddenNameError(kind.__name__)
    return kind()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode(encoding)


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("copy_reg", "_reconstructor"): _new_object,
    ("copyreg", "_reconstructor"): _new_object,
    ("__builtin__", "object"): _Box,
    ("builtins", "object"): _Box,
    ("_codecs", "encode"): _encode,
    # Plain containers; every chumpy object carries one.
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("collections", "OrderedDict"): dict,
}
for _core in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_core, "_reconstruct"] = _new_array
    _ALLOWED[_core, "scalar"] = _scalar
for _numeric in ("numpy.core.numeric", "numpy._core.numeric"):
    _ALLOWED[_numeric, "_frombuffer"] = _array_from_buffer
for _kind, _class in (("csc", _Sparse), ("csr", _SparseRows)):
    for _module in (f"scipy.sparse.{_kind}", f"scipy.sparse._{_kind}"):
        _ALLOWED[_module, f"{_kind}_matrix"] = _class
        _ALLOWED[_module, f"{_kind}_array"] = _class


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for an allowed name; refuse every other name."""
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module.split(".")[0] == "chumpy":
            return type(name, (_Box,), {})
        raise _ForbiddenNameError(f"{module}.{name}")


def read_plain_pickle(path: Path, keys: Collection[str] | None = None) -> Any:
    """Return the content of a pickle as dicts, lists, numbers, strings and NumPy arrays.

    Where ``keys`` are given and the content is a dictionary, only those keys are converted and the others are left out. Raises
    ModelFileError when the file is missing or damaged, or asks for anything that is not plain data; none of its code has run
    by then.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelFileError(
                f"{path}: larger than {MAX_BYTES >> 20} MB, too large for a file of this kind. Check that it is the right one."
            )
        with path.open("rb") as file:
            content = _PlainUnpickler(file, encoding="latin1").load()
        if keys is not None and isinstance(content, dict):
            content = {key: value for key, value in content.items() if key in keys}
        return _plain(content)
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read ({error.strerror}). Check that it is there and that you may read it."
        ) from error
    except _ForbiddenNameError as error:
        raise ModelFileError(
            f"{path}: refused, because it asks to run {error}. Only plain arrays are read from a pickle."
        ) from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{path}: damaged or not a pickle ({reason}). Copy or download it again.") from error


def _plain(value: Any, known: dict[int, Any] | None = None) -> Any:
    """Return a pickled value as plain data. Shared objects stay shared: a few bytes can name one list in billions of places."""
    known = {} if known is None else known
    if not isinstance(value, dict | list | tuple | _Box):
        return value
    if id(value) not in known:
        known[id(value)] = _made_plain(value, known)
    return known[id(value)]


def _made_plain(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, dict):
        return {_plain(key, known): _plain(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, known) for item in value)
    if isinstance(value, _Array | _DType):
        return value.real()
    if isinstance(value, _Sparse):
        return _dense(value, known)
    return _chumpy_value(value, known)


def _dense(box: _Sparse, known: dict[int, Any]) -> npt.NDArray[Any]:
    """Return a sparse matrix as a full array."""
    state = _plain(box.state, known)
    shape = state["_shape"] if "_shape" in state else state["shape"]
    data, inner, starts = state["data"], state["indices"].astype(np.int64), state["indptr"].astype(np.int64)
    outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    rows, columns = (inner, outer) if box.by_columns else (outer, inner)
    if min(rows.min(initial=0), columns.min(initial=0)) < 0 or max(shape) > 1_000_000 or shape[0] * shape[1] > 50_000_000:
        raise ValueError("a sparse matrix of impossible size")
    full = np.zeros(shape, data.dtype)
    np.add.at(full, (rows, columns), data)
    return full


def _chumpy_value(box: _Box, known: dict[int, Any]) -> Any:
    """Return the array that a chumpy object stands for: its own values, or a selection of another's."""
    state = _plain(box.state, known)
    if not isinstance(state, dict):
        return state
    if "x" in state:
        return state["x"]
    if "a" in state and "idxs" in state:
        chosen = np.asarray(state["a"]).reshape(-1)[np.asarray(state["idxs"]).reshape(-1)]
        return chosen.reshape(state["preferred_shape"]) if "preferred_shape" in state else chosen
    return state
