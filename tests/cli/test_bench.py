from __future__ import annotations

from pathlib import Path

import pytest

from handviz.cli import bench
from handviz.cli.main import main


def test_a_file_that_can_not_be_written_is_told_before_anything_is_measured(
    numbered_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[object] = []
    monkeypatch.setattr(bench, "bench", lambda *asked: measured.append(asked))
    assert main(["bench", str(numbered_video), "--json", str(tmp_path / "no" / "such.json")]) == 1
    assert "its folder does not exist" in capsys.readouterr().err and measured == []


def test_a_folder_without_a_readable_picture_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.heic").write_bytes(b"a phone's")
    assert main(["bench", str(tmp_path)]) == 1
    assert "a.heic: not a readable picture" in capsys.readouterr().err
