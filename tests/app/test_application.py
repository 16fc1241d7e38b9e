"""What a new application changes in its process, in one of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WINDOW = """
from handviz.app.application import make_application
application = make_application()
import locale, mediapipe
print(locale.localeconv()["decimal_point"], locale.setlocale(locale.LC_CTYPE))
"""
# Of a program that has a Qt of its own and uses ours as a library.
HOST = """
from PySide6.QtWidgets import QApplication
application = QApplication([])
import handviz, locale
from handviz.clip import bundled_clip
print(len(next(iter(handviz.track(bundled_clip()))).hands), locale.localeconv()["decimal_point"])
"""


@pytest.mark.skipif(shutil.which("localedef") is None, reason="no other language can be made here")
@pytest.mark.parametrize(("program", "told"), [(WINDOW, [".", "de_DE.UTF-8"]), (HOST, ["1", ","])])
def test_a_language_with_a_decimal_comma_leaves_numbers_alone(program: str, told: list[str], tmp_path: Path) -> None:
    made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
    if subprocess.run(made, capture_output=True, check=False).returncode != 0:
        pytest.skip("the descriptions of languages are not here")
    environment = {**os.environ, "LOCPATH": str(tmp_path), "LC_ALL": "de_DE.UTF-8", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == told, done.stderr
