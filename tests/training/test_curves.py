"""PCK curves."""

from __future__ import annotations

import csv

import numpy as np

from training.curves import LEGEND_CHARS, save_pck, short_names


def test_a_long_path_of_weights_leaves_room_for_the_curves(tmp_path):
    # Matplotlib warns where there is no room, and warnings fail tests.
    names = [f"{method}=/{'a/long/folder/' * 12}{method}-live.safetensors" for method in ("groups", "dense")]
    save_pck(tmp_path / "pck", {name: np.full((4, 21), 10.0) for name in names}, "root-aligned")
    with (tmp_path / "pck.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["threshold_mm", *names]
    assert (tmp_path / "pck.png").stat().st_size > 0


def test_short_names_tell_methods_apart():
    runs = [f"groups=/home/somebody/runs/{run}/and/some/folders/more/weights.safetensors" for run in ("first", "second")]
    short = short_names([*runs, "dense@5"])
    assert short[2] == "dense@5" and len(set(short)) == 3
    assert all(len(name) <= LEGEND_CHARS + len("1: ") for name in short)
