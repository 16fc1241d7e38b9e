"""What a new application changes in its process, in one of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from handviz.app.application import make_application
application = make_application()
import locale, mediapipe
print(locale.localeconv()["decimal_point"], locale.setlocale(locale.LC_CTYPE))
"""


@pytest.mark.skipif(shutil.which("localedef") is None, reason="no other language can be made here")
def test_a_language_with_a_decimal_comma_leaves_numbers_alone(tmp_path: Path) -> None:
    made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
    if subprocess.run(made, capture_output=True, check=False).returncode != 0:
        pytest.skip("the descriptions of languages are not here")
    environment = {**os.environ, "LOCPATH": str(tmp_path), "LC_ALL": "de_DE.UTF-8", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [".", "de_DE.UTF-8"], done.stderr
