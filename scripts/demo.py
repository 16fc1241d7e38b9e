"""Install and show handviz: ``python3 scripts/demo.py [SOURCE]``.

Opens the window on SOURCE, else on the first webcam, else on the bundled clip. Without a display it plays the clip
off screen and writes an annotated video and a picture of the window to ``out/demo``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bootstrap import ROOT, prepare

CLIP = ROOT / "handviz" / "assets" / "clip" / "demo.mp4"
OUT = ROOT / "out" / "demo"
SCREENSHOT_AFTER_S = "12"


def main() -> int:
    python = prepare()
    words = sys.argv[1:]
    if has_display():
        return subprocess.run([str(python), "-m", "handviz", "app", *words], cwd=ROOT, check=False).returncode
    return without_display(python, words)


def has_display() -> bool:
    """Say whether a window can be opened."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def without_display(python: Path, words: list[str]) -> int:
    """Process the clip, and photograph the window while it plays off screen."""
    source = words[0] if words else str(CLIP)
    if not Path(source).exists():
        print(f"{source}: no such recording. Name one: python3 scripts/demo.py VIDEO", file=sys.stderr)
        return 1
    OUT.mkdir(parents=True, exist_ok=True)
    poses, video, picture = OUT / "poses.jsonl", OUT / "annotated.mp4", OUT / "window.png"
    print("No display was found, so the recording is played off screen.", flush=True)
    handviz = [str(python), "-m", "handviz"]
    rest = words[1:]
    process = [*handviz, "process", source, "--out", str(poses), "--save-video", str(video), *rest]
    status = subprocess.run(process, cwd=ROOT, check=False).returncode
    window = [*handviz, "app", source, "--screenshot", str(picture), "--quit-after", SCREENSHOT_AFTER_S, *rest]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    status = subprocess.run(window, cwd=ROOT, env=environment, check=False).returncode or status
    for what, path in (("poses", poses), ("annotated video", video), ("picture of the window", picture)):
        print(f"{what:<22} {path if path.exists() else 'could not be written'}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
