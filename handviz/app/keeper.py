"""Keeps choices and layout between runs. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from handviz.app.settings import Settings, SettingsError, load, save, settings_path
from handviz.app.state import Wish
from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError

BROKEN_STEM = "settings.wrong"


def load_last() -> tuple[Settings, str | None]:
    """Return the last settings, and if their file could not be used, what was wrong with it and what was done.

    An invalid file is kept under another name, so that saving does not destroy what someone wrote by hand.
    """
    path = settings_path()
    try:
        return load(path), None
    except SettingsError as error:
        aside = _free_name(path.parent)
        try:
            path.replace(aside)
        except OSError:
            return Settings(), f"{error.fault}. The defaults are used, and the file could not be renamed: correct or delete it"
        return Settings(), f"{error.fault}. The file was renamed to {aside.name}, and the defaults are used"


def _free_name(folder: Path) -> Path:
    """Return a name for a broken file that no earlier one has."""
    names = chain([BROKEN_STEM], (f"{BROKEN_STEM}-{number}" for number in count(2)))
    return next(path for path in (folder / f"{name}.json" for name in names) if not path.exists())


def save_last(settings: Settings) -> str | None:
    """Save the settings; return what went wrong, if anything."""
    try:
        save(settings, settings_path())
    except HandvizError as error:
        return str(error)
    return None


def with_overrides(kept: Wish, source: SourceSpec | None, said: Mapping[str, Any]) -> Wish:
    """Return the saved wish with the command line's source and configuration fields applied to it."""
    chosen = replace(kept.config, **said)
    by_fov = "fov_deg" in said
    if by_fov:
        # Intrinsics would override it.
        chosen = replace(chosen, intrinsics=None)
    if chosen.hand_model != kept.config.hand_model:
        # The values of a held shape mean something else with another hand model.
        chosen = replace(chosen, hand_shape=None)
    return replace(kept, source=source or kept.source, config=chosen, own_calibration=not by_fov)


def worth_keeping(chosen: Settings, fallback: SourceSpec | None) -> Settings:
    """Return the settings without a source that nobody chose: the fallback is looked for again next time."""
    if fallback is None or chosen.wish.source != fallback:
        return chosen
    return replace(chosen, wish=replace(chosen.wish, source=None))
