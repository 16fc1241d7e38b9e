"""How many threads matrix products use, each time in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from handviz.threads import named_threads

PROGRAM = """
import json, os
import numpy
from threadpoolctl import threadpool_info
from handviz.threads import one_thread_for_matrices
one_thread_for_matrices()
import scipy.linalg
counts = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
print(json.dumps([counts, os.environ["OPENBLAS_NUM_THREADS"]]))
"""


def threads_with(environment: dict[str, str]) -> tuple[list[int], str]:
    plain = {name: text for name, text in os.environ.items() if not name.endswith("NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**plain, **environment}, capture_output=True, text=True, check=True
    )
    counts, said = json.loads(done.stdout)
    return counts, said


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there is nothing to choose")
def test_matrices_take_one_thread_unless_the_user_says_otherwise() -> None:
    # Threads of numpy's copy of the library, and of scipy's, which is loaded after the call.
    counts, said = threads_with({})
    assert said == "1" and set(counts) == {1}
    counts, said = threads_with({"OPENBLAS_NUM_THREADS": "2"})
    assert said == "2" and set(counts) == {2}


@pytest.mark.parametrize(("said", "threads"), [("3", 3), ("", None), ("0", None), ("-1", None), ("²", None), ("many", None)])
def test_only_a_whole_number_above_zero_names_threads(monkeypatch: pytest.MonkeyPatch, said: str, threads: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert named_threads() == threads
