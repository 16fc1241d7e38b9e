"""Whether a program does without torch, which would be 200 MB and more than a second of starting."""

from __future__ import annotations

import subprocess
import sys


def imports_torch(code: str) -> bool:
    """Run a program in an interpreter of its own; say whether torch was imported by its end."""
    program = f"{code}\nimport sys\nprint('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return {"True": True, "False": False}[answer.stdout.strip()]
