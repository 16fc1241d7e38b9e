"""Install and show handviz: ``python3 scripts/demo.py [SOURCE] [OPTIONS]``.

Opens the window on SOURCE, else on what was open last, else on the first webcam, else on the bundled clip. Without a
display it plays SOURCE or the clip off screen and writes an annotated video and a picture of the window to ``out/demo``.
OPTIONS are those of ``handviz app``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from bootstrap import ROOT, prepare, run_to_end

CLIP = ROOT / "handviz" / "assets" / "clip" / "demo.mp4"
OUT = ROOT / "out" / "demo"
SCREENSHOT_AFTER_S = "12"


def main() -> int:
    words = sys.argv[1:]
    if any(word in ("-h", "--help") for word in words):
        print(__doc__)
        return 0
    python = prepare()
    return with_display(python, words) if has_display() else without_display(python, words)


def with_display(python: Path, words: list[str]) -> int:
    """Open the window."""
    return run_to_end([str(python), "-m", "handviz", "app", *words], environment())


def environment(**more: str) -> dict[str, str]:
    """Return variables with which Python finds handviz from any folder: the caller's stays current, for the given file names."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def has_display() -> bool:
    """Say whether a window can be opened."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def without_display(python: Path, words: list[str]) -> int:
    """Process the clip, and photograph the window while it plays off screen."""
    is_named = bool(words) and not words[0].startswith("-")
    source, options = (words[0], words[1:]) if is_named else (str(CLIP), words)
    if not Path(source).exists():
        print(f"{source}: no such recording. Give one: python3 scripts/demo.py VIDEO", file=sys.stderr)
        return 1
    OUT.mkdir(parents=True, exist_ok=True)
    # Options that only the window knows are not for `process`.
    parser = argparse.ArgumentParser(prog="demo.py", add_help=False, allow_abbrev=False)
    parser.add_argument("--screenshot", type=Path, default=OUT / "window.png")
    parser.add_argument("--quit-after", default=SCREENSHOT_AFTER_S)
    window_alone, options = parser.parse_known_args(options)
    poses, video, picture = OUT / "poses.jsonl", OUT / "annotated.mp4", window_alone.screenshot
    began = time.time()
    print("No display was found, so the recording is played off screen.", flush=True)
    handviz = [str(python), "-m", "handviz"]
    process = [*handviz, "process", source, "--out", str(poses), "--save-video", str(video), *options]
    status = run_to_end(process, environment())
    window = [*handviz, "app", source, "--screenshot", str(picture), "--quit-after", window_alone.quit_after, *options]
    status = run_to_end(window, environment(QT_QPA_PLATFORM="offscreen")) or status
    for what, path in (("poses", poses), ("annotated video", video), ("picture of the window", picture)):
        is_new = path.exists() and path.stat().st_mtime >= began
        print(f"{what:<22} {path if is_new else 'could not be written'}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
