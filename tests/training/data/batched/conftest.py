"""Renderers that are made once for all tests in this folder."""

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from tests.training.data.batched.scenery import fewer_things, panorama
from training.data.synth.batched.renderer import BatchRenderer, batch_renderer
from training.data.synth.command import SynthesisJob, make_renderer
from training.data.synth.renderer import HandRenderer


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Let every renderer have few assets, while it is made and while it draws."""
    with fewer_things():
        yield


@pytest.fixture(scope="session")
def plain_renderer() -> HandRenderer:
    """The renderer of single samples."""
    with fewer_things():
        renderer = make_renderer(SynthesisJob(count=1, seed=0))
    places = dataclasses.replace(renderer.surroundings, panoramas=[panorama(0), panorama(1)])
    return dataclasses.replace(renderer, surroundings=places)


@pytest.fixture(scope="session")
def renderer(plain_renderer: HandRenderer) -> BatchRenderer:
    """The batched renderer, on the CPU."""
    with fewer_things():
        return batch_renderer(plain_renderer, 0, torch.device("cpu"))
