"""Writing files whole or not at all, with one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from handviz.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name only when it is complete; a failure leaves what was there before.

    Raises OutputError when it can not be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        try:
            with part.open("wb") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path} can not be written: {error.strerror}. Choose a file in a folder that exists, is yours and has room."
        ) from error
