from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import handviz
from handviz.cli.main import _misspelt, main
from handviz.clip import bundled_clip


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
@pytest.mark.parametrize(("display", "told"), [(None, "no display was found"), (":77", "the window cannot start")])
def test_a_window_that_can_not_start_is_told_in_words(display: str | None, told: str) -> None:
    """Qt itself ends the process if the display does not exist."""
    # Without the last two, no other desktop of the machine running this is found either.
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {} if display is None else {"DISPLAY": display}
    command = [sys.executable, "-c", "from handviz.cli.main import entry; raise SystemExit(entry())", "app"]
    ended = subprocess.run(
        [*command, str(bundled_clip())], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 1 and told in ended.stderr and "Traceback" not in ended.stderr


def test_a_package_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "handviz.cli.bench", raising=False)
    monkeypatch.setitem(sys.modules, "handviz.pipeline.bench", None)
    assert main(["bench"]) == 1
    told = capsys.readouterr().err
    assert "handviz.pipeline.bench" in told and "handviz doctor" in told


def test_a_library_that_windows_can_not_load_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load() -> None:
        error = OSError(22, 'The specified module could not be found. Error loading "c10.dll" or one of its dependencies.')
        error.winerror = 126  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr("handviz.cli.doctor.run", lambda arguments: load())
    assert main(["doctor"]) == 1
    told = capsys.readouterr().err
    assert "c10.dll" in told and "does not load" in told and "read and write" not in told


def test_output_in_an_encoding_of_few_characters_is_no_traceback(tmp_path: Path) -> None:
    code = "import sys; from handviz.cli.main import entry; sys.argv[1:] = ['doctor']; sys.exit(entry())"
    environment = {**os.environ, "PYTHONIOENCODING": "cp932", "HANDVIZ_DATA": str(tmp_path / "\u0142")}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert b"Traceback" not in ended.stderr and b"settings folder" in ended.stdout and rb"\u0142" in ended.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = "import sys, handviz.cli; sys.exit(handviz.cli.main(['doctor']))"
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr


def test_a_folder_closed_to_us_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/locked/poses.jsonl")

    monkeypatch.setattr("handviz.cli.convert.convert", closed)
    assert main(["convert", "poses.jsonl", "out.csv"]) == 1
    assert capsys.readouterr().err.startswith("handviz: /locked/poses.jsonl: Permission denied.")


ABANDONED = """
import importlib, sys, threading
from onnxruntime import InferenceSession
command = importlib.import_module("handviz.cli.main")

def load():
    while True:
        InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])

def window():
    threading.Thread(target=load, name="handviz-load", daemon=True).start()
    print("closed")
    return 3

command.main = window
raise SystemExit(command.entry())
"""


def test_a_network_that_is_still_being_loaded_does_not_abort_the_end() -> None:
    """Python's own exit does: it ends threads where they return from a native library."""
    network = Path(handviz.__file__).parent / "assets" / "models" / "groups-live.onnx"
    command = [sys.executable, "-c", ABANDONED, str(network)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (ended.returncode, ended.stdout) == (3, "closed\n"), ended.stderr
