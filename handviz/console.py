"""Printing characters that the terminal's or file's encoding may lack."""

from __future__ import annotations

import sys


def print_whatever_comes() -> None:
    """Print characters that the output's encoding lacks as escapes instead of failing.

    Windows encodes redirected output in a few hundred characters, and a path or a name may contain any.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
