"""The subcommands that make and show data: ``synthesize``, ``label``, ``preview``."""

from __future__ import annotations

import argparse
from pathlib import Path

from handviz.arguments import whole
from training.recipes.checks import MOST_SEED

# Keyed by (for tests, webcam-like). Recipes train on all folders ``rendered*``.
_FOLDERS = {
    (False, False): "rendered",
    (False, True): "rendered-webcam",
    (True, False): "test-rendered",
    (True, True): "test-webcam",
}


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the ``training`` command line."""
    _add_synthesize(subparsers)
    _add_label(subparsers)
    _add_preview(subparsers)


def _add_synthesize(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "synthesize",
        help="render hands with exact labels",
        description="Render labelled hands into packs. The ranges of all factors are in training/data/synth/recipe.py.",
    )
    parser.add_argument("--count", type=whole(1), default=30_000, help="number of samples (default %(default)s)")
    parser.add_argument("--seed", type=whole(0, MOST_SEED), default=0, help="same seed, same samples (default %(default)s)")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for the packs (default out/data/rendered, with --webcam rendered-webcam, with --test test-rendered or "
        "test-webcam)",
    )
    parser.add_argument("--panoramas", type=Path, help="folder of NAME.jpg with NAME_light.hdr, for backgrounds and light")
    parser.add_argument(
        "--rigged-hand", type=Path, help="folder of a rigged glTF hand and its skin textures, used as a second hand model"
    )
    parser.add_argument(
        "--photos", type=Path, help="pack of labelled photographs, whose skin and rooms become textures and backgrounds"
    )
    parser.add_argument(
        "--test",
        action="store_true",
        help="use only gestures, panoramas and skins of rigged hands that are never trained on",
    )
    parser.add_argument(
        "--webcam", action="store_true", help="render ordinary webcam pictures: frontal views, decent light, mild faults"
    )
    parser.add_argument("--workers", type=whole(1), default=2, help="number of processes (default %(default)s)")
    parser.set_defaults(run=_synthesize)


def _add_label(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "label",
        help="pseudo-label photographs with MediaPipe",
        description="Label hands in photographs where MediaPipe's repeated answers agree; writes train and heldout packs.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="photographs; the folder's name is the source's")
    parser.add_argument("--out", type=Path, default=Path("out/data/photos"), help="folder for the packs (default %(default)s)")
    parser.add_argument("--workers", type=whole(1), default=2, help="number of processes (default %(default)s)")
    parser.set_defaults(run=_label)


def _add_preview(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("preview", help="draw a contact sheet of samples with their labels")
    parser.add_argument("source", help="a pack, a folder of packs, or a source's name (rendered, photos, rhd) below --data")
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/preview.png"), help="picture to write (default %(default)s)")
    parser.add_argument("--count", type=whole(1), default=48, help="number of samples (default %(default)s)")
    parser.add_argument("--seed", type=whole(0, MOST_SEED), default=0, help="chooses the samples (default %(default)s)")
    parser.add_argument("--augmented", action="store_true", help="show the crops that a network sees in training")
    parser.set_defaults(run=_preview)


def _synthesize(arguments: argparse.Namespace) -> int:
    from training.data.synth.command import Assets, SynthesisJob, synthesize
    from training.data.synth.recipe import Recipe, webcam_like

    job = SynthesisJob(
        count=arguments.count,
        seed=arguments.seed,
        assets=Assets(panoramas=arguments.panoramas, rigged_hand=arguments.rigged_hand, photos=arguments.photos),
        recipe=webcam_like() if arguments.webcam else Recipe(),
        test=arguments.test,
        workers=arguments.workers,
    )
    out: Path = arguments.out or Path("out/data") / _FOLDERS[arguments.test, arguments.webcam]
    files = synthesize(job, out)
    print(f"{arguments.count} samples in {len(files)} packs: {out}")
    return 0


def _label(arguments: argparse.Namespace) -> int:
    from training.data.labelling.command import label

    report = label(arguments.folders, arguments.out, workers=arguments.workers)
    for source, counts in report.items():
        print(f"{source}: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    print(f"packs: {arguments.out}")
    return 0


def _preview(arguments: argparse.Namespace) -> int:
    from training.data.preview import preview

    shown = preview(
        arguments.source, arguments.data, arguments.out,
        count=arguments.count, seed=arguments.seed, augmented=arguments.augmented,
    )  # fmt: skip
    print(f"{shown} samples: {arguments.out}")
    return 0
