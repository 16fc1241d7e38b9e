"""The One Euro filter (Casiez et al. 2012) for points: steady when the hand rests, responsive when it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from handviz.geometry.camera import FloatArray

# How quickly a movement is trusted. At the paper's 1 Hz a hand has moved for a sixth of a second before the filter opens.
DERIVATIVE_CUTOFF_HZ = 2.0
# A gap longer than this is a new beginning, not a movement.
MAX_GAP_S = 0.5
# Below this speed, in palm lengths per second, a hand is at rest and what moves is the network's jitter.
REST_PALMS = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class OneEuroConfig:
    """``min_cutoff_hz`` smooths at rest; ``beta`` (1/unit) opens the filter with speed, in the signal's unit per second.

    Speeds below ``rest`` (unit per second) are noise and do not open it.
    """

    min_cutoff_hz: float
    beta: float
    rest: float = 0.0


class OneEuro:
    """One filter for N points of D numbers each. A point's speed is its own, in any direction, or all points' if higher."""

    def __init__(self, config: OneEuroConfig) -> None:
        self.config = config
        self._value: FloatArray | None = None
        self._velocity: FloatArray | None = None
        self._t_s = -math.inf

    def reset(self) -> None:
        """Forget the past; the next value passes through."""
        self._value = None

    def __call__(self, value: FloatArray, t_s: float) -> FloatArray:
        """Return the smoothed points (N, D) at time ``t_s``. Non-finite input passes through and restarts the filter."""
        dt = t_s - self._t_s
        fresh = self._value is None or self._velocity is None or not 0 < dt <= MAX_GAP_S or self._value.shape != value.shape
        if fresh or not np.isfinite(value).all():
            self._value = value if np.isfinite(value).all() else None
            self._velocity, self._t_s = np.zeros_like(value), t_s
            return value
        assert self._value is not None and self._velocity is not None
        velocity = (value - self._value) / dt
        self._velocity = self._velocity + _alpha(DERIVATIVE_CUTOFF_HZ, dt) * (velocity - self._velocity)
        opened = self.config.beta * np.maximum(_speeds(self._velocity) - self.config.rest, 0.0)
        self._value = self._value + _alpha(self.config.min_cutoff_hz + opened, dt) * (value - self._value)
        self._t_s = t_s
        return self._value


def _speeds(velocity_ND: FloatArray) -> FloatArray:
    """Return the speed of each point (N, 1)."""
    own = np.linalg.norm(velocity_ND, axis=-1, keepdims=True)
    return np.asarray(np.maximum(own, np.linalg.norm(velocity_ND.mean(0))))


def _alpha(cutoff_hz: FloatArray | float, dt: float) -> FloatArray | float:
    r = 2 * math.pi * cutoff_hz * dt
    return r / (r + 1)


def config_for(strength: float, unit_per_palm: float, opening_hz: float) -> OneEuroConfig:
    """Return the filter for a strength in [0, 1] and a signal in which a palm length is ``unit_per_palm``.

    Strength 0 barely smooths (8 Hz at rest), 0.5 is the default (1.5 Hz), 1 is very steady (0.3 Hz). At the default strength a
    movement opens the filter by ``opening_hz`` for each palm length per second.
    """
    strength = min(max(strength, 0.0), 1.0)
    return OneEuroConfig(
        min_cutoff_hz=8.0 * (0.3 / 8.0) ** strength,
        beta=opening_hz * 4.0 ** (1 - 2 * strength) / unit_per_palm,
        rest=REST_PALMS * unit_per_palm,
    )
