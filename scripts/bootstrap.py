"""Makes ``.venv`` and installs the project into it. Uses nothing but Python itself.

System libraries that are missing on Debian are installed when running as root; else the one command to type is printed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST, NEWEST = (3, 10), (3, 12)
# File that must be found by the dynamic linker -> Debian package that brings it.
LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
}
X11_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}


def prepare(extra: str = "") -> Path:
    """Return the interpreter of a ready ``.venv`` (``extra`` such as "test" adds optional packages)."""
    check_python()
    install_system_packages()
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not works(python):
        print(f"Making {VENV}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    install_project(python, extra)
    return python


def check_python() -> None:
    """Stop with what to do when this Python is too old or too new."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(str(n) for n in sys.version_info[:2])
        raise SystemExit(f"handviz needs Python 3.10, 3.11 or 3.12; this is {found}. Install one and run it with that.")


def works(python: Path) -> bool:
    """Say whether the interpreter of the environment starts and has pip."""
    if not python.exists():
        return False
    answer = subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True, check=False)
    return answer.returncode == 0


def install_system_packages() -> None:
    """Install what is missing on Debian when root; print the command otherwise. Other systems bring these libraries."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_packages()
    if not missing:
        return
    apt = shutil.which("apt-get")
    command = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    if apt is None:
        print(f"Your system lacks what Debian calls {', '.join(missing)}; install the like if something fails.", flush=True)
        return
    if os.geteuid() != 0:
        raise SystemExit(f"Some system packages are missing. Type this once, then run me again:\n\n    sudo {command}\n")
    print(f"Installing system packages: {' '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([apt, "-qq", "update"], check=False, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run([apt, "-qq", *command.split()[1:]], check=True, env=environment, stdout=subprocess.DEVNULL)


def missing_packages() -> list[str]:
    """Return the Debian packages whose libraries, or Python's venv module, are not there."""
    known = linker_cache()
    wanted = dict(LIBRARIES)
    if os.environ.get("DISPLAY"):
        wanted.update(X11_LIBRARIES)
    missing = [package for library, package in wanted.items() if library not in known]
    answer = subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    if answer.returncode != 0:
        missing.append(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")
    return missing


def linker_cache() -> str:
    """Return the names of all libraries the dynamic linker knows."""
    tool = shutil.which("ldconfig") or "/sbin/ldconfig"
    try:
        return subprocess.run([tool, "-p"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def install_project(python: Path, extra: str) -> None:
    """Install the project with its exact versions, unless exactly this was installed before."""
    wanted = fingerprint(extra)
    stamp = VENV / f"installed-{extra or 'app'}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Installing handviz and what it needs; the first time takes a few minutes.", flush=True)
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    status = subprocess.run([*command, "-c", str(ROOT / "constraints.txt"), "-e", target], check=False).returncode
    if status != 0:
        raise SystemExit(
            "The installation failed; the lines above say why. Check the network and free disk space, then try again."
        )
    stamp.write_text(wanted)


def fingerprint(extra: str) -> str:
    """Return what an installation depends on."""
    digest = hashlib.sha256(extra.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()
