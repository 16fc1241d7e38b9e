"""A library of hand gestures, each written as a person would describe it; ``prior`` draws poses around and between them.

A gesture is a curl and a spread for each finger and five angles for the thumb, in degrees. Curl 0 is straight, 1 a full
fist; fractions bend the three joints together as tendons do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.limits import ANGLE_INDEX, clamp_pose, from_anatomical

# Flexion of base, middle and end joint in a full fist, where the fingertip meets the palm.
_FULL_CURL_DEG = {
    "index": (88.0, 110.0, 75.0),
    "middle": (88.0, 111.0, 77.0),
    "ring": (86.0, 106.0, 70.0),
    "little": (82.0, 100.0, 60.0),
}


@dataclass(frozen=True, slots=True)
class F:
    """One finger: ``curl`` 0 to 1 for all joints; ``base`` in degrees replaces the curl of the base joint; ``spread`` in
    degrees towards the thumb's side."""

    curl: float = 0.0
    base: float | None = None
    spread: float = 0.0

    def flexion_deg(self, finger: str) -> tuple[float, float, float]:
        """Flexion of base, middle and end joint of this finger in degrees."""
        base, middle, end = (self.curl * full for full in _FULL_CURL_DEG[finger])
        return base if self.base is None else self.base, middle, end


@dataclass(frozen=True, slots=True)
class T:
    """The thumb in degrees: root flexion, lift out of the palm, twist, and flexion of its two outer joints."""

    flex: float = 0.0
    lift: float = 0.0
    twist: float = 0.0
    mcp: float = 0.0
    ip: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """A named gesture; see the module's docstring."""

    name: str
    thumb: T = field(default_factory=T)
    index: F = field(default_factory=F)
    middle: F = field(default_factory=F)
    ring: F = field(default_factory=F)
    little: F = field(default_factory=F)

    def pose(self) -> FloatArray:
        """Return the pose (45,) in axis-angle, radians."""
        angles = np.zeros(45)
        for finger in ("index", "middle", "ring", "little"):
            spec: F = getattr(self, finger)
            for part, flexion in zip(("mcp", "pip", "dip"), spec.flexion_deg(finger), strict=True):
                angles[ANGLE_INDEX[f"{finger}_{part} flexion"]] = flexion
            angles[ANGLE_INDEX[f"{finger}_mcp abduction"]] = spec.spread
        thumb = self.thumb
        for name, value in (("cmc flexion", thumb.flex), ("cmc abduction", thumb.lift), ("cmc twist", thumb.twist)):
            angles[ANGLE_INDEX[f"thumb_{name}"]] = value
        angles[ANGLE_INDEX["thumb_mcp flexion"]] = thumb.mcp
        angles[ANGLE_INDEX["thumb_ip flexion"]] = thumb.ip
        return clamp_pose(from_anatomical(np.radians(angles)))


UP = F()
FIST = F(1.0)
# The default hand's fingers are spread at rest. These spreads lay them against their neighbours (the middle finger stays):
# straight fingers within 2 mm, those of a fist within 3.
BESIDE_MIDDLE = {"index": F(spread=-11), "ring": F(spread=14), "little": F(spread=22)}
FIST_INDEX, FIST_RING, FIST_LITTLE = F(1.0, spread=-12), F(1.0, spread=13), F(1.0, spread=22)
# The thumb laid over the first curled finger: in a fist, and with one, two or three fingers extended.
OVER_INDEX = T(flex=4, lift=41, twist=-25, mcp=54, ip=44)
OVER_MIDDLE = T(flex=9, lift=53, twist=-28, mcp=50, ip=36)
OVER_RING = T(flex=29, lift=58, twist=-19, mcp=43, ip=29)
OVER_LITTLE = T(flex=49, lift=58, twist=-11, mcp=38, ip=14)
IN_PALM = T(flex=32, lift=54, twist=-37, mcp=58, ip=44)
BESIDE = T(flex=1, lift=11, twist=-15, mcp=59, ip=48)


def _g(name: str, thumb: T, index: F, middle: F, ring: F, little: F) -> Gesture:
    return Gesture(name=name, thumb=thumb, index=index, middle=middle, ring=ring, little=little)


GESTURES: tuple[Gesture, ...] = (
    _g("flat", T(), UP, UP, UP, UP),
    _g("together", T(flex=22, lift=0), BESIDE_MIDDLE["index"], UP, BESIDE_MIDDLE["ring"], BESIDE_MIDDLE["little"]),
    _g("spread", T(flex=-18), F(spread=13), F(spread=2), F(spread=-7), F(spread=-13)),
    _g("relaxed", T(flex=5, lift=15, mcp=12, ip=14), F(0.22, spread=-5), F(0.28), F(0.33, spread=8), F(0.36, spread=14)),
    _g("loose curl", T(flex=12, lift=25, mcp=18, ip=25), F(0.45, spread=-6), F(0.5), F(0.53, spread=9), F(0.55, spread=16)),
    _g("claw", T(flex=-5, lift=20, ip=40), F(0.65, base=-5, spread=6), F(0.65, base=-5), F(0.65, base=-5), F(0.65, base=-5)),
    _g("fist", OVER_INDEX, FIST_INDEX, FIST, FIST_RING, FIST_LITTLE),
    _g("fist, thumb beside", BESIDE, FIST_INDEX, FIST, FIST_RING, FIST_LITTLE),
    _g("point", OVER_MIDDLE, UP, FIST, FIST_RING, FIST_LITTLE),
    _g("two", OVER_RING, F(spread=8), F(spread=-6), FIST, FIST),
    _g("two together", OVER_RING, F(spread=-6), F(spread=6), FIST, FIST),
    _g("three", OVER_LITTLE, F(spread=10), UP, F(spread=-6), FIST),
    _g("three with thumb", T(flex=-15), F(spread=8), F(spread=-4), FIST, FIST),
    _g("four", IN_PALM, F(spread=8), F(spread=2), F(spread=-3), F(spread=-6)),
    _g("thumb up", T(flex=-22, lift=-10), FIST_INDEX, FIST, FIST_RING, FIST_LITTLE),
    _g("thumb and index", T(flex=-18), UP, FIST, FIST_RING, FIST_LITTLE),
    _g("little up", OVER_INDEX, FIST_INDEX, FIST, FIST_RING, F(spread=2)),
    _g("ring and little", OVER_INDEX, FIST_INDEX, FIST, F(0.05), F(0.0)),
    _g("horns", OVER_MIDDLE, UP, FIST, FIST_RING, F(0.0)),
    _g("love", T(flex=-18), UP, FIST, FIST_RING, F(0.0)),
    _g("call me", T(flex=-20), FIST_INDEX, FIST, FIST_RING, F(0.0, spread=-8)),
    _g("middle out", OVER_INDEX, FIST, UP, FIST, FIST),
    _g("middle three", OVER_LITTLE, F(spread=6), UP, F(spread=-4), F(0.95)),
    _g("ok", T(35, 29, -3, 7, 6), F(0.58, base=35, spread=-2), F(0.12), F(0.08), F(0.05)),
    _g("pinch", T(35, 29, -3, 7, 6), F(0.58, base=35, spread=-2), F(0.6), F(0.65), F(0.7)),
    _g("pinch middle", T(47, 28, -7, 15, 12), F(0.1), F(0.76, base=34), F(0.1), F(0.05)),
    _g("pinch ring", T(50, 36, -25, 37, 24), F(0.05), F(0.12), F(1.0, base=38, spread=2), F(0.1)),
    _g("pinch little", T(50, 54, -4, 37, 15), F(0.05), F(0.08), F(0.2), F(0.5, base=65, spread=6)),
    _g("all to thumb", T(44, 28, -5, 12, 10), F(0.62, base=36), F(0.73, base=36), F(0.74, base=41), F(0.66, base=48, spread=4)),
    _g("half open", T(10, 32, -10, 10, 15), F(0.25, base=45), F(0.25, base=45), F(0.25, base=45), F(0.25, base=45)),
    _g(
        "bent flat",
        T(flex=10, lift=20),
        F(0.02, base=80, spread=-9),
        F(0.02, base=80),
        F(0.02, base=80, spread=12),
        F(0.02, base=80, spread=20),
    ),
    _g("hook", T(flex=5), F(0.9, base=5, spread=-8), F(0.9, base=5), F(0.9, base=5, spread=11), F(0.9, base=5, spread=19)),
    _g("hold a cup", T(8, 45, -15, 10, 15), F(0.42, spread=-7), F(0.42), F(0.42, spread=10), F(0.42, spread=17)),
    _g("hold a bar", T(28, 45, -20, 10, 24), F(0.72, spread=-8), F(0.74), F(0.76, spread=11), F(0.78, spread=19)),
    _g("hold a ball", T(-5, 45, -10, 0, 20), F(0.32, spread=8), F(0.32), F(0.32, spread=-6), F(0.34, spread=-10)),
    _g("hold a pen", T(35, 29, -3, 7, 6), F(0.57, base=35, spread=-2), F(0.66, base=44), F(0.85, base=54), F(0.9, base=62)),
    _g("key", T(22, 12, -12, 20, 15), F(0.75, base=45), F(0.85, base=60), F(0.9, base=65), F(0.92, base=70)),
    _g("trigger", BESIDE, F(0.35, base=10), F(0.9), F(0.95), F(0.95)),
    _g("scissors", OVER_RING, F(spread=12), F(spread=-8), F(1.0), F(1.0)),
    _g("crossed", OVER_RING, F(0.05, spread=-10), F(0.1, base=10, spread=9), FIST, FIST),
    _g("letter a", T(flex=32, lift=-2, twist=-5), FIST_INDEX, FIST, FIST_RING, FIST_LITTLE),
    _g("letter b", IN_PALM, BESIDE_MIDDLE["index"], UP, BESIDE_MIDDLE["ring"], BESIDE_MIDDLE["little"]),
    _g(
        "letter c",
        T(5, 42, -12, 12, 18),
        F(0.4, base=35, spread=-9),
        F(0.4, base=35),
        F(0.4, base=35, spread=11),
        F(0.4, base=35, spread=19),
    ),
    _g("letter d", T(47, 28, -7, 15, 12), UP, F(0.76, base=34), F(0.76, base=40), F(0.72, base=46)),
    _g(
        "letter e",
        T(36, 44, -20, 12, 20),
        F(0.85, base=45, spread=-9),
        F(0.85, base=45),
        F(0.85, base=45, spread=11),
        F(0.85, base=45, spread=19),
    ),
    _g("letter l", T(flex=-22, lift=0), UP, FIST, FIST_RING, FIST_LITTLE),
    _g("letter m", T(42, 50, -25, 50, 35), F(0.8), F(0.8), F(0.8), FIST),
    _g("letter o", T(47, 28, -7, 15, 12), F(0.64, base=34), F(0.76, base=34), F(0.76, base=39), F(0.7, base=45)),
    _g("letter r", OVER_RING, F(0.03, spread=-11), F(0.08, base=8, spread=9), FIST, FIST),
    _g("letter u", OVER_RING, F(spread=-6), F(spread=6), FIST, FIST),
    _g("letter x", OVER_MIDDLE, F(0.75, base=5), FIST, FIST_RING, FIST_LITTLE),
    _g("letter y", T(flex=-20), FIST_INDEX, FIST, FIST_RING, F(spread=-12)),
    _g("index bends", T(flex=10, lift=10), F(0.5), F(0.05), F(0.05), F(0.05)),
    _g("middle bends", T(flex=10, lift=10), F(0.03), F(0.55), F(0.1), F(0.05)),
    _g("ring bends", T(flex=5, lift=10), F(0.03), F(0.12), F(0.55), F(0.2)),
    _g("little bends", T(), F(0.0), F(0.05), F(0.15), F(0.6)),
    _g("stretched back", T(flex=-25, lift=-10, ip=-20), F(base=-22), F(base=-24), F(base=-22), F(base=-22)),
    _g("wave of fingers", T(flex=5, lift=20), F(0.1), F(0.25), F(0.4), F(0.55)),
    _g("wave back", T(flex=5, lift=20), F(0.55), F(0.4), F(0.25), F(0.1)),
)
GESTURE_BY_NAME: dict[str, Gesture] = {gesture.name: gesture for gesture in GESTURES}


@lru_cache(maxsize=1)
def gesture_poses() -> FloatArray:
    """Return all gestures' poses (N, 45), radians, read-only."""
    poses = np.stack([gesture.pose() for gesture in GESTURES])
    poses.flags.writeable = False
    return poses
