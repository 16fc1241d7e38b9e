"""Settings survive a round trip; a wrong file gives one clear error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from handviz.app import settings as st
from handviz.app.state import Wish
from handviz.app.view_options import ViewOptions
from handviz.capture.base import SourceSpec
from handviz.errors import OutputError
from handviz.pipeline.config import SessionConfig


def changed() -> st.Settings:
    return st.Settings(
        wish=Wish(
            config=SessionConfig(
                max_hands=1, smoothing=False, fov_deg=71.5, intrinsics=Path("cam.json"), hand_scale_m=0.09, compare_with="dense"
            ),
            view=ViewOptions(boxes=False, mesh_style="glass", trails=True),
            theme="light",
            source=SourceSpec(kind="camera", camera=2, width=640, height=480, fps=30.0, exposure=8.0),
        ),
        layout=st.WindowLayout(width=1111, height=777, views=(3, 4), upright=(5, 6), plots=False),
    )


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    st.save(changed(), path)
    assert st.load(path) == changed()


def test_versions_of_files_are_no_choices_and_not_kept(tmp_path: Path) -> None:
    path, config = tmp_path / "settings.json", SessionConfig(dense_weights=Path("mine.safetensors"))
    st.save(st.Settings(wish=Wish(config=replace(config, dense_version=(5, 7)))), path)
    assert st.load(path).wish.config == config


@pytest.mark.parametrize("exposure", [None, "auto", 12.5])
def test_a_cameras_exposure_is_kept(tmp_path: Path, exposure: float | str | None) -> None:
    path = tmp_path / "settings.json"
    spec = SourceSpec(kind="camera", exposure=exposure)  # type: ignore[arg-type]
    st.save(st.Settings(wish=Wish(source=spec)), path)
    assert st.load(path).wish.source == spec
    path.write_text(path.read_text().replace('"exposure": ', '"exposure": "dark", "rate": '))
    with pytest.raises(st.SettingsError, match="exposure"):
        st.load(path)


def test_file_is_readable_text(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    st.save(changed(), path)
    data = json.loads(path.read_text())
    assert data["analysis"]["max_hands"] == 1
    assert data["source"] == "2"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_that_an_editor_saved_with_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "settings.json"
    st.save(changed(), path)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    assert st.load(path) == changed()


def test_missing_file_gives_defaults(tmp_path: Path) -> None:
    assert st.load(tmp_path / "none.json") == st.Settings()


def test_source_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"")
    path = tmp_path / "settings.json"
    st.save(st.Settings(wish=Wish(source=SourceSpec(kind="video", path=video))), path)
    loaded = st.load(path).wish.source
    assert loaded is not None and loaded.path == video
    video.unlink()
    assert st.load(path).wish.source is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": "other"}, "format"),
        ({"version": 99}, "version 99"),
        ({"version": "1"}, "version"),
        ({"theme": "pink"}, "pink"),
        ({"theme": []}, "theme"),
        ({"analysis": {"compare_with": 3}}, "compare_with"),
        ({"source": 3}, "source"),
        ({"analysis": []}, "[] where a JSON object"),
        ({"analysis": {"max_hands": "two"}}, "max_hands"),
        ({"analysis": {"max_hands": True}}, "max_hands"),
        ({"analysis": {"max_hands": 65}}, "outside 1 to 64"),
        ({"analysis": {"fov_deg": 400}}, "fov_deg"),
        ({"analysis": {"fov_deg": float("nan")}}, "fov_deg"),
        ({"analysis": {"wings": 2}}, "wings"),
        ({"analysis": {"dense_version": [1, 2]}}, "dense_version"),
        ({"view": {"mesh_style": "fluffy"}}, "mesh_style"),
        ({"view": {"boxes": 1}}, "boxes"),
        ({"window": {"views": ["a"]}}, "views"),
        ({"window": {"views": [10**30, 1]}}, "views"),
        ({"window": {"upright": [-5, 1]}}, "upright"),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, change: dict[str, object], word: str) -> None:
    path = tmp_path / "settings.json"
    st.save(changed(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(st.SettingsError) as error:
        st.load(path)
    assert word in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00bad", b"[" * 100_000, b"9" * 5000])
def test_files_that_are_no_settings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(st.SettingsError, match="settings cannot be used"):
        st.load(path)


def test_unwritable_place(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(OutputError, match="could not be saved"):
        st.save(st.Settings(), blocker / "settings.json")


def test_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDVIZ_CONFIG", str(tmp_path))
    assert st.preset_names() == ()
    st.save(changed(), st.preset_path("Desk lamp"))
    st.save(replace(changed(), wish=Wish()), st.preset_path("b.2"))
    assert st.preset_names() == ("Desk lamp", "b.2")
    assert st.load(st.preset_path("Desk lamp")) == changed()
    assert st.settings_path() == tmp_path / "settings.json"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 80])
def test_bad_preset_names(name: str) -> None:
    with pytest.raises(st.SettingsError, match="not a valid preset name"):
        st.preset_path(name)
