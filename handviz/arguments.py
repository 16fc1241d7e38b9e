"""The kinds of numbers that commands accept; argparse reports anything else in one line.

The settings and ``handviz.track`` have the same ranges.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

MAX_HANDS = (1, 64)
FOV_DEG = (10, 170)
HAND_SIZE_CM = (2, 30)
HAND_SIZE_M = (HAND_SIZE_CM[0] / 100, HAND_SIZE_CM[1] / 100)
REFINE_ITERATIONS = (0, 100)
SMOOTHING = (0, 1)


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``low`` (to ``high``)."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {low}{'' if high is None else f' to {high}'}")
        return value

    return read


def number(low: float, high: float, kind: str = "a number", unit: str = "") -> Callable[[str], float]:
    """Return a parser of numbers from ``low`` to ``high``; ``kind`` and ``unit`` name them in the error."""

    def read(text: str) -> float:
        value = _parsed(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not {kind} from {low:g} to {high:g}{unit}")
        return value

    return read


def above_zero(text: str) -> float:
    """Parse a number above 0."""
    value = _parsed(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
