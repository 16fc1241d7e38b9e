"""The seek bar's picture: what is kept between two frames is repainted when necessary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QImage

from handviz.app.colours import LIGHT
from handviz.app.seek_bar import SeekBar
from handviz.app.state import Transport

pytestmark = pytest.mark.gui
TRANSPORT = Transport(enabled=True, seekable=True, position=10, frame_count=100, fps=25.0)


@pytest.fixture
def bar(qtbot: Any) -> Iterator[SeekBar]:
    made = SeekBar()
    made.setFixedSize(400, 34)
    made.show_transport(TRANSPORT)
    made.show_curve(np.full(100, 0.5))
    yield made
    made.deleteLater()


def grab(bar: SeekBar) -> np.ndarray:
    image = bar.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4).copy()


def test_the_playhead_moves_and_leaves_nothing_behind(bar: SeekBar) -> None:
    before = grab(bar)
    bar.show_transport(replace(TRANSPORT, position=60))
    assert (grab(bar) != before).any()
    bar.show_transport(TRANSPORT)
    np.testing.assert_array_equal(grab(bar), before)


def test_curve_range_theme_and_size_show_at_once(bar: SeekBar) -> None:
    before = grab(bar)
    bar.show_curve(np.full(100, 0.9))
    higher = grab(bar)
    assert (higher != before).any()
    bar.show_transport(replace(TRANSPORT, range_in=20, range_out=40))
    marked = grab(bar)
    assert (marked != higher).any()
    bar.set_palette(LIGHT)
    light = grab(bar)
    assert (light != marked).mean() > 0.5
    bar.setFixedSize(300, 34)
    assert (grab(bar)[:, 280:-10] != light[:, 280:290]).any()
