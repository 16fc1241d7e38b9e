import numpy as np
import pytest
import torch


def sphere(rings=14, around=24, radius=0.1, distance=0.5):
    """A closed ball in front of the camera, wound outwards."""
    polar, turn = np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, around, endpoint=False)
    ring = np.stack([np.outer(np.sin(polar), np.cos(turn)), np.outer(np.sin(polar), np.sin(turn))], -1)
    points = np.concatenate([ring, np.broadcast_to(np.cos(polar)[:, None, None], (rings, around, 1))], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    a, b = (i * around + j).ravel(), (i * around + (j + 1) % around).ravel()
    faces = np.concatenate([np.stack([a, a + around, b], -1), np.stack([b, a + around, b + around], -1)])
    return torch.tensor(radius * points + [0, 0, distance]), torch.tensor(faces)


@pytest.fixture(scope="session")
def ball():
    return sphere()


@pytest.fixture
def K():
    return torch.tensor([[200.0, 0, 31.5], [0, 200.0, 23.5], [0, 0, 1]], dtype=torch.float64)


@pytest.fixture
def triangle():
    """One triangle, tilted in depth, that fills the middle of a 64 x 48 picture."""
    return torch.tensor([[[-0.06, -0.04, 0.5], [0.07, -0.03, 0.4], [0.0, 0.05, 0.7]]], dtype=torch.float64)
