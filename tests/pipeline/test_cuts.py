"""A cut is distinguished from changing light."""

from __future__ import annotations

import numpy as np
import pytest

from handviz.pipeline.cuts import CutWatch
from handviz.records import UInt8Array


def scene(seed: int, light: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> UInt8Array:
    """A room of large patches (480, 640, 3), some of them nearly white, in this light."""
    patches = np.random.default_rng(seed).uniform(10, 250, (6, 8, 3))
    return np.asarray(np.clip(np.kron(patches, np.ones((80, 80, 1))) * light, 0, 255), np.uint8)


def is_cut(before: UInt8Array, after: UInt8Array) -> bool:
    watch = CutWatch()
    assert not watch(before)
    return watch(after)


@pytest.mark.parametrize("gain", [0.5, 0.7, 1.25, 1.4])
def test_a_lamp_is_no_cut(gain: float) -> None:
    assert not is_cut(scene(0), scene(0, (gain, gain, gain)))
    assert not is_cut(scene(0), scene(0, (gain, 1.0, 2.0 - gain)))


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.4])
def test_another_scene_is_a_cut_in_any_light(gain: float) -> None:
    assert is_cut(scene(0), scene(1, (gain, gain, gain)))


def test_half_of_the_room_in_other_light_is_a_cut() -> None:
    after = scene(0, (0.7, 0.7, 0.7))
    after[:, 320:] = scene(1)[:, 320:]
    assert is_cut(scene(0), after)


def test_a_hand_that_moves_is_no_cut() -> None:
    after = scene(0)
    after[100:400, 200:400] = 200
    assert not is_cut(scene(0), after)
