"""Pitfalls of the contact sheet; what it draws is checked by eye, not tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.data.hands import hand_sample
from training.cli import main
from training.data.pack import pack_of, write_pack


@pytest.fixture
def pack_file(tmp_path: Path) -> Path:
    path = tmp_path / "hands.safetensors"
    write_pack(pack_of([hand_sample(0), hand_sample(1)]), path)
    return path


@pytest.mark.parametrize("name", ["sheet", "sheet.xyz", "file/sheet.png"])
def test_a_sheet_that_can_not_be_written_is_one_line(
    name: str, tmp_path: Path, pack_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["preview", str(pack_file), "--count", "2", "--out", str(tmp_path / name)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"training: {tmp_path / name}: ") and ".png or .jpg" in said and "Traceback" not in said


def test_a_sheet_is_written(tmp_path: Path, pack_file: Path) -> None:
    assert main(["preview", str(pack_file), "--count", "2", "--out", str(tmp_path / "new" / "sheet.png")]) == 0
    assert (tmp_path / "new" / "sheet.png").stat().st_size > 1000
