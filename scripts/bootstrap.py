"""Create ``.venv`` and install the project into it. Uses nothing but Python itself.

System libraries that are missing on Debian are installed when running as root; otherwise the command to run is printed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from machine import check_machine, has_nvidia, no_python, other_python, pins_fit, python_fits
from own_python import own_python

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OWN_PYTHON = ROOT / ".python"
CONSTRAINTS = ROOT / "constraints.txt"
# The index that has torch without CUDA: a tenth of the download, and as fast without a GPU.
TORCH_FOR_CPUS = "https://download.pytorch.org/whl/cpu"
# File that must be found by the dynamic linker -> Debian package that contains it.
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
    """Return the interpreter of a ready ``.venv`` (``extra`` such as "test" adds optional packages).

    Where this Python is too old or too new, the script runs again with a suitable one, fetched if necessary, and this run ends.
    """
    check_machine()
    if not python_fits():
        raise SystemExit(run_to_end([suitable_python(), *sys.argv]))
    install_system_packages()
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not works(python):
        print(f"Creating {VENV}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    install_project(python, extra)
    return python


def suitable_python() -> str:
    """Return a Python that can run handviz, found on this machine or fetched. Exits with advice where there is none."""
    other = other_python()
    if other is None:
        # A fresh Debian's Python has no venv, which fetching needs.
        install_system_packages()
        own = own_python(OWN_PYTHON)
        if own is None:
            raise no_python()
        other = str(own)
    print(f"Continuing with {other}", flush=True)
    return other


def run_to_end(command: list[str], environment: dict[str, str] | None = None) -> int:
    """Run a command and return its status. Ctrl-C is left to the command, which may have files to finish."""
    child = subprocess.Popen(command, env=environment)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return child.wait()


def works(python: Path) -> bool:
    """Say whether the interpreter of the environment starts and has pip."""
    if not python.exists():
        return False
    answer = subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True, check=False)
    return answer.returncode == 0


def install_system_packages() -> None:
    """Install missing Debian packages as root; exit with the command otherwise. Other systems come with these libraries."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_packages()
    if not missing:
        return
    apt = shutil.which("apt-get")
    command = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    if apt is None:
        print(f"Your system lacks the Debian packages {', '.join(missing)}; install its own ones if something fails.", flush=True)
        return
    if os.geteuid() != 0:
        raise SystemExit(f"Some system packages are missing. Run this once, then the script again:\n\n    sudo {command}\n")
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
    print("Installing handviz and its dependencies; the first time takes a few minutes and about 4 GB of disk.", flush=True)
    install_torch_for_cpus(python)
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    pins = ["-c", str(CONSTRAINTS)] if pins_fit() else []
    status = subprocess.run([*pip_install(python), *pins, "-e", target], check=False).returncode
    if status != 0:
        raise SystemExit(
            "The installation failed; the lines above say why. Check the network and free disk space, then try again."
        )
    if not extra:
        compile_ahead(python)
    stamp.write_text(wanted)


def compile_ahead(python: Path) -> None:
    """Compile now what the first seconds of use would wait for. Failures are ignored here: the next command will report them."""
    print("Compiling for this processor.", flush=True)
    command = [str(python), str(ROOT / "scripts" / "compile_ahead.py")]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def install_torch_for_cpus(python: Path) -> None:
    """Install torch without CUDA on a Linux machine without a GPU; if that fails, the usual one is installed later."""
    if not sys.platform.startswith("linux") or has_nvidia() or is_installed(python, "torch") or not pins_fit():
        return
    torch = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    patience = ["--retries", "0", "--timeout", "5", "--no-deps"]
    command = [*pip_install(python), *patience, "--index-url", TORCH_FOR_CPUS, torch]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def is_installed(python: Path, package: str) -> bool:
    """Say whether the environment has a package."""
    command = [str(python), "-m", "pip", "show", "--quiet", package]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def pip_install(python: Path) -> list[str]:
    """Return the beginning of every installation command; progress is shown only in a terminal."""
    shown = [] if sys.stdout.isatty() else ["--quiet"]
    return [str(python), "-m", "pip", "install", *shown, "--disable-pip-version-check"]


def fingerprint(extra: str) -> str:
    """Return what an installation depends on."""
    digest = hashlib.sha256(extra.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()
