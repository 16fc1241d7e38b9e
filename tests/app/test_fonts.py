"""On a system without fonts the window still has letters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from handviz.app.application import make_application
from PySide6.QtGui import QFontMetrics
application = make_application()
print(QFontMetrics(application.font()).inFont("a"), application.font().family())
"""


@pytest.mark.gui
@pytest.mark.skipif(sys.platform != "linux", reason="fontconfig is Linux's")
def test_letters_without_system_fonts(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    config = tmp_path / "fonts.conf"
    config.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<dir>{tmp_path}/empty</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>"
    )
    told = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "FONTCONFIG_FILE": str(config), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split(maxsplit=1) == ["True", "DejaVu Sans\n"]
