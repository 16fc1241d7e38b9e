"""Settings and presets as readable JSON files. No Qt.

One file keeps the last choices, and one file per preset keeps a named set of choices. Reading checks every entry; a file
that is invalid or from a newer version gives one clear error and changes nothing.
"""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from handviz.app.colours import PALETTES
from handviz.app.state import Wish
from handviz.app.view_options import ViewOptions
from handviz.arguments import FOV_DEG, HAND_SIZE_M, MAX_HANDS, REFINE_ITERATIONS, SMOOTHING
from handviz.capture.base import SourceSpec, parse_source
from handviz.capture.exposure import EXPOSURE_MS, Exposure
from handviz.errors import HandvizError, OutputError
from handviz.paths import config_folder, replace_file
from handviz.pipeline.config import VERSIONS, SessionConfig

FORMAT, VERSION = "handviz settings", 1
NAME_PATTERN = re.compile(r"[\w][\w .-]{0,59}")
RANGES: dict[str, tuple[float, float]] = {
    "max_hands": MAX_HANDS,
    "smoothing_strength": SMOOTHING,
    "fov_deg": FOV_DEG,
    "refine_iterations": REFINE_ITERATIONS,
    "refine_steps": REFINE_ITERATIONS,
    "detect_every": (1, 10_000),
    "hand_scale_m": HAND_SIZE_M,
    "picture_width": (16, 16_384),
    "picture_height": (16, 16_384),
    "rate": (1, 1000),
    "exposure": EXPOSURE_MS,
    "width": (300, 20_000),
    "height": (300, 20_000),
    "views": (0, 20_000),
    "upright": (0, 20_000),
}
LENGTHS = {"hand_shape": 10}
# What the program determines itself.
NOT_KEPT = frozenset(VERSIONS)
T = TypeVar("T")


class SettingsError(HandvizError):
    """A settings or preset file that cannot be used: ``fault`` is the reason without the advice."""

    def __init__(self, fault: str, advice: str) -> None:
        super().__init__(f"{fault}. {advice}")
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLayout:
    """How the window was arranged. ``views`` and ``upright`` are sizes of the two splitters in pixels."""

    width: int = 1440
    height: int = 900
    views: tuple[int, ...] = ()
    upright: tuple[int, ...] = ()
    plots: bool = True
    panel: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """What a camera is asked for: pixels, frames per second, and milliseconds or "auto"; None leaves it to the camera."""

    picture_width: int | None = None
    picture_height: int | None = None
    rate: float | None = None
    exposure: Exposure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that is kept between runs."""

    wish: Wish = field(default_factory=Wish)
    layout: WindowLayout = field(default_factory=WindowLayout)


def settings_path() -> Path:
    """The file of the last choices."""
    return config_folder() / "settings.json"


def preset_path(name: str) -> Path:
    """The file of a preset. Raises SettingsError for a name that is not suitable for a file."""
    if not NAME_PATTERN.fullmatch(name):
        raise SettingsError(f"'{name}' is not a valid preset name", "Use at most 60 letters, digits, spaces, dots and dashes")
    return config_folder() / "presets" / f"{name}.json"


def preset_names() -> tuple[str, ...]:
    """Names of the saved presets, sorted."""
    folder = config_folder() / "presets"
    return tuple(sorted(path.stem for path in folder.glob("*.json"))) if folder.is_dir() else ()


def save(settings: Settings, path: Path) -> None:
    """Write settings, completely or not at all. Raises OutputError."""
    text = json.dumps(_as_json(settings), indent=2) + "\n"
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise OutputError(
            f"{path}: the settings could not be saved ({error.strerror}). Free some space or check the folder's permissions"
        ) from error


def load(path: Path) -> Settings:
    """Read settings; defaults where the file does not exist. Raises SettingsError for an invalid file."""
    try:
        # As bytes: an edited file may have a byte order mark, or be UTF-16.
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(path, f"it is not readable JSON ({error})") from error
    return _from_json(path, data)


def _as_json(settings: Settings) -> dict[str, Any]:
    wish = settings.wish
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": None if wish.source is None else source_text(wish.source),
        "camera": _plain(_camera_settings(wish.source)),
        "theme": wish.theme,
        "analysis": _plain(wish.config),
        "view": _plain(wish.view),
        "window": _plain(settings.layout),
    }


def _camera_settings(spec: SourceSpec | None) -> CameraSettings:
    if spec is None or spec.kind != "camera":
        return CameraSettings()
    return CameraSettings(picture_width=spec.width, picture_height=spec.height, rate=spec.fps, exposure=spec.exposure)


def _with_camera(spec: SourceSpec | None, kept: CameraSettings) -> SourceSpec | None:
    if spec is None or spec.kind != "camera":
        return spec
    return replace(spec, width=kept.picture_width, height=kept.picture_height, fps=kept.rate, exposure=kept.exposure)


def source_text(spec: SourceSpec) -> str:
    """The source as the command line takes it."""
    return str(spec.path.resolve()) if spec.path is not None else str(spec.camera)


def _plain(record: Any) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in _kept_names(record)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _kept_names(record: Any) -> list[str]:
    return [entry.name for entry in fields(record) if entry.name not in NOT_KEPT]


def _from_json(path: Path, data: Any) -> Settings:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise _wrong(path, f'it lacks "format": "{FORMAT}"')
    version = data.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise _wrong(path, f"it has version {reprlib.repr(version)}, and this program reads up to {VERSION}; update handviz")
    theme = data.get("theme", "dark")
    if not isinstance(theme, str) or theme not in PALETTES:
        raise _wrong(path, f'"theme" is {reprlib.repr(theme)}, not one of {", ".join(PALETTES)}')
    wish = Wish(
        config=_read(path, data.get("analysis", {}), SessionConfig()),
        view=_read(path, data.get("view", {}), ViewOptions()),
        theme=theme,
        source=_with_camera(_source(path, data.get("source")), _read(path, data.get("camera", {}), CameraSettings())),
    )
    return Settings(wish=wish, layout=_read(path, data.get("window", {}), WindowLayout()))


def _source(path: Path, text: Any) -> SourceSpec | None:
    if not isinstance(text, str | NoneType):
        raise _wrong(path, '"source" is not a string')
    try:
        return None if text is None else parse_source(text)
    except HandvizError:
        # What was open last may be gone by now, which is not an error in the file.
        return None


def _read(path: Path, data: Any, default: T) -> T:
    if not isinstance(data, dict):
        raise _wrong(path, f"it has {reprlib.repr(data)} where a JSON object belongs")
    hints = get_type_hints(type(default))
    unknown = sorted(set(data) - set(_kept_names(default)))
    if unknown:
        raise _wrong(path, f'it has an unknown entry "{unknown[0]}"')
    values = {name: _checked(path, name, value, hints[name]) for name, value in data.items()}
    return replace(default, **values)  # type: ignore[type-var]


def _checked(path: Path, name: str, value: Any, hint: Any) -> Any:
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for choice in choices:
        if _fits(value, choice):
            low, high = RANGES.get(name, (float("-inf"), float("inf")))
            numbers = value if isinstance(value, list) else [value]
            if any(isinstance(number, int | float) and not low <= number <= high for number in numbers):
                raise _wrong(path, f'"{name}" is {reprlib.repr(value)}, outside {low:g} to {high:g}')
            if isinstance(value, list) and name in LENGTHS and len(value) != LENGTHS[name]:
                raise _wrong(path, f'"{name}" has {len(value)} values, not {LENGTHS[name]}')
            return _converted(value, choice)
    raise _wrong(path, f'"{name}" is {reprlib.repr(value)}, which is not a valid value')


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(_fits(item, get_args(kind)[0]) for item in value)
    if kind is Path:
        return isinstance(value, str)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _converted(value: Any, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return tuple(value)
    return kind(value) if kind in (Path, float) else value


def _wrong(path: Path, what: str) -> SettingsError:
    return SettingsError(f"{path}: these settings cannot be used: {what}", "Correct the file, or delete it")
