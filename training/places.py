"""Whether results can be written where they are asked for: looked at before the work, which may take hours."""

from __future__ import annotations

import os
from pathlib import Path

from handviz.errors import OutputError
from handviz.models.weights_files import WEIGHTS_SUFFIX


def check_file(path: Path) -> None:
    """Raise OutputError where no file can be written; folders that are not there yet can be made."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder. Give the name of a file.")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Raise OutputError where nothing can be written into a folder, or where it can not be made."""
    nearest = next(p for p in (path, *path.parents) if p.exists())
    if not nearest.is_dir():
        raise OutputError(f"{path}: {nearest} is a file. Give another place.")
    if not os.access(nearest, os.W_OK):
        raise OutputError(f"{path}: {nearest} is not yours to write. Give another place.")


def check_weights(path: Path) -> None:
    """Raise OutputError where no weights can be written, or under a name by which nothing finds them."""
    if path.suffix != WEIGHTS_SUFFIX:
        raise OutputError(f"{path}: weights are written as {WEIGHTS_SUFFIX}, their exports beside them. Name it so.")
    check_file(path)
