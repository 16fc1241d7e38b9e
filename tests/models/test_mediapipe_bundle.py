from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from handviz.errors import ModelFileError
from handviz.models.mediapipe_bundle import BUNDLE_NAME, LANDMARKS_MEMBER, bundle_place, landmarker_bundle, landmarks_network


def test_a_home_that_can_not_be_written_to_needs_no_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a folder can be made in it."""
    (tmp_path / "home").touch()
    monkeypatch.setenv("HANDVIZ_CACHE", str(tmp_path / "home" / "cache"))
    assert len(landmarks_network()) > 1_000_000
    assert bundle_place().name == "mediapipe" and (tmp_path / "home").read_bytes() == b""


def test_a_bundle_of_the_users_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = landmarker_bundle()
    monkeypatch.setenv("HANDVIZ_CACHE", str(tmp_path))
    path = tmp_path / BUNDLE_NAME
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("of mine", b"")
    assert bundle_place() == path and landmarker_bundle() == path.read_bytes() != whole


@pytest.mark.parametrize(("content", "told"), [(None, "no such"), (b"", "not a readable"), (b"lacks", "of another kind")])
def test_a_bundle_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, told: str) -> None:
    path = tmp_path / "given.task"
    monkeypatch.setenv("HANDVIZ_HAND_LANDMARKER", str(path))
    if content == b"lacks":
        with zipfile.ZipFile(path, "w") as bundle:
            bundle.writestr(LANDMARKS_MEMBER, b"")
    elif content is not None:
        path.write_bytes(content)
    for use in (landmarker_bundle, bundle_place):
        with pytest.raises(ModelFileError, match=rf"given\.task: .*{told}"):
            use()
