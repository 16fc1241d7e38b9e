"""What a terminal or a file that takes what is printed may not know how to write."""

from __future__ import annotations

import sys


def print_whatever_comes() -> None:
    """Let characters that the output's encoding lacks be printed as escapes instead of ending the program.

    Windows writes redirected output in an encoding of a few hundred characters, and a path or a name may have any.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
