"""PCK curves."""

from __future__ import annotations

import csv

import numpy as np

from training.curves import save_pck


def test_a_long_path_of_weights_leaves_room_for_the_curves(tmp_path):
    # Matplotlib warns where there is none, and warnings fail tests.
    names = [f"{method}=/{'a/long/folder/' * 12}{method}-live.safetensors" for method in ("groups", "dense")]
    save_pck(tmp_path / "pck", {name: np.full((4, 21), 10.0) for name in names}, "root-aligned")
    with (tmp_path / "pck.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["threshold_mm", *names]
    assert (tmp_path / "pck.png").stat().st_size > 0
