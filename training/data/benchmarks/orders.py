"""Joint orders of the published data sets, by name; ``order_from`` of the skeleton turns them into indices."""

from __future__ import annotations

from handviz.hand.skeleton import FINGERS, order_from


def _parts(finger: str) -> tuple[str, ...]:
    return ("cmc", "mcp", "ip", "tip") if finger == "thumb" else ("mcp", "pip", "dip", "tip")


# RHD: the wrist, then each finger from its tip to the palm.
RHD_NAMES: tuple[str, ...] = ("wrist", *(f"{f}_{p}" for f in FINGERS for p in reversed(_parts(f))))
# STB: the palm's centre (which the loader moves to the wrist), then little to thumb, each from base to tip.
STB_NAMES: tuple[str, ...] = ("wrist", *(f"{f}_{p}" for f in reversed(FINGERS) for p in _parts(f)))

RHD_ORDER = order_from(RHD_NAMES)
STB_ORDER = order_from(STB_NAMES)
