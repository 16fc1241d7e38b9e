"""Writing files completely or not at all, with one clear error, and never over an input."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO

from handviz.errors import OutputError

# The suffix of a file until it is complete, and how many bytes file systems allow for names.
PART = ".part"
LONGEST_NAME = 255


def check_writable(path: Path) -> None:
    """Raise OutputError if no file can be written there, before one is begun: a wrong name must not cost other files."""
    try:
        if not path.parent.is_dir():
            reason = "its folder does not exist. Create it, or choose another."
        elif path.is_dir():
            reason = "it is a folder. Give the name of a file."
        elif not os.access(path if path.exists() else path.parent, os.W_OK):
            reason = "you may not write there. Choose another folder."
        elif len(os.fsencode(path.name + PART)) > LONGEST_NAME:
            reason = "its name is too long. Choose a shorter one."
        else:
            return
    except OSError as error:
        reason = f"{error.strerror}. Choose another name."
    raise OutputError(f"{path} cannot be written: {reason}")


def refuse_source(path: Path, source: Path | None) -> None:
    """Raise OutputError if ``path`` is the file ``source``, under this name or another (links)."""
    try:
        same = source is not None and path.samefile(source)
    except OSError:  # one of them is not there
        return
    if same:
        raise OutputError(f"{path} is the file being read. Choose another name for the result.")


def append_whole(file: FileIO, content: bytes, size: int) -> int:
    """Append to an unbuffered file of this size; return its new size. If it does not all fit, none stays. Raises OSError."""
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        with suppress(OSError):  # a device, not a file: nothing to take back
            file.truncate(size)
            file.seek(size)
        raise
    return size + len(content)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name only when it is complete; a failure leaves what was there before.

    Raises OutputError when it cannot be written.
    """
    part = path.with_name(path.name + PART)
    try:
        try:
            with part.open("wb") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}. Choose a file in a folder that exists, is writable and has room."
        ) from error


def clear_former(folder: Path, names: str, written: Collection[str], mark: str) -> None:
    """Remove what an earlier export left: files matching ``names`` (a pattern) that were not ``written`` now.

    Only our own files are removed, which have ``mark`` at or near their start. Raises OutputError if one cannot be removed.
    """
    try:
        for path in folder.glob(names):
            if path.name not in written and _is_marked(path, mark):
                path.unlink()
    except OSError as error:
        raise OutputError(f"{folder} still holds files of an earlier export: {error.strerror}. Remove them.") from error


def _is_marked(path: Path, mark: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return mark.encode() in file.read(100)
