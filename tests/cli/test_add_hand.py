from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from handviz.cli.main import main
from handviz.errors import ModelFileError
from handviz.hand.library import hand_path, known_hands, user_hands_folder


def test_a_hand_is_added_under_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(hand_path("default"), tmp_path / "mine.npz")
    assert main(["add-hand", str(tmp_path / "mine.npz"), "--name", "My Hand"]) == 0
    assert "--hand-model my_hand" in capsys.readouterr().out
    assert "my_hand" in known_hands()


def test_a_bad_file_is_one_line_and_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "MANO_RIGHT.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert main(["add-hand", str(tmp_path / "MANO_RIGHT.pkl")]) != 0
    told = capsys.readouterr().err
    assert "asks to run os.system" in told
    assert "Traceback" not in told


def test_a_folder_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    user_hands_folder().mkdir(parents=True)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ModelFileError, match="cannot be read"):
        known_hands()
