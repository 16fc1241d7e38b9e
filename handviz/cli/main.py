"""The arguments of the ``handviz`` command, and which module runs each subcommand."""

from __future__ import annotations

import argparse
import difflib
import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from handviz import __version__
from handviz.arguments import FOV_DEG, HAND_SIZE_CM, MAX_HANDS, REFINE_ITERATIONS, SMOOTHING, number, whole
from handviz.console import print_whatever_comes
from handviz.errors import HandvizError
from handviz.interrupts import INTERRUPTED, end_as_by_ctrl_c

COMMANDS = ("app", "process", "bench", "doctor", "add-hand", "convert")
# A word at least this similar to a command was meant as one; `process.mp4` is less similar.
LIKENESS = 0.8
# Windows errors of a library that does not load: it or something it needs, or a function in it, is missing, or its start failed.
WINDOWS_NOT_LOADED = (126, 127, 1114)
SECONDS = number(0.001, 86400, "a time", " seconds")
CENTIMETRES = number(*HAND_SIZE_CM, "a length", " cm")
DEGREES = number(*FOV_DEG, "an angle", " degrees")


def entry() -> int:
    """Run as the installed command."""
    _hush_native_libraries()
    print_whatever_comes()
    if sys.stderr is not None and sys.platform != "win32":  # there it also reports errors that Windows' own libraries catch
        # A crash inside a native library would otherwise end the program without a word.
        faulthandler.enable(sys.stderr)
    return _ended(main())


def _ended(status: int) -> int:
    """Return the exit status, or exit at once if a thread of ours still runs: Python's exit would abort its native code."""
    if any(thread.name.startswith("handviz") for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # closed, or none
                stream.flush()
        os._exit(status)
    return status


def _hush_native_libraries() -> None:
    """Discard what native libraries print on standard error; Python's own messages still come through.

    MediaPipe prints a dozen lines on start-up that no setting turns off. ``HANDVIZ_NATIVE_LOG=1`` shows them.
    """
    if os.environ.get("HANDVIZ_NATIVE_LOG") or sys.stderr is None:
        return
    ours = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(ours, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 a problem that was reported, 2 wrong arguments, 130 a signal."""
    end_as_by_ctrl_c()
    words = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    # `handviz SOURCE` is `handviz app SOURCE`.
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help", "--version")):
        meant = _misspelt(words[0]) if words else None
        if meant is not None:
            parser.error(f"'{words[0]}' is neither a command nor a file or folder. Did you mean `handviz {meant}`?")
        words.insert(0, "app")
    return _told(parser.parse_args(words))


def _told(arguments: argparse.Namespace) -> int:
    """Run the command; problems that a user can fix become one line on standard error."""
    handler: Callable[[argparse.Namespace], int] = arguments.handler
    try:
        status = handler(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has gone is still handled
        return status
    except HandvizError as error:
        print(f"handviz: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        return _not_loaded(error)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if getattr(error, "winerror", None) in WINDOWS_NOT_LOADED:
            return _not_loaded(error)
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"handviz: {where}{error.strerror or error}. Check that you may read and write there", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _not_loaded(error: Exception) -> int:
    print(f"handviz: a required library does not load: {error}. Run `handviz doctor` to see what to do.", file=sys.stderr)
    return 1


def _misspelt(word: str) -> str | None:
    """Return the command that this word nearly spells; None if there is none or the word is a source."""
    near = difflib.get_close_matches(word, COMMANDS, n=1, cutoff=LIKENESS)
    return near[0] if near and not word.startswith("-") and not Path(word).exists() else None


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="handviz",
        description="3D hands from a webcam or a recording. `handviz [SOURCE]` opens the window.",
        epilog="SOURCE is a camera number, a video, a picture or a folder of pictures.",
    )
    parser.add_argument("--version", action="version", version=f"handviz {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_app(commands)
    _add_process(commands)
    _add_convert(commands)
    _add_bench(commands)
    _add_doctor(commands)
    _add_hand(commands)
    return parser


Commands = argparse._SubParsersAction


def add_analysis_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how hands are analysed, the same for every command; an option that was not given is None."""
    group = parser.add_argument_group("analysis")
    group.add_argument("--estimator", metavar="NAME", help="mediapipe, fit, groups, groups-fit, dense or auto (default)")
    group.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="weights for groups, groups-fit or dense: a file, or the name of shipped weights",
    )
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where networks run (default: auto)")
    group.add_argument("--max-hands", type=whole(*MAX_HANDS), metavar="N", help="maximum number of hands (default: 2)")
    smoothing = group.add_mutually_exclusive_group()
    smoothing.add_argument("--no-smoothing", action="store_true", help="leave the joints as estimated")
    smoothing.add_argument("--smoothing", type=number(*SMOOTHING), metavar="0..1", help="strength of smoothing (default: 0.5)")
    group.add_argument("--hand-model", metavar="NAME", help="which hand model makes the mesh (default: the built-in one)")
    group.add_argument("--hand-size", type=CENTIMETRES, metavar="CM", help="wrist to middle knuckle; sets the metric scale")
    group.add_argument(
        "--refine-iterations",
        type=whole(*REFINE_ITERATIONS),
        metavar="N",
        help="refinement steps of the dense mesh, 0 to 100 (default: 5)",
    )
    lens = group.add_mutually_exclusive_group()
    fov = "field of view of the longer side (default: 60; photographs: from EXIF, else 50, less for close-ups of a hand)"
    lens.add_argument("--fov", type=DEGREES, metavar="DEG", help=fov)
    lens.add_argument("--intrinsics", type=Path, metavar="FILE", help="calibrated camera (json, npy or npz)")


def _add_app(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("app", help="open the window (also: handviz SOURCE)")
    parser.add_argument("source", nargs="?", help="camera number, video, picture or folder (default: the last one, or a camera)")
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="save a picture of the window before it closes")
    parser.add_argument("--quit-after", type=SECONDS, metavar="S", help="close the window after S seconds")
    add_analysis_options(parser)
    parser.set_defaults(handler=_run("app"))


def _add_process(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "process",
        help="analyse every frame without a window",
        epilog="Exit status: 0 when everything was read and written, 1 when something was not, 2 for wrong arguments, "
        "130 when it was interrupted; what was written until then is kept.",
    )
    parser.add_argument("source", nargs="+", help="video, picture or pictures, or folder of pictures")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="JSON lines, one per frame (or .csv .npz .bvh .glb .obj .ply)"
    )
    parser.add_argument("--save-video", type=Path, metavar="FILE", help="write the video with the hands drawn in")
    parser.add_argument(
        "--meshes",
        type=Path,
        metavar="DIR",
        help="write one .obj file per hand and frame; files of an earlier run on the same source are removed",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    add_analysis_options(parser)
    parser.set_defaults(handler=_run("process"))


def _add_convert(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("convert", help="turn the JSON lines of `process` into csv, npz, bvh, glb, obj or ply")
    parser.add_argument("poses", type=Path, help="JSON lines written by `handviz process`")
    parser.add_argument("out", type=Path, help="file to write; its suffix sets the format")
    parser.set_defaults(handler=_run("convert"))


def _add_bench(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("bench", help="measure each stage on this machine")
    parser.add_argument("source", nargs="?", help="video to measure on (default: the bundled clip)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as JSON")
    parser.add_argument("--seconds", type=SECONDS, default=10.0, help="length of the live measurement (default: 10)")
    add_analysis_options(parser)
    parser.set_defaults(handler=_run("bench"))


def _add_doctor(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("doctor", help="check this machine and say what to do about anything missing")
    parser.set_defaults(handler=_run("doctor"))


def _add_hand(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("add-hand", help="add a hand model: a MANO file or a rigged glTF hand")
    parser.add_argument("path", type=Path, help="MANO_RIGHT.pkl, MANO_LEFT.pkl, an .npz of either, or a .gltf or .glb hand")
    parser.add_argument("--name", help="name for --hand-model (default: from the file)")
    parser.add_argument("--texture", type=Path, metavar="PICTURE", help="texture of the skin for a glTF hand")
    parser.add_argument("--replace", action="store_true", help="replace an existing hand of that name")
    parser.set_defaults(handler=_run("add_hand"))


def _run(command: str) -> Callable[[argparse.Namespace], int]:
    """Return a handler that imports a command's module only when it is run: the app's libraries take seconds to load."""

    def handler(arguments: argparse.Namespace) -> int:
        import importlib

        module = importlib.import_module(f"handviz.cli.{command}")
        status: int = module.run(arguments)
        return status

    return handler
