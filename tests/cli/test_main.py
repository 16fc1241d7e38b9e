from __future__ import annotations

from pathlib import Path

import pytest

from handviz.cli.main import _misspelt, main


@pytest.mark.parametrize(("word", "meant"), [("proces", "process"), ("docter", "doctor"), ("benhc", "bench")])
def test_a_misspelt_command_is_told_with_the_near_one(word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main([word, "clip.mp4"])
    told = capsys.readouterr().err
    assert refused.value.code == 2 and f"Did you mean `handviz {meant}`?" in told and "unrecognized" not in told


def test_a_source_and_an_option_are_no_misspelt_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("proces").mkdir()
    for word in ("proces", "process.mp4", "--process", "0", "clip.mp4"):
        assert _misspelt(word) is None
