"""``handviz doctor``: what was found on this machine, and what to do about what is missing."""

from __future__ import annotations

import argparse
import ctypes.util
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handviz import __version__
from handviz.display import draws_on_x11, has_display
from handviz.errors import HandvizError

DEBIAN_LIBRARIES = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "usb-1.0": "libusb-1.0-0",
    "glib-2.0": "libglib2.0-0",
    "xkbcommon": "libxkbcommon0",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
}
WINDOW_LIBRARIES = {
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-shape": "libxcb-shape0",
    "xkbcommon-x11": "libxkbcommon-x11-0",
}
# Part of Microsoft's redistributable. Torch, MediaPipe, ONNX Runtime, LiteRT and Open3D need them but do not ship them.
WINDOWS_RUNTIME = ("msvcp140", "msvcp140_1", "msvcp140_atomic_wait", "concrt140", "vcomp140", "vcruntime140_threads")
WINDOW_PACKAGES = ("PySide6.QtWidgets", "pyqtgraph", "open3d")
CAMERA_RIGHTS = {
    "darwin": "allow it for your terminal under System Settings, Privacy & Security, Camera",
    "win32": "allow desktop apps to use it under Settings, Privacy & security, Camera",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: what was looked for, what was found, and what to do when something is missing."""

    topic: str
    found: str
    good: bool = True
    advice: str = ""
    needed: bool = True


def run(arguments: argparse.Namespace) -> int:
    """Print the findings, each check's as soon as it is done; returns 1 when something that is needed is missing."""
    lacking = False
    for check in CHECKS:
        for finding in _made(check):
            _tell(finding)
            lacking |= finding.needed and not finding.good
    return 1 if lacking else 0


def _made(check: Callable[[], list[Finding]]) -> list[Finding]:
    """Return what a check finds, or that a package it needs is missing or does not load (torch raises OSError then)."""
    try:
        return check()
    except (ImportError, OSError) as error:
        advice = "install what is missing above; if a package is there but does not load: pip install --force-reinstall PACKAGE"
        topic, found = check.__name__.strip("_"), f"could not be checked: {error}".splitlines()[0]
        return [Finding(topic=topic, found=found, good=False, advice=advice)]


def _tell(finding: Finding) -> None:
    mark = "ok  " if finding.good else ("MISS" if finding.needed else "note")
    print(f"{mark}  {finding.topic:<18} {finding.found}")
    if finding.advice and not finding.good:
        print(f"      {'':<18} -> {finding.advice}")


def _versions() -> list[Finding]:
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return [Finding(topic="handviz", found=f"{__version__}, {system}"), *map(_package, _needed_packages())]


def _needed_packages() -> list[str]:
    """Return the names of the packages that handviz itself depends on; none where it runs without being installed."""
    try:
        needed = importlib.metadata.requires("handviz") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed if "extra ==" not in line]


def _package(name: str) -> Finding:
    try:
        return Finding(topic=name, found=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        advice = f"run python3 scripts/demo.py, which installs everything, or: pip install {name}"
        return Finding(topic=name, found="not installed", good=False, advice=advice)


def _libraries() -> list[Finding]:
    if sys.platform == "win32":
        return [_windows_runtime()]
    if not sys.platform.startswith("linux"):
        return []
    system = _library_group("system libraries", DEBIAN_LIBRARIES, True)
    return [system, _library_group("X11 window", WINDOW_LIBRARIES, draws_on_x11())]


def _windows_runtime() -> Finding:
    topic, missing = "Visual C++ runtime", [name for name in WINDOWS_RUNTIME if ctypes.util.find_library(name) is None]
    if not missing:
        return Finding(topic=topic, found="all found")
    advice = "winget install Microsoft.VCRedist.2015+.x64, then start handviz again"
    return Finding(topic=topic, found=f"missing or too old: {', '.join(missing)}", good=False, advice=advice)


def _library_group(topic: str, libraries: dict[str, str], needed: bool) -> Finding:
    missing = [package for name, package in libraries.items() if ctypes.util.find_library(name) is None]
    if not missing:
        return Finding(topic=topic, found="all found")
    advice = f"on Debian or Ubuntu: sudo apt-get install -y --no-install-recommends {' '.join(missing)}"
    return Finding(topic=topic, found=f"missing: {', '.join(missing)}", good=False, advice=advice, needed=needed)


def _gpu() -> list[Finding]:
    import torch

    if torch.cuda.is_available():
        return [Finding(topic="GPU", found=torch.cuda.get_device_name(0))]
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        # For Windows PyPI, too, has only the CPU build of torch.
        index = " --index-url https://download.pytorch.org/whl/cu128" if sys.platform == "win32" else ""
        advice = f"{sys.executable} -m pip install --force-reinstall torch=={torch.__version__.partition('+')[0]}{index}"
        return [Finding(topic="GPU", found="the installed torch is a CPU-only build", good=False, advice=advice, needed=False)]
    return [Finding(topic="GPU", found="none; networks run on the CPU", good=False, needed=False)]


def _cameras() -> list[Finding]:
    from handviz.capture.webcam import list_cameras

    cameras = list_cameras()
    if cameras:
        return [Finding(topic="cameras", found=", ".join(f"number {number}" for number in cameras))]
    allowed = CAMERA_RIGHTS.get(sys.platform, "check that you may read /dev/video*")
    advice = f"plug one in, close other programs that use it, and {allowed}; recordings work without a camera"
    return [Finding(topic="cameras", found="none", good=False, advice=advice, needed=False)]


def _window() -> list[Finding]:
    for library in WINDOW_PACKAGES:
        importlib.import_module(library)
    return [Finding(topic="window", found="its libraries load")]


def _display() -> list[Finding]:
    if not has_display():
        advice = "start handviz from a desktop, or use `handviz process`; scripts/demo.py works without a display"
        return [Finding(topic="display", found="none", good=False, advice=advice, needed=False)]
    return [Finding(topic="display", found="found")]


def _models() -> list[Finding]:
    from handviz.models.mediapipe_bundle import bundle_place

    try:
        return [Finding(topic="hand detector", found=str(bundle_place()))]
    except HandvizError as error:
        return [Finding(topic="hand detector", found="missing", good=False, advice=str(error))]


def _estimators() -> list[Finding]:
    from handviz.estimate.registry import estimator_names

    return [Finding(topic="estimators", found=", ".join(estimator_names()))]


def _networks() -> list[Finding]:
    from handviz.estimate.registry import estimator_names, lacks, weights_for

    findings = []
    for name in estimator_names():
        labels, reason = [file.label for file in weights_for(name)], lacks(name)
        if labels or reason:
            found = ", ".join(labels) or "none"
            findings.append(Finding(topic=f"{name} networks", found=found, good=bool(labels), needed=False, advice=reason or ""))
    return findings


def _hands() -> list[Finding]:
    from handviz.hand.library import known_hands

    return [Finding(topic="hand models", found=", ".join(known_hands()))]


def _clip() -> list[Finding]:
    from handviz.clip import bundled_clip

    clip = bundled_clip()
    found = str(clip) if clip else "not bundled"
    return [Finding(topic="bundled clip", found=found, good=clip is not None, needed=False, advice="give a path instead")]


def _folders() -> list[Finding]:
    from handviz.paths import config_folder, data_folder

    return [_folder(name, path) for name, path in (("data", data_folder()), ("settings", config_folder()))]


def _folder(name: str, path: Path) -> Finding:
    nearest = next(p for p in (path, *path.parents) if p.exists())
    good = nearest.is_dir() and os.access(nearest, os.W_OK)
    advice = f"make {nearest} writable" if nearest.is_dir() else f"{nearest} is not a folder: move it elsewhere"
    return Finding(topic=f"{name} folder", found=str(path), good=good, advice=advice)


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _versions,
    _libraries,
    _gpu,
    _window,
    _display,
    _cameras,
    _models,
    _estimators,
    _networks,
    _hands,
    _clip,
    _folders,
)
