"""Install and check handviz: ``python3 scripts/test.py [PYTEST OPTIONS]``.

Format, lint, types, the import contract, then the tests; every check runs, and one that fails makes it fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bootstrap import ROOT, prepare

CHECKS = (
    ("format", ["-m", "ruff", "format", "--check", "."]),
    ("lint", ["-m", "ruff", "check", "."]),
    ("types", ["-m", "mypy"]),
    ("import contract", ["-c", "from importlinter.cli import lint_imports_command as c; c()"]),
    ("tests", ["-m", "pytest"]),
)


def main() -> int:
    python = str(prepare("test"))
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    failed: list[str] = []
    for name, command in CHECKS:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        extra = sys.argv[1:] if name == "tests" else []
        status = subprocess.run([python, *command, *extra], cwd=ROOT, env=environment, check=False).returncode
        print(f"== {name}: {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - start:.0f} s", flush=True)
        if status != 0:
            failed.append(name)
    print(f"FAILED: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
