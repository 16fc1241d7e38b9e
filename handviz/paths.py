"""Where the user's files are: cache, data and configuration folders; and how files there are written."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder for files that can be downloaded again (``HANDVIZ_CACHE`` overrides it)."""
    return Path(os.environ.get("HANDVIZ_CACHE") or platformdirs.user_cache_dir("handviz"))


def data_folder() -> Path:
    """Return the folder for the user's hand models, weights and calibrations (``HANDVIZ_DATA`` overrides it)."""
    return Path(os.environ.get("HANDVIZ_DATA") or platformdirs.user_data_dir("handviz"))


def config_folder() -> Path:
    """Return the folder for settings and presets (``HANDVIZ_CONFIG`` overrides it)."""
    return Path(os.environ.get("HANDVIZ_CONFIG") or platformdirs.user_config_dir("handviz"))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file completely or not at all, creating its folder; an existing file stays until then. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two windows may write it at the same time as they close.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
