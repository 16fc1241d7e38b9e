from __future__ import annotations

import pytest

from handviz.cli import doctor
from handviz.cli.doctor import Finding
from handviz.cli.main import build_parser, main


def test_doctor_names_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    told = capsys.readouterr().out
    for topic in ("Python", "torch", "cameras", "hand detector", "estimators", "hand models", "settings folder"):
        assert topic in told


def test_doctor_fails_and_advises_when_something_needed_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Finding(topic="hand detector", found="missing", good=False, advice="install it")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: [missing],))
    assert main(["doctor"]) == 1
    assert "-> install it" in capsys.readouterr().out


def test_missing_libraries_become_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    finding = doctor._library_group("system libraries", {"GL": "libgl1", "EGL": "libegl1"}, True)
    assert not finding.good and finding.advice.endswith("--no-install-recommends libgl1 libegl1")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args(["--help"])
    assert left.value.code == 0
    told = capsys.readouterr().out
    for command in ("app", "process", "bench", "doctor", "add-hand"):
        assert command in told
