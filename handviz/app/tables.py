"""What the pages under the views show, as CSV files. No Qt."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from handviz.app.shape_memory import NO_SHAPE, write_shape_csv
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import JOINT_NAMES

if TYPE_CHECKING:
    from handviz.app.controller import Controller

NO_SELECTOR = "There is no selector to save. Choose an estimator with joint groups, such as groups."
NO_REFINEMENT = "There is no refinement to save yet. Choose the dense estimator and pause on a frame with a hand."


class Tables:
    """Writes what a controller knows; a problem goes to its banner."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def save_csv(self, path: Path) -> None:
        """Write what is plotted over time."""
        self._write(path, self._controller.history.write_csv)

    def save_shape(self, path: Path) -> None:
        """Write the hand shape that is shown."""
        state = self._controller.shape_state
        if state.shown is None:
            self._controller.report(NO_SHAPE)
            return
        self._write(path, lambda path: write_shape_csv(path, state))

    def save_selector(self, path: Path) -> None:
        """Write the probabilities of the network's groups."""
        selector_JK = self._controller.history.selector_JK
        if selector_JK is None:
            self._controller.report(NO_SELECTOR)
            return
        self._write(path, lambda path: write_selector(path, selector_JK))

    def save_refinement(self, path: Path) -> None:
        """Write the curves of the refinement that is watched."""
        if self._controller.watch.state.trace is None:
            self._controller.report(NO_REFINEMENT)
            return
        self._write(path, self._controller.watch.write_csv)

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        try:
            write(path)
        except OSError as error:
            self._controller.report(f"{path}: could not be written ({error.strerror}). Choose another folder.")


def write_selector(path: Path, selector_JK: FloatArray) -> None:
    """Write the matrix (21, K) as CSV, one row per joint. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["joint", *(f"group_{group}" for group in range(selector_JK.shape[1]))])
        for name, probabilities in zip(JOINT_NAMES, selector_JK, strict=True):
            rows.writerow([name, *(f"{value:.6g}" for value in probabilities)])
