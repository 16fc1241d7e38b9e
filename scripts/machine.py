"""Whether this machine and its Python can run handviz, and what to do where they cannot. Uses nothing but Python itself."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 10), (3, 12)
# Required packages have wheels only for these: MediaPipe has none for Linux on ARM, torch none for Intel Macs.
MACHINES = {"linux": ("x86_64",), "darwin": ("arm64",), "win32": ("AMD64", "x86_64")}
# The exact versions of constraints.txt need this much; on older systems pip takes the newest that fit.
PINNED_GLIBC, PINNED_MACOS = (2, 35), (14,)
_HOW_TO_GET = {
    "linux": "your system's python3.12 with its venv package, or https://docs.astral.sh/uv: uv python install 3.12",
    "darwin": "brew install python@3.12",
    "win32": "winget install Python.Python.3.12, then: py -3.12 scripts\\demo.py",
}


def check_machine() -> None:
    """Stop with the reason where needed packages have no wheels."""
    known, machine = MACHINES.get(sys.platform, ()), platform.machine()
    if machine in known:
        return
    advice = "On a Mac with Apple silicon, use a Python that is not for Intel." if sys.platform == "darwin" else ""
    needs = "Linux on x86-64 (glibc 2.31 or newer), macOS on Apple silicon, or Windows on x86-64"
    raise SystemExit(
        f"handviz needs {needs}: MediaPipe or torch is not available for {sys.platform} on {machine}. {advice}".strip()
    )


def python_fits() -> bool:
    """Say whether this Python can run handviz."""
    return OLDEST <= sys.version_info[:2] <= NEWEST


def other_python() -> str | None:
    """Return another Python on this machine that can run handviz, or None."""
    return next((path for path in map(_path_of, _versions()) if path is not None), None)


def no_python() -> SystemExit:
    """Return the error to exit with where no Python can run handviz."""
    found = ".".join(map(str, sys.version_info[:2]))
    how = _HOW_TO_GET.get(sys.platform, "install one")
    return SystemExit(f"handviz needs Python 3.10, 3.11 or 3.12; this is {found}, and no other was found. Get one: {how}")


def _versions() -> list[str]:
    return [f"{OLDEST[0]}.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]


def _path_of(version: str) -> str | None:
    """Return where Python of this version is, None where none starts."""
    for command in ([f"python{version}"], ["py", f"-{version}"]):
        if shutil.which(command[0]) is None:
            continue
        ask = [*command, "-c", "import sys; print(sys.executable)"]
        answer = subprocess.run(ask, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return None


def pins_fit() -> bool:
    """Return whether the exact versions of constraints.txt have wheels for this system."""
    if sys.platform == "darwin":
        return _numbers(platform.mac_ver()[0]) >= PINNED_MACOS
    name, version = platform.libc_ver()
    return name != "glibc" or _numbers(version) >= PINNED_GLIBC


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def has_nvidia() -> bool:
    """Return whether there is a driver with which torch could use a GPU."""
    return shutil.which("nvidia-smi") is not None
