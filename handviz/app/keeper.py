"""Keeps choices and layout between runs. No Qt."""

from __future__ import annotations

from dataclasses import fields, replace

from handviz.app.settings import Settings, load, save, settings_path
from handviz.app.state import Wish
from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError
from handviz.pipeline.config import SessionConfig

BROKEN_SUFFIX = ".wrong.json"


def load_last() -> tuple[Settings, str | None]:
    """Return what was chosen last, and what was wrong with it if it could not be used.

    A wrong file is kept under another name, so that saving does not destroy what someone wrote by hand.
    """
    path = settings_path()
    try:
        return load(path), None
    except HandvizError as error:
        aside = path.with_suffix(BROKEN_SUFFIX)
        try:
            path.replace(aside)
        except OSError:
            return Settings(), str(error)
        return Settings(), f"{error}. It is kept as {aside.name}; the defaults are used"


def save_last(settings: Settings) -> str | None:
    """Keep what was chosen; returns what went wrong."""
    try:
        save(settings, settings_path())
    except HandvizError as error:
        return str(error)
    return None


def with_overrides(kept: Wish, source: SourceSpec | None, config: SessionConfig) -> Wish:
    """Return the kept wish with what the command line says: its source, and each choice that is not the default."""
    default = SessionConfig()
    names = [entry.name for entry in fields(SessionConfig)]
    said = {name: getattr(config, name) for name in names if getattr(config, name) != getattr(default, name)}
    chosen = replace(kept.config, **said)
    if chosen.hand_model != kept.config.hand_model:
        # The numbers of a held shape mean something else for another hand.
        chosen = replace(chosen, hand_shape=config.hand_shape)
    return replace(kept, source=source or kept.source, config=chosen)
