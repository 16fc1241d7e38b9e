"""Regenerate README's pictures with the present networks: ``python scripts/readme_pictures.py [--out FOLDER]``.

``window.jpg`` (a refinement being watched), ``groups.jpg`` (the learned groups) and ``demo.gif`` (every fifth frame of the
bundled clip, analysed by the default estimator), all off screen. Needs the ``train`` extra, for its GIF.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "assets"
SIZE = (1440, 900)
# A frame of the bundled clip with an open hand.
FRAME = 60
GIF_SIZE, GIF_EVERY = (360, 270), 5
PATIENCE_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="folder (default assets)")
    arguments = parser.parse_args()
    if not arguments.out.is_dir():
        raise SystemExit(f"{arguments.out}: no such folder. Create it first")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    write_gif(arguments.out / "demo.gif")
    write_windows(arguments.out)


def write_gif(path: Path) -> None:
    """Write the annotated clip, small, at the clip's original speed."""
    from PIL import Image

    import handviz
    from handviz.clip import bundled_clip
    from handviz.export.annotate import annotate

    clip = bundled_clip()
    assert clip is not None
    pictures = []
    for result in handviz.track(clip):
        if result.frame.index % GIF_EVERY == 0:
            small = cv2.resize(annotate(result.frame.rgb, result), GIF_SIZE, interpolation=cv2.INTER_AREA)
            pictures.append(Image.fromarray(small))
    # One palette for all, so that walls do not flicker; in it, colours of few pixels, as of thin lines, count as much as any.
    mosaic = Image.fromarray(np.vstack([np.asarray(picture) for picture in pictures[::4]]))
    palette = mosaic.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    few = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    few[0].save(path, save_all=True, append_images=few[1:], duration=round(1000 * GIF_EVERY / 30), loop=0)
    print(f"{path}: {len(pictures)} pictures, {path.stat().st_size / 1e6:.1f} MB")


def write_windows(out: Path) -> None:
    """Write the window twice, held at one frame: a watched refinement, and the learned groups."""
    from handviz.app.viewport.renderer import Renderer

    Renderer.load_library()
    from handviz.app.application import App, make_application
    from handviz.app.state import Wish
    from handviz.capture.base import SourceSpec
    from handviz.clip import bundled_clip
    from handviz.pipeline.config import SessionConfig

    application = make_application()
    app = App(Wish(source=SourceSpec(kind="video", path=bundled_clip()), config=SessionConfig(estimator="dense")))
    app.window.resize(*SIZE)
    app.start()
    controller, tabs, plots = app.controller, app.window.plots.tabs, app.window.plots

    def until(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            application.processEvents()
            time.sleep(0.005)
            if time.monotonic() > deadline or controller.offer.problem is not None:
                raise SystemExit(controller.offer.problem or "the window did not show what was requested in time")

    def shows(estimator: str, frame: int) -> bool:
        result = controller.result
        return result is not None and (result.estimator, result.frame.index) == (estimator, frame)

    def save(name: str) -> None:
        for _ in range(60):
            application.processEvents()
            time.sleep(0.02)
        picture = app.window.grab()
        picture.save(str(out / name), "JPG", 92)
        print(f"{out / name}: {picture.width()} x {picture.height()}")

    until(lambda: controller.result is not None)
    controller.playback.play_pause()
    controller.playback.seek(FRAME)
    tabs.setCurrentWidget(plots.refinement)
    until(lambda: shows("dense", FRAME) and controller.watch.state.trace is not None and not controller.watch.state.busy)
    save("window.jpg")
    controller.configure(estimator="groups")
    controller.toggle("group_colours")
    tabs.setCurrentWidget(plots.groups)
    until(lambda: shows("groups", FRAME) and plots.groups.selector_JK is not None)
    save("groups.jpg")
    app.window.close()


if __name__ == "__main__":
    main()
