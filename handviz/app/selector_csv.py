"""The selector's probabilities as a table. No Qt."""

from __future__ import annotations

import csv
from pathlib import Path

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import JOINT_NAMES


def write_selector(path: Path, selector_JK: FloatArray) -> None:
    """Write the matrix (21, K) as CSV, a row a joint. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["joint", *(f"group_{group}" for group in range(selector_JK.shape[1]))])
        for name, probabilities in zip(JOINT_NAMES, selector_JK, strict=True):
            rows.writerow([name, *(f"{value:.6g}" for value in probabilities)])
