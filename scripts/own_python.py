"""A private Python for handviz, for machines that have only newer or older ones. Uses nothing but Python itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "3.12"


def own_python(folder: Path) -> Path | None:
    """Return Python 3.12 in ``folder``, fetched by uv unless it is there already; None where it cannot be fetched."""
    found = _found(folder)
    if found is None:
        print(f"Fetching Python {VERSION} into {folder}", flush=True)
        try:
            _fetch(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"Python could not be fetched: {error}", flush=True)
        found = _found(folder)
    return found


def _found(folder: Path) -> Path | None:
    name = "python.exe" if os.name == "nt" else f"bin/python{VERSION}"
    there = sorted(folder.glob(f"cpython-{VERSION}*/{name}"))
    return there[-1] if there else None


def _fetch(folder: Path) -> None:
    uv = shutil.which("uv") or _own_uv(folder / "uv")
    # Nothing is put outside the folder: no command in the user's path, no entry in the Windows registry.
    quietly = {"UV_PYTHON_INSTALL_DIR": str(folder), "UV_PYTHON_INSTALL_BIN": "0", "UV_PYTHON_INSTALL_REGISTRY": "0"}
    subprocess.run([uv, "python", "install", VERSION], check=True, env={**os.environ, **quietly})


def _own_uv(venv: Path) -> str:
    """Return uv, installed in its own virtual environment from where all packages come."""
    bin_folder = venv / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    subprocess.run([str(bin_folder / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "uv"], check=True)
    return str(bin_folder / "uv")
