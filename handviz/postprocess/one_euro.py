"""The One Euro filter (Casiez et al. 2012): steady when the hand rests, quick when it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from handviz.geometry.camera import FloatArray

DERIVATIVE_CUTOFF_HZ = 1.0
# A gap longer than this is a new beginning, not a movement.
MAX_GAP_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OneEuroConfig:
    """``min_cutoff_hz`` smooths at rest; ``beta`` (1/unit) opens the filter with speed, in the signal's unit a second."""

    min_cutoff_hz: float
    beta: float


class OneEuro:
    """One filter for an array of numbers of any fixed shape."""

    def __init__(self, config: OneEuroConfig) -> None:
        self._config = config
        self._value: FloatArray | None = None
        self._speed: FloatArray | None = None
        self._t_s = -math.inf

    def reset(self) -> None:
        """Forget the past; the next value passes through."""
        self._value = None

    def __call__(self, value: FloatArray, t_s: float) -> FloatArray:
        """Return the smoothed value at time ``t_s``. Non-finite input passes through and starts the filter anew."""
        dt = t_s - self._t_s
        fresh = self._value is None or self._speed is None or not 0 < dt <= MAX_GAP_S or self._value.shape != value.shape
        if fresh or not np.isfinite(value).all():
            self._value = value if np.isfinite(value).all() else None
            self._speed, self._t_s = np.zeros_like(value), t_s
            return value
        assert self._value is not None and self._speed is not None
        speed = (value - self._value) / dt
        self._speed = self._speed + _alpha(DERIVATIVE_CUTOFF_HZ, dt) * (speed - self._speed)
        cutoff = self._config.min_cutoff_hz + self._config.beta * np.abs(self._speed)
        self._value = self._value + _alpha(cutoff, dt) * (value - self._value)
        self._t_s = t_s
        return self._value


def _alpha(cutoff_hz: FloatArray | float, dt: float) -> FloatArray | float:
    r = 2 * math.pi * cutoff_hz * dt
    return r / (r + 1)


def config_for(strength: float, unit_per_palm: float) -> OneEuroConfig:
    """Return the filter for a strength in [0, 1] and a signal in which a palm length is ``unit_per_palm``.

    Strength 0 barely smooths (8 Hz at rest), 0.5 is the default (1.5 Hz), 1 is very steady (0.3 Hz). Beta is chosen so that a
    movement of one palm length a second adds 4 Hz at the default strength.
    """
    strength = min(max(strength, 0.0), 1.0)
    cutoff = 8.0 * (0.3 / 8.0) ** strength
    return OneEuroConfig(min_cutoff_hz=cutoff, beta=4.0 * 4.0 ** (1 - 2 * strength) / unit_per_palm)
