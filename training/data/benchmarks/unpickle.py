"""Reading pickles from outside so that they can only build arrays, numbers, text and containers: never run anything."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from handviz.errors import SourceError

# What numpy's arrays need, by the names that numpy 1 and 2 write.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_pickle(path: Path) -> Any:
    """Return what a pickle holds. Raises SourceError when it is missing, damaged, or asks for anything but arrays."""
    try:
        with path.open("rb") as file:
            return _ArraysOnly(file, encoding="latin1").load()
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file. Check that the data set is unpacked here in its published layout.") from error
    except pickle.UnpicklingError as error:
        raise SourceError(f"{path}: refused, this pickle does not hold plain arrays ({error}). Download it again.") from error
    except (OSError, EOFError, ValueError, TypeError, AttributeError, ImportError, IndexError, KeyError) as error:
        raise SourceError(f"{path}: the pickle is damaged ({error}). Download it again.") from error
