"""A cheap test of whether a posed hand intersects itself: bones as rows of balls."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from handviz.hand.skeleton import BONES, FINGERS, MIDDLE_MCP, WRIST

# Half thickness of each of the 20 bones as a share of the palm's length (wrist to middle MCP), measured on the default
# hand: the palm's five, then the phalanges from base to tip. Of the palm only the bone counts: fingers of a fist press into
# its flesh, and with the flesh 99 of 100 fists were taken for hands that intersect themselves.
_PALM_RADIUS, _RADII, _THUMB_RADII = 0.0, (0.088, 0.078, 0.066), (0.125, 0.105, 0.09)
_BALLS = 5


def overlaps(joints_BJ3: Tensor, share: float) -> Tensor:
    """Say (B,) whether two bones that are not neighbours come nearer than ``share`` of the sum of their thicknesses.

    Phalanges of different fingers are compared, and the two outer phalanges of each finger with the palm's bones.
    """
    start, end = torch.tensor(BONES).T
    steps = torch.linspace(0.1, 1.0, _BALLS, device=joints_BJ3.device)[:, None]
    a, b = joints_BJ3[:, start, None], joints_BJ3[:, end, None]
    balls = (a + steps * (b - a)).flatten(1, 2)
    radius, compared = _tables()
    palm = (joints_BJ3[:, MIDDLE_MCP] - joints_BJ3[:, WRIST]).norm(dim=-1)
    allowed = share * (radius[:, None] + radius[None, :]).to(balls) * palm[:, None, None]
    near = (torch.cdist(balls, balls) < allowed) & compared.to(balls.device)
    return near.flatten(1).any(1)


@cache
def _tables() -> tuple[Tensor, Tensor]:
    """Return the radius of each ball and which pairs are compared."""
    finger = torch.arange(len(BONES)) // 4
    segment = torch.arange(len(BONES)) % 4
    radii = torch.tensor([_PALM_RADIUS, *_RADII]).repeat(len(FINGERS))
    radii[1:4] = torch.tensor(_THUMB_RADII)
    radii[0] = _THUMB_RADII[0]
    other = finger[:, None] != finger[None, :]
    phalanges = (segment[:, None] > 0) & (segment[None, :] > 0)
    # The thumb's first bone moves in front of the palm anyway, and the first phalanges start at the palm.
    with_palm = (segment[:, None] >= 2) & (segment[None, :] == 0) & (finger[None, :] > 0)
    pairs = (other & phalanges) | with_palm | with_palm.T
    # Neighbouring fingers touch from the web on: their first phalanges are left to the pose limits.
    first = (segment[:, None] == 1) & (segment[None, :] == 1) & ((finger[:, None] - finger[None, :]).abs() == 1)
    expand = lambda table: table.repeat_interleave(_BALLS, 0).repeat_interleave(_BALLS, 1)  # noqa: E731
    return radii.repeat_interleave(_BALLS), expand(pairs & ~first)
