"""``scripts/demo.py``, without its installation and without the window."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import demo

    monkeypatch.setattr(demo, "OUT", tmp_path / "out")
    monkeypatch.setattr(demo, "prepare", lambda: Path(sys.executable))
    monkeypatch.setattr(demo, "has_display", lambda: False)
    return demo


@pytest.fixture
def commands(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of handviz that the demo runs; only ``process`` really runs."""
    given: list[list[str]] = []
    real = demo.run_to_end

    def run(command: list[str], environment: dict[str, str]) -> int:
        given.append(command[3:])
        return real(command, environment) if "process" in command else 0

    monkeypatch.setattr(demo, "run_to_end", run)
    return given


def test_a_recording_is_found_from_the_callers_folder(
    demo: ModuleType,
    commands: list[list[str]],
    numbered_video: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (numbered_video.parent / "handviz").mkdir()  # a folder of that name is not taken for the program
    monkeypatch.chdir(numbered_video.parent)
    monkeypatch.setattr(sys, "argv", ["demo.py", numbered_video.name, "--estimator", "mediapipe", "--max-hands", "1"])
    assert demo.main() == 0
    assert [(words[:2], words[-2:]) for words in commands] == [
        (["process", "numbered.mp4"], ["--max-hands", "1"]),
        (["app", "numbered.mp4"], ["--max-hands", "1"]),
    ]
    assert len((demo.OUT / "poses.jsonl").read_text().splitlines()) == 40
    told = capsys.readouterr().out
    assert str(demo.OUT / "annotated.mp4") in told and "could not be written" in told.splitlines()[-1]


def test_options_alone_play_the_clip(demo: ModuleType, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "run_to_end", lambda command, environment: commands.append(command[3:]) or 0)
    monkeypatch.setattr(sys, "argv", ["demo.py", "--estimator", "groups"])
    assert demo.main() == 0
    assert all(words[1] == str(demo.CLIP) and words[-2:] == ["--estimator", "groups"] for words in commands)


def test_what_the_window_alone_knows_is_not_given_to_process(
    demo: ModuleType, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "run_to_end", lambda command, environment: commands.append(command[3:]) or 0)
    mine = str(tmp_path / "mine.png")
    monkeypatch.setattr(sys, "argv", ["demo.py", "--quit-after=3", "--smoothing", "0.3", "--screenshot", mine])
    assert demo.main() == 0
    process, window = commands
    assert process[-2:] == ["--smoothing", "0.3"] and not {"--screenshot", "--quit-after", mine} & set(process)
    assert window[2:] == ["--screenshot", mine, "--quit-after", "3", "--smoothing", "0.3"]


def test_a_missing_recording_runs_nothing(
    demo: ModuleType, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["demo.py", "gone.mp4"])
    assert demo.main() == 1 and not commands
    assert "gone.mp4: no such recording" in capsys.readouterr().err


def test_help_installs_nothing(demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "prepare", lambda: pytest.fail("help began to install"))
    monkeypatch.setattr(sys, "argv", ["demo.py", "--help"])
    assert demo.main() == 0
    assert "scripts/demo.py [SOURCE]" in capsys.readouterr().out
