"""What the plots and trails remember of past results. No Qt."""

from __future__ import annotations

import csv
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handviz.app.measures import finger_bend_deg, pinch_mm, tip_speeds
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import FINGERS, FINGERTIPS
from handviz.records import FrameResult, HandEstimate

LENGTH = 600
TRAIL_S = 0.7
GAP_S = 0.5
# Hands may come and go all day, each with a new track: older tracks are forgotten.
MOST_TRACKS = 12
COLUMNS: tuple[str, ...] = (
    "t_s",
    "track_id",
    *(f"{finger}_bend_deg" for finger in FINGERS),
    *(f"{finger}_tip_m_per_s" for finger in FINGERS),
    "pinch_mm",
    "silhouette_overlap",
)


@dataclass
class HandHistory:
    """Rows (``COLUMNS``) and fingertips of one track, and its name."""

    name: str = ""
    rows: deque[FloatArray] = field(default_factory=lambda: deque(maxlen=LENGTH))
    tips: deque[tuple[float, FloatArray]] = field(default_factory=lambda: deque(maxlen=LENGTH))
    last: tuple[float, FloatArray] | None = None
    before: tuple[float, FloatArray] | None = None


@dataclass
class History:
    """Remembers the results of the tracks seen last; forgets everything when media time jumps back or far ahead.

    ``selector_JK`` (21, K) is the running network's, None if it has no groups.
    """

    hands: dict[int, HandHistory] = field(default_factory=dict)
    selector_JK: FloatArray | None = None
    _last_t_s: float | None = None

    def clear(self) -> None:
        """Forget everything, as after opening another source."""
        self.hands.clear()
        self._last_t_s = None

    def add(self, result: FrameResult) -> None:
        """Take in a result."""
        now = result.frame.t_capture_s
        if self._last_t_s is not None and not 0 <= now - self._last_t_s < GAP_S:
            self.hands.clear()
        self._last_t_s = now
        for hand in result.hands:
            self._add_hand(hand, now)

    def _add_hand(self, hand: HandEstimate, now: float) -> None:
        known = self.hands.pop(hand.track_id, None) or HandHistory()
        # The last entry is the hand seen last.
        self.hands[hand.track_id] = known
        known.name = hand.name
        if len(self.hands) > MOST_TRACKS:
            self.hands.pop(next(iter(self.hands)))
        if known.last is not None and known.last[0] == now:
            # The same frame again, analysed with other settings: it replaces its former entry.
            known.rows.pop()
            known.tips.pop()
            known.last = known.before
        joints = hand.joints.joints_camera_m
        speeds = np.full(len(FINGERS), np.nan)
        if known.last is not None:
            speeds = tip_speeds(known.last[1], joints, now - known.last[0])
        known.before, known.last = known.last, (now, joints)
        overlap = np.nan if hand.mesh is None or hand.mesh.silhouette_iou is None else hand.mesh.silhouette_iou
        known.rows.append(np.array([now, hand.track_id, *finger_bend_deg(joints), *speeds, pinch_mm(joints), overlap]))
        known.tips.append((now, hand.joints.joints_px[list(FINGERTIPS)]))

    def trails(self) -> dict[int, list[FloatArray]]:
        """Paths (n, 2) in pixels of the five fingertips over the last ``TRAIL_S``, by track, for tracks still seen."""
        paths: dict[int, list[FloatArray]] = {}
        for track, hand in self.hands.items():
            recent = [tips for t, tips in hand.tips if self._last_t_s is not None and self._last_t_s - t <= TRAIL_S]
            if len(recent) > 1:
                stacked = np.stack(recent, 1)
                paths[track] = list(stacked)
        return paths

    def table(self, track: int | None = None) -> FloatArray:
        """Rows (n, len(COLUMNS)) of one track, or of the one seen last."""
        hand = self.hands.get(track) if track is not None else self.newest()
        if hand is None or not hand.rows:
            return np.zeros((0, len(COLUMNS)))
        return np.stack(hand.rows)

    def newest(self) -> HandHistory | None:
        """Return the hand seen last."""
        return max(self.hands.values(), key=lambda hand: (hand.last or (0.0,))[0], default=None)

    def write_csv(self, path: Path) -> None:
        """Write all rows of all tracks. Raises OSError."""
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for track in self.hands:
                rows.writerows([f"{value:.6g}" for value in row] for row in self.table(track))
