"""Changing single values of a recipe by text, as ``training fit NAME --set key=value`` does."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from handviz.errors import HandvizError
from handviz.models.dense import DenseConfig
from training.recipes.checks import problems_of
from training.recipes.named import RECIPES
from training.recipes.records import DataPart, Recipe, Stage


def recipe(name: str, changes: Mapping[str, str] | None = None, *, base: Recipe | None = None) -> Recipe:
    """Return the recipe of this name with changes such as ``{"seed": "3", "network.groups": "5"}``.

    Values are JSON (a bare word is a string). If given, ``base`` is changed instead of the named recipe.
    Raises HandvizError for an unknown recipe or key, or an invalid value.
    """
    make = RECIPES.get(name)
    if make is None:
        raise HandvizError(f"unknown recipe '{name}'. Choose one of: {', '.join(RECIPES)}")
    result = base or make()
    for key, text in (changes or {}).items():
        result = _changed(result, key.split("."), _value(text), f"recipe {name}: {key}")
    for problem in problems_of(result):
        raise HandvizError(f"recipe {name}: {problem}")
    return result


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _data_parts(value: Any, what: str) -> tuple[DataPart, ...]:
    """Turn a source's name, or a list of names and of {"source": NAME, "share": NUMBER}, into parts."""
    entries = value if isinstance(value, tuple) else (value,)
    parts = []
    for entry in entries:
        part = {"source": entry} if isinstance(entry, str) else entry
        good = isinstance(part, dict) and set(part) <= {"source", "share"} and isinstance(part.get("source"), str)
        share = part.get("share", 1.0) if good else None
        if not isinstance(share, (int, float)) or not 0 < share < math.inf:
            raise HandvizError(
                f'{what}: give a source\'s name, or a list such as [{{"source": "rendered", "share": 0.65}}, "photos"]'
            )
        parts.append(DataPart(source=part["source"], share=share))
    return tuple(parts)


def _default_part(config: Any, name: str) -> Any:
    """Return the default of a field that is None but may hold a configuration with its own fields; None for other fields."""
    kinds = get_args(get_type_hints(type(config))[name])
    return next((kind() for kind in kinds if dataclasses.is_dataclass(kind) and isinstance(kind, type)), None)


def _check(config: Any, name: str, value: Any, what: str) -> None:
    """Raise HandvizError where a field of a configuration cannot hold a value."""
    hint = get_type_hints(type(config))[name]
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise HandvizError(f"{what}: unknown {name} '{value}'. Choose one of: {', '.join(map(str, get_args(hint)))}")
        return
    kinds = [get_origin(kind) or kind for kind in (get_args(hint) if isinstance(hint, UnionType) else (hint,))]
    if float in kinds:
        kinds.append(int)
    # In Python, True is an int.
    if not isinstance(value, tuple(kinds)) or (isinstance(value, bool) and bool not in kinds):
        named = " or ".join({NoneType: "null", tuple: "a list"}.get(kind, kind.__name__) for kind in kinds)
        raise HandvizError(f"{what}: needs {named}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise HandvizError(f"{what}: needs a finite number, not {value}")
    if isinstance(value, tuple):
        _check_list(get_args(hint), value, what)


def _check_list(kinds: tuple[Any, ...], values: tuple[Any, ...], what: str) -> None:
    """Raise HandvizError where a list of sizes or counts has the wrong length, or holds anything but whole numbers from 1."""
    open_ended = kinds[-1] is Ellipsis
    if not open_ended and len(values) != len(kinds):
        raise HandvizError(f"{what}: needs a list of {len(kinds)} values, not {len(values)}")
    if any(type(value) is not int or value < 1 for value in values):
        raise HandvizError(f"{what}: needs a list of whole numbers from 1, not {list(values)!r}")


def _changed_stages(stages: tuple[Stage, ...], path: list[str], value: Any, what: str) -> tuple[Stage, ...]:
    """Return stages with one field of one of them changed; ``path`` is its number and the field."""
    number = path[0] if len(path) == 2 else ""
    if not number.isdecimal() or int(number) >= len(stages):
        raise HandvizError(f"{what}: name a stage, 0 to {len(stages) - 1}, and what to change in it, such as stages.0.lr=0.001")
    at = int(number)
    return (*stages[:at], _changed(stages[at], path[1:], value, what), *stages[at + 1 :])


def _changed(config: Any, path: list[str], value: Any, what: str) -> Any:
    known = [f.name for f in dataclasses.fields(config)]
    head, *rest = path
    if head not in known:
        raise HandvizError(f"{what}: unknown key '{head}'. Known here: {', '.join(known)}")
    old = getattr(config, head)
    if head == "stages":
        value = _changed_stages(old, rest, value, what)
    elif rest:
        old = _default_part(config, head) if old is None else old
        if not dataclasses.is_dataclass(old):
            raise HandvizError(f"{what}: '{head}' has no parts. Set it as a whole.")
        value = _changed(old, rest, value, what)
    elif head == "data":
        value = _data_parts(value, what)
    else:
        _check(config, head, value, what)
    try:
        return dataclasses.replace(config, **{head: value}, **_with_it(config, head, value))
    except (ValueError, TypeError) as error:
        raise HandvizError(f"{what}: {error}") from error


def _with_it(config: Any, head: str, value: Any) -> dict[str, Any]:
    """Return the fields that change along with another: both networks of the live dense hand see crops of one size."""
    if head == "input_size" and isinstance(config, DenseConfig) and config.groups is not None:
        return {"groups": dataclasses.replace(config.groups, input_size=value)}
    return {}
