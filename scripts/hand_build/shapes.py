"""Ten ways in which hands differ: each a smooth change of bones and flesh, one standard deviation per unit.

A component says how the palm's flesh moves, how much longer each finger bone gets and how much thicker the flesh around
it. Vertices follow their bones by skin weight, so joints and skin change together. Spreads are near
those of adult hand surveys (Garrett 1971; Gordon et al. 2012): hand length about 5 %, breadth about 5 %, finger lengths
about 4 % beyond what size explains, finger breadths about 6 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hand_build.anatomy import FINGER_BY_NAME, WRIST, Array, unit
from handviz.hand.skeleton import MANO_JOINT_NAMES

LONG_FINGERS = ("index", "middle", "ring", "little")
ALL_FINGERS = ("thumb", *LONG_FINGERS)
Field = Callable[[Array], Array]


def _still(p: Array) -> Array:
    return np.zeros_like(p)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """One component: palm field (points to offsets, metres), relative growth of bones and of flesh by finger."""

    name: str
    palm: Field = _still
    longer: dict[str, float] = field(default_factory=dict)
    thicker: dict[str, tuple[float, float, float]] = field(default_factory=dict)


def _stretch(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Field:
    scale = np.array([x, y, z])
    return lambda p: (p - WRIST) * scale


def _even(amount: float, fingers: tuple[str, ...]) -> dict[str, tuple[float, float, float]]:
    return dict.fromkeys(fingers, (amount, amount, amount))


CHANGES: tuple[Change, ...] = (
    Change(
        name="size", palm=_stretch(0.05, 0.05, 0.05), longer=dict.fromkeys(ALL_FINGERS, 0.05), thicker=_even(0.05, ALL_FINGERS)
    ),
    Change(
        name="slenderness",
        palm=_stretch(0.012, -0.045, -0.045),
        longer=dict.fromkeys(ALL_FINGERS, 0.015),
        thicker=_even(-0.055, ALL_FINGERS),
    ),
    Change(name="palm width", palm=_stretch(0.0, 0.0, 0.045)),
    Change(name="palm length", palm=_stretch(0.035, 0.0, 0.0)),
    Change(name="palm thickness", palm=_stretch(0.0, 0.075, 0.0)),
    Change(name="finger length", longer=dict.fromkeys(LONG_FINGERS, 0.04)),
    Change(name="finger thickness", thicker=_even(0.06, ALL_FINGERS)),
    Change(name="thumb length", longer={"thumb": 0.05}),
    Change(name="ring and little over index", longer={"index": -0.035, "ring": 0.025, "little": 0.05}),
    Change(name="fingertip taper", thicker=dict.fromkeys(ALL_FINGERS, (0.025, -0.02, -0.075))),
)


def shape_directions(p: Array, weights_VJ: Array) -> Array:
    """Return shape_dirs (V, 3, 10), metres per unit, for vertices p (V, 3) and skin weights (V, 16)."""
    return np.stack([_offsets(change, p, weights_VJ) for change in CHANGES], -1)


def _offsets(change: Change, p: Array, weights_VJ: Array) -> Array:
    total = weights_VJ[:, :1] * change.palm(p)
    for name in ALL_FINGERS:
        finger = FINGER_BY_NAME[name]
        first = MANO_JOINT_NAMES.index(f"{name}_{'cmc' if name == 'thumb' else 'mcp'}")
        base = change.palm(finger.joints[:1])[0]
        for k in range(3):
            start, bone = finger.joints[k], finger.joints[k + 1] - finger.joints[k]
            axis, longer = unit(bone), change.longer.get(name, 0.0)
            q = p - start
            along = q @ axis
            across = q - along[:, None] * axis
            thick = change.thicker.get(name, (0.0, 0.0, 0.0))
            following = thick[min(k + 1, 2)]
            # Thickness changes from this bone's share to the next one's along the bone.
            t = np.clip(along / float(np.linalg.norm(bone)), 0.0, 1.0)
            growth = thick[k] * (1 - t) + following * t if k < 2 else np.full(len(p), thick[2])
            offset = base + (longer * along)[:, None] * axis + growth[:, None] * across
            total += weights_VJ[:, first + k, None] * offset
            base = base + longer * bone
    return np.asarray(total)
