from __future__ import annotations

import importlib.metadata
import sys

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


def test_a_missing_package_costs_no_other_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "MISS  gpu" in told and "import of torch" in told and "settings folder" in told


def test_a_package_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def cameras() -> list[Finding]:
        raise ImportError("libGL.so.1: cannot open shared object file", name="cv2")

    monkeypatch.setattr(doctor, "CHECKS", (cameras,))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "MISS  cameras" in told and "libGL.so.1" in told and "--force-reinstall" in told


def test_a_window_that_can_not_load_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "PySide6.QtWidgets", None)
    monkeypatch.setattr(doctor, "CHECKS", (doctor._window,))
    assert main(["doctor"]) == 1
    assert "MISS  window" in capsys.readouterr().out


def test_every_dependency_is_looked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def version(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["numpy>=1.24", "PySide6-Essentials", "x; extra == 'test'"])
    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setattr(doctor, "CHECKS", (doctor._versions,))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "pip install numpy\n" in told and "pip install PySide6-Essentials\n" in told and told.count("MISS") == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no X11 of their own")
@pytest.mark.parametrize(
    ("display", "wayland", "platform", "needed"),
    [(":0", "", "", True), (":0", "wayland-0", "", False), (":0", "wayland-0", "xcb", True), (":0", "", "offscreen", False)],
)
def test_libraries_of_x11_are_needed_where_windows_are_drawn_by_it(
    display: str, wayland: str, platform: str, needed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DISPLAY", display), ("WAYLAND_DISPLAY", wayland), ("QT_QPA_PLATFORM", platform)):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None if name.startswith("xcb") else name)
    found = {finding.topic: finding for finding in doctor._libraries()}
    assert found["system libraries"].good
    assert not found["X11 window"].good and found["X11 window"].needed is needed


def test_missing_libraries_become_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    finding = doctor._library_group("system libraries", {"GL": "libgl1", "EGL": "libegl1"}, True)
    assert not finding.good and finding.advice.endswith("--no-install-recommends libgl1 libegl1")


def test_a_windows_without_its_runtime_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None if name == "msvcp140_atomic_wait" else f"{name}.dll")
    [finding] = doctor._libraries()
    assert not finding.good and "missing or too old: msvcp140_atomic_wait" in finding.found and "VCRedist" in finding.advice


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args(["--help"])
    assert left.value.code == 0
    told = capsys.readouterr().out
    for command in ("app", "process", "bench", "doctor", "add-hand"):
        assert command in told
