"""Where the user's files live: cache, data and configuration folders."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder for files that can be made again (``HANDVIZ_CACHE`` overrides it)."""
    return Path(os.environ.get("HANDVIZ_CACHE") or platformdirs.user_cache_dir("handviz"))


def data_folder() -> Path:
    """Return the folder for the user's hand models, weights and calibrations (``HANDVIZ_DATA`` overrides it)."""
    return Path(os.environ.get("HANDVIZ_DATA") or platformdirs.user_data_dir("handviz"))


def config_folder() -> Path:
    """Return the folder for settings and presets (``HANDVIZ_CONFIG`` overrides it)."""
    return Path(os.environ.get("HANDVIZ_CONFIG") or platformdirs.user_config_dir("handviz"))
