"""Install and check handviz: ``python3 scripts/test.py [PYTEST OPTIONS]``.

Format, lint, types and the import contract are checked alongside the tests; every check runs, and any failure fails the script.
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
)


# Each worker takes a gigabyte or two, which a machine with many cores may not have for all of them.
WORKERS = min(os.cpu_count() or 1, 4)


def main() -> int:
    python = str(prepare("test"))
    # One thread per worker: parallel tests keep the cores busy, and threads of small networks mostly wait for one another.
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
    if sys.stdout.isatty():
        environment.setdefault("PY_COLORS", "1")
    failed: list[str] = []

    def note(name: str, status: int, start: float) -> None:
        print(f"== {name}: {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - start:.0f} s", flush=True)
        if status != 0:
            failed.append(name)

    begin = time.monotonic()
    tests = subprocess.Popen(
        [python, "-m", "pytest", "-n", str(WORKERS), "--dist", "worksteal", *sys.argv[1:]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert tests.stdout is not None
    for name, command in CHECKS:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        note(name, subprocess.run([python, *command], cwd=ROOT, env=environment, check=False).returncode, start)
    # The tests' output is held back until here, so that it does not mix with that of the other checks.
    print("== tests", flush=True)
    while said := os.read(tests.stdout.fileno(), 65536):
        sys.stdout.buffer.write(said)
        sys.stdout.flush()
    note("tests", tests.wait(), begin)
    print(f"FAILED: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
