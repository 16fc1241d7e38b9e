"""The ``handviz`` command."""

from __future__ import annotations

from handviz.cli.main import main

__all__ = ["main"]
