"""A run that is asked to end finishes writing first."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from handviz.capture.base import parse_source
from handviz.interrupts import endings
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.offline import Report, run
from handviz.records import FrameResult


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """A test suite that runs in the background ignores Ctrl-C."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in endings()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Interrupted:
    """Takes results; the run is asked to end in the middle of the third result and of its closing."""

    def __init__(self, signum: int) -> None:
        self.signum, self.written, self.closed = signum, 0, False

    def write(self, result: FrameResult) -> None:
        if self.written == 2:
            signal.raise_signal(self.signum)
        self.written += 1

    def close(self) -> None:
        signal.raise_signal(self.signum)
        self.closed = True


def analysed(video: Path, sinks: list[Interrupted]) -> Report:
    return run(parse_source(str(video)), SessionConfig(estimator="fake"), sinks)


@pytest.mark.parametrize("signum", endings())
def test_what_is_being_written_is_finished(numbered_video: Path, fakes: ModuleType, signum: int) -> None:
    sinks = [Interrupted(signum), Interrupted(signum)]
    report = analysed(numbered_video, sinks)
    assert report.interrupted and report.frames == 3
    assert [(sink.written, sink.closed) for sink in sinks] == [(3, True), (3, True)]
    assert signal.getsignal(signum) is signal.default_int_handler


class InCompiledCode:
    """A sink that is interrupted where compiled code turns the interrupt into another error."""

    def __init__(self, *, told: bool) -> None:
        self.told = told

    def __call__(self, result: FrameResult) -> None:
        if self.told:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        raise SystemError("returned a result with an exception set")


def test_compiled_code_that_is_interrupted_ends_the_run_as_well(numbered_video: Path, fakes: ModuleType) -> None:
    spec, config = parse_source(str(numbered_video)), SessionConfig(estimator="fake")
    report = run(spec, config, [], InCompiledCode(told=True))
    assert report.interrupted and report.frames == 1
    with pytest.raises(SystemError):
        run(spec, config, [], InCompiledCode(told=False))


def test_what_is_ignored_stays_so(numbered_video: Path, fakes: ModuleType) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert analysed(numbered_video, [Interrupted(signal.SIGINT)]).frames == 40


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP, which a closed terminal sends")
@pytest.mark.parametrize(("ignored", "status"), [(False, 130), (True, 0)])
def test_a_closed_terminal_ends_a_command_unless_it_shall_outlive_it(ignored: bool, status: int) -> None:
    code = (
        "import signal, handviz.cli, handviz.cli.doctor\n"
        f"signal.signal(signal.SIGHUP, signal.{'SIG_IGN' if ignored else 'SIG_DFL'})\n"
        "handviz.cli.doctor.run = lambda arguments: signal.raise_signal(signal.SIGHUP) or 0\n"
        "raise SystemExit(handviz.cli.main(['doctor']))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == status
