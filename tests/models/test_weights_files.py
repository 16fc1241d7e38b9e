"""Which weights files are offered: by their headers, shipped ones first, nothing broken or foreign."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from handviz.errors import ModelFileError
from handviz.models.checkpoint import save_weights
from handviz.models.weights_files import (
    DENSE_KIND,
    GROUPS_KIND,
    Weights,
    kind_of,
    known_weights,
    named_weights,
    own_folder,
    read_header,
    read_weights,
    shipped_folder,
)


def put(name: str, kind: str, config: dict[str, object]) -> Path:
    path = own_folder() / name
    save_weights(path, Weights(kind=kind, config=config, tensors={"a": torch.ones(1)}, notes={}))
    return path


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))


def test_shipped_come_first_and_own_ones_after() -> None:
    mine = put("mine.safetensors", GROUPS_KIND, {"groups": 5})
    known = known_weights(GROUPS_KIND)
    assert known[0].path.name == "groups-live.safetensors" and known[0].groups
    assert known[-1].path == mine and known[-1].label == "K 5 · mine"


def test_weights_can_be_given_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = put("mine.safetensors", GROUPS_KIND, {"groups": 5})
    assert named_weights(Path("mine")) == mine
    assert named_weights(Path("groups-live")) == shipped_folder() / "groups-live.safetensors"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_bytes(b"a file here")
    assert named_weights(Path("mine")) == Path("mine"), "a file is what was meant where there is one"
    for text in ("other", "models/groups-live", "groups-live.safetensors"):
        assert named_weights(Path(text)) == Path(text)
    with pytest.raises(ModelFileError, match=r"other: no such weights file.*dense-live, groups-live, .*mine"):
        read_header(Path("other"))


def test_other_kinds_parts_and_broken_files_are_left_out() -> None:
    put("dense.safetensors", DENSE_KIND, {})
    put("dense.part2.safetensors", DENSE_KIND, {})
    (own_folder() / "broken.safetensors").write_bytes(b"\x08\x00nothing")
    own = [file for file in known_weights(DENSE_KIND) if file.path.parent == own_folder()]
    assert [file.label for file in own] == ["dense"]
    assert not [file for file in known_weights(GROUPS_KIND) if file.path.parent == own_folder()]


def test_a_header_without_groups_has_none() -> None:
    assert read_header(put("odd.safetensors", GROUPS_KIND, {"groups": "many"})).groups is None


def test_a_folder_is_told_as_one(tmp_path: Path) -> None:
    for read in (read_header, lambda path: read_weights(path, GROUPS_KIND, "np")):
        with pytest.raises(ModelFileError, match="a folder"):
            read(tmp_path)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    for path in (text, tmp_path / "gone.safetensors"):
        with pytest.raises(ModelFileError, match=path.name):
            kind_of(path)


def test_a_file_closed_to_us_is_told_from_a_damaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = put("mine.safetensors", GROUPS_KIND, {"groups": 5})
    monkeypatch.setattr("os.access", lambda *_: False)
    for read in (read_header, lambda path: read_weights(path, GROUPS_KIND, "np")):
        with pytest.raises(ModelFileError, match=r"cannot be read\. Check its permissions"):
            read(mine)
