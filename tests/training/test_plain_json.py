from __future__ import annotations

import json

import numpy as np

from training.ablation import write_table
from training.plain_json import json_bytes


def refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def test_numbers_that_are_none_are_null():
    numbers = {"a": float("nan"), "b": [1.5, float("-inf"), (np.float64("inf"), 2)], "c": {"d": True, "e": None}}
    assert json.loads(json_bytes(numbers), parse_constant=refuse) == {
        "a": None,
        "b": [1.5, None, [None, 2]],
        "c": {"d": True, "e": None},
    }


def test_a_table_of_runs_without_a_number_is_json(tmp_path):
    write_table(tmp_path, "| |", {"plain": [{"epe": np.float64("nan")}, {"epe": 3.0}]})
    assert json.loads((tmp_path / "table.json").read_text(), parse_constant=refuse) == {"plain": [{"epe": None}, {"epe": 3.0}]}
