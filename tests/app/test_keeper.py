"""What is kept between runs, and how the command line overrides it."""

from __future__ import annotations

from pathlib import Path

from handviz.app.keeper import load_last, save_last, with_overrides
from handviz.app.settings import Settings, settings_path
from handviz.app.state import Wish
from handviz.capture.base import SourceSpec
from handviz.pipeline.config import SessionConfig

CAMERA = SourceSpec(kind="camera", camera=1)


def test_kept_and_loaded() -> None:
    settings = Settings(wish=Wish(theme="light", source=CAMERA))
    assert save_last(settings) is None
    assert load_last() == (settings, None)


def test_wrong_file_is_set_aside_and_told() -> None:
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text("{ not json")
    settings, problem = load_last()
    assert settings == Settings()
    assert problem is not None and problem.startswith(
        f"{settings_path()}: these settings cannot be used: it is not readable JSON ("
    )
    assert problem.endswith("). The file was renamed to settings.wrong.json, and the defaults are used")
    assert settings_path().with_suffix(".wrong.json").read_text() == "{ not json"
    assert load_last() == (Settings(), None)


def test_an_earlier_wrong_file_is_not_overwritten() -> None:
    settings_path().parent.mkdir(parents=True)
    for text in ("{ first", "{ second", "{ third"):
        settings_path().write_text(text)
        assert load_last()[0] == Settings()
    kept = {path.name: path.read_text() for path in settings_path().parent.iterdir()}
    assert kept == {
        "settings.wrong.json": "{ first",
        "settings.wrong-2.json": "{ second",
        "settings.wrong-3.json": "{ third",
    }


def test_wrong_file_that_cannot_be_renamed_is_to_be_corrected(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(path))

    settings_path().parent.mkdir(parents=True)
    settings_path().write_text("{ not json")
    monkeypatch.setattr(Path, "replace", refuse)
    settings, problem = load_last()
    assert settings == Settings() and settings_path().read_text() == "{ not json"
    assert problem is not None
    assert problem.endswith("). The defaults are used, and the file could not be renamed: correct or delete it")


def test_unwritable_is_told(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDVIZ_CONFIG", str(tmp_path / "file" / "under"))
    assert "could not be saved" in str(save_last(Settings()))


def test_command_line_goes_before() -> None:
    kept = Wish(config=SessionConfig(max_hands=1, smoothing=False), theme="light", source=CAMERA)
    other = SourceSpec(kind="camera", camera=3)
    merged = with_overrides(kept, other, {"fov_deg": 80.0})
    assert not merged.own_calibration and merged.source == other and merged.theme == "light"
    assert merged.config == SessionConfig(max_hands=1, smoothing=False, fov_deg=80.0)
    assert with_overrides(kept, None, {}) == kept


def test_a_held_shape_is_not_put_on_another_hand() -> None:
    shape = (0.5,) * 10
    kept = Wish(config=SessionConfig(hand_shape=shape))
    assert with_overrides(kept, None, {"smoothing": False}).config.hand_shape == shape
    assert with_overrides(kept, None, {"hand_model": "mine"}).config.hand_shape is None


def test_what_is_said_counts_also_where_it_is_the_default() -> None:
    kept = Wish(config=SessionConfig(estimator="dense", max_hands=1, intrinsics=Path("cam.json")))
    said = {"estimator": "auto", "max_hands": 2, "fov_deg": 60.0}
    assert with_overrides(kept, None, said).config == SessionConfig(fov_deg=60.0)
    assert with_overrides(kept, None, {"max_hands": 2}).own_calibration
    assert with_overrides(kept, None, {"max_hands": 2}).config.intrinsics == Path("cam.json")
