"""Checks that results can be written where requested, made before the work, which may take hours."""

from __future__ import annotations

import os
from pathlib import Path

from handviz.errors import OutputError
from handviz.models.weights_files import WEIGHTS_SUFFIX


def check_file(path: Path) -> None:
    """Raise OutputError where no file can be written; missing folders are fine where they can be made."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder. Give the name of a file.")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Raise OutputError where nothing can be written into a folder, or where it cannot be made."""
    nearest = next(p for p in (path, *path.parents) if p.exists())
    if not nearest.is_dir():
        raise OutputError(f"{path}: {nearest} is a file. Choose another folder.")
    if not os.access(nearest, os.W_OK):
        raise OutputError(f"{path}: {nearest} is not writable. Check its permissions, or choose another folder.")


def check_weights(path: Path) -> None:
    """Raise OutputError where weights cannot be written, or where their suffix is wrong and nothing would find them."""
    if path.suffix != WEIGHTS_SUFFIX:
        raise OutputError(f"{path}: weights are written as {WEIGHTS_SUFFIX}, with their exports next to them. Give such a name.")
    check_file(path)
