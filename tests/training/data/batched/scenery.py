"""Assets of the tests' renderers."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from handviz.render.light import light_from_radiance
from training.data.synth.batched import renderer
from training.data.synth.surroundings import Panorama


@contextmanager
def fewer_things() -> Iterator[None]:
    """Fewer skins, walls and poses than in real use: they take most of a renderer's startup."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.data.synth.command.SKINS_PER_HAND", 3)
        for name, value in {"POOL_CPU": 64, "CLOTHS": 6, "THINGS": 6, "FACES": 3}.items():
            patch.setattr(renderer, name, value)
        patch.setattr("training.data.synth.batched.places.WALLS", 8)
        patch.setattr("training.data.synth.batched.places.NOISES", 2)
        yield


def panorama(seed: int = 0) -> Panorama:
    """A panorama of coarse noise."""
    rng = np.random.default_rng(seed)
    rgb = cv2.resize(rng.integers(0, 255, (8, 16, 3), np.uint8), (128, 64), interpolation=cv2.INTER_CUBIC)
    return Panorama(rgb=np.asarray(rgb, np.uint8), light=light_from_radiance(rng.random((8, 16, 3)) ** 3))
