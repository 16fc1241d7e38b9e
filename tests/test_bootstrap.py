"""What the two scripts do before anything is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
HAS_PATIENCE = """
import pathlib, sys, time
try:
    print("begun", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)  # longer than subprocess.run waits before it kills
    pathlib.Path(sys.argv[1]).write_text("finished")
    sys.exit(3)
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import machine

    return machine


@pytest.fixture
def bootstrap(machine: ModuleType) -> ModuleType:
    import bootstrap

    return bootstrap


def test_this_machine_and_python_do(machine: ModuleType) -> None:
    machine.check_machine()
    assert machine.python_fits()


@pytest.mark.parametrize(("system", "chip"), [("linux", "aarch64"), ("darwin", "x86_64"), ("freebsd14", "amd64")])
def test_machines_without_wheels_are_told(machine: ModuleType, monkeypatch: pytest.MonkeyPatch, system: str, chip: str) -> None:
    monkeypatch.setattr(machine.sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: chip)
    with pytest.raises(SystemExit, match=f"{system} on {chip}"):
        machine.check_machine()


@pytest.fixture
def too_new(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend that this is Python 3.13; return the only folder in which programs are found."""
    monkeypatch.setattr(sys, "version_info", (3, 13, 1))
    monkeypatch.setattr(bootstrap, "OWN_PYTHON", tmp_path / "own")
    monkeypatch.setattr(bootstrap, "install_system_packages", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="pretended programs are scripts of a shell")
def test_a_too_new_python_fetches_one_that_fits(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, too_new: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uv, place = too_new / "uv", too_new / "own" / "cpython-3.12.9-linux" / "bin"

    def let_uv(do: str) -> None:
        uv.write_text(f"#!/bin/sh\n{do}\n")
        uv.chmod(0o755)

    let_uv("echo no way >&2; exit 2")
    with pytest.raises(SystemExit, match=r"this is 3\.13, and no other was found\. Get one:"):
        bootstrap.suitable_python()
    assert "no way" in capfd.readouterr().err
    let_uv(f'test "$*" = "python install 3.12" && /bin/mkdir -p {place} && : > {place}/python3.12')
    assert bootstrap.suitable_python() == str(place / "python3.12")
    uv.unlink()
    assert bootstrap.suitable_python() == str(place / "python3.12"), "it is fetched once"


@pytest.mark.skipif(os.name == "nt", reason="pretended programs are scripts of a shell")
def test_where_uv_is_missing_it_is_installed_beside_the_python(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, too_new: Path
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr("own_python.subprocess.run", lambda command, **_: ran.append(command))
    with pytest.raises(SystemExit, match="Get one:"):
        bootstrap.suitable_python()
    own_uv = too_new / "own" / "uv" / "bin"
    assert [command[0] for command in ran] == [sys.executable, str(own_uv / "python"), str(own_uv / "uv")]


def test_a_too_new_python_hands_over_to_one_that_fits(bootstrap: ModuleType, too_new: Path) -> None:
    # One that does not start, like a version manager's stub, and one that does.
    for name, text in (("python3.12", "exit 1"), ("python3.10", f'exec "{sys.executable}" "$@"')):
        (too_new / name).write_text(f"#!/bin/sh\n{text}\n")
        (too_new / name).chmod(0o755)
    assert bootstrap.suitable_python() == sys.executable


@pytest.mark.parametrize(
    ("libc", "fit"), [(("glibc", "2.35"), True), (("glibc", "2.41"), True), (("glibc", "2.31"), False), (("", ""), True)]
)
def test_old_systems_get_no_exact_versions(
    machine: ModuleType, monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str], fit: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.libc_ver", lambda: libc)
    assert machine.pins_fit() is fit


@pytest.mark.parametrize(("driver", "there", "expected"), [(False, False, True), (True, False, False), (False, True, False)])
def test_torch_for_cpus_is_for_machines_without_a_gpu(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, driver: bool, there: bool, expected: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(bootstrap, "has_nvidia", lambda: driver)
    monkeypatch.setattr(bootstrap, "pins_fit", lambda: True)
    monkeypatch.setattr(bootstrap, "is_installed", lambda python, package: there)
    ran: list[list[str]] = []
    # As where that index cannot be reached: nothing is printed, and the usual torch is installed later.
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda command, **_: ran.append(command))
    bootstrap.install_torch_for_cpus(Path("python"))
    assert [command[-1].startswith("torch==") and bootstrap.TORCH_FOR_CPUS in command for command in ran] == [True] * expected


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")
def test_an_interrupted_program_ends_in_its_own_time(tmp_path: Path) -> None:
    done = tmp_path / "done"
    command = [sys.executable, "-c", HAS_PATIENCE, str(done)]
    # A test suite that runs in the background ignores Ctrl-C, and so would the processes it starts.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from bootstrap import run_to_end; sys.exit(run_to_end({command!r}))"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None and child.stdout.readline() == b"begun\n"
    time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)
    assert child.wait(30) == 3 and done.read_text() == "finished"
    child.stdout.close()
