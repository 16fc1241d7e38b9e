"""``training synthesize --count N --seed S --out FOLDER``: packs of rendered hands, written by several processes."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from handviz.errors import OutputError, SourceError
from handviz.hand.model import HandModel, load_hand_model
from handviz.records import UInt8Array
from training.data.encoded import EncodedPack, read_encoded
from training.data.pack import pack_of, write_pack
from training.data.sample import Sample
from training.data.synth.photo_skin import photo_skins
from training.data.synth.poses import pose_source
from training.data.synth.recipe import Recipe
from training.data.synth.renderer import HandRenderer, RenderedHand
from training.data.synth.rigged_hand import load_rigged_hand
from training.data.synth.skin import plain_bases, read_base_textures, skin_bank
from training.data.synth.surroundings import Panorama, Surroundings, photo_places, read_panoramas
from training.places import check_folder
from training.workers import begin_worker, pool_size

# Samples drawn together: they share the hand model, and their poses are drawn and checked as one batch.
CHUNK = 50
SHARD = 5000
SKINS_PER_HAND = 40
PHOTO_PLACES = 300
RENDERED_JPEG_QUALITY = 92
RIGGED_FILES = ("hand_r.gltf", "Hand_Nails_R.gltf")
# Skin pictures kept for the test set, by name; the others are for training.
TEST_TEXTURES = frozenset({"caucasian_baseColor.png", "african_baseColor.png"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """Where the optional assets are: a folder of panoramas, the folder of the rigged hand, a pack of photographs."""

    panoramas: Path | None = None
    rigged_hand: Path | None = None
    photos: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisJob:
    """What to render: ``count`` samples of this seed; ``test`` draws only from what is never trained on."""

    count: int
    seed: int
    assets: Assets = field(default_factory=Assets)
    recipe: Recipe = field(default_factory=Recipe)
    test: bool = False
    workers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Materials:
    """What the assets' folders hold: panoramas, rigged hands with pictures of their skin, and photographs."""

    panoramas: list[Panorama]
    rigged: list[HandModel]
    skin_pictures: list[UInt8Array]
    photos: EncodedPack | None


def read_materials(job: SynthesisJob) -> Materials:
    """Read the assets of a job. Raises SourceError when a folder is not what it should be."""
    assets = job.assets
    folder = assets.rigged_hand
    return Materials(
        panoramas=[] if assets.panoramas is None else read_panoramas(assets.panoramas, test=job.test),
        skin_pictures=[] if folder is None else read_base_textures(folder / "textures", TEST_TEXTURES, test=job.test),
        rigged=[] if folder is None else [load_rigged_hand(folder / name, load_hand_model()) for name in RIGGED_FILES],
        photos=None if assets.photos is None else read_encoded([assets.photos]),
    )


def make_renderer(job: SynthesisJob) -> HandRenderer:
    """Return the renderer of a job. Raises SourceError when an asset's folder is not what it should be."""
    materials, recipe = read_materials(job), job.recipe
    rng = np.random.default_rng([job.seed, int(job.test)])
    hands = _hands(rng, materials, recipe)
    photographs = [] if materials.photos is None else photo_places(rng, materials.photos, PHOTO_PLACES)
    return HandRenderer(
        hands=hands,
        surroundings=Surroundings(
            panoramas=materials.panoramas, light=recipe.light, background=recipe.background, photographs=photographs
        ),
        poses=pose_source(recipe.pose, test=job.test),
        recipe=recipe,
    )


def _hands(rng: np.random.Generator, materials: Materials, recipe: Recipe) -> list[RenderedHand]:
    default = load_hand_model()
    own = skin_bank(rng, default, plain_bases(default), recipe.skin, SKINS_PER_HAND)
    if materials.photos is not None:
        own = own + photo_skins(rng, materials.photos, default, SKINS_PER_HAND)
    # Only the default hand has shapes and parameters, so it comes more often than the two rigged ones.
    hands = [RenderedHand(model=default, skins=own, weight=3.0, has_params=True)]
    for model in materials.rigged:
        skins = skin_bank(rng, model, materials.skin_pictures, recipe.skin, SKINS_PER_HAND)
        hands.append(RenderedHand(model=model, skins=skins))
    return hands


def render_job(job: SynthesisJob) -> Iterator[list[Sample]]:
    """Yield the samples of a job chunk by chunk, in order, whatever the number of workers."""
    if job.count < 1:
        raise SourceError(f"--count {job.count}: nothing to render. Give a number of at least one.")
    tasks = [(job.seed * 1_000_003 + start, min(CHUNK, job.count - start)) for start in range(0, job.count, CHUNK)]
    if job.workers <= 1:
        start_worker(job)
        yield from map(render_chunk, tasks)
        return
    read_materials(job)  # so that a wrong folder is reported once, not by every worker
    with multiprocessing.get_context("spawn").Pool(pool_size(job.workers), initializer=start_worker, initargs=(job,)) as pool:
        yield from pool.imap(render_chunk, tasks)


_renderer_of_process: HandRenderer | None = None


def start_worker(job: SynthesisJob) -> None:
    """Make this process's renderer."""
    global _renderer_of_process  # one renderer per process
    begin_worker()
    torch.set_num_threads(1)
    _renderer_of_process = make_renderer(job)


def render_chunk(task: tuple[int, int]) -> list[Sample]:
    """Render (seed, count) with this process's renderer."""
    seed, count = task
    if _renderer_of_process is None:
        raise RuntimeError("the worker was not started")
    return _renderer_of_process.render(count, seed)


def synthesize(job: SynthesisJob, out: Path) -> list[Path]:
    """Render a job into packs of ``SHARD`` samples in a folder; what was rendered before an interruption is kept.

    Returns the files. Raises OutputError where the folder cannot be written to, or holds packs of this seed.
    """
    check_folder(out)
    if any(out.glob(f"seed{job.seed}-*.safetensors")):
        raise OutputError(f"{out}: holds packs of seed {job.seed}. Give another --out or --seed, or delete them.")
    files: list[Path] = []
    waiting: list[Sample] = []
    done = 0

    def keep() -> None:
        files.append(out / f"seed{job.seed}-{len(files):03d}.safetensors")
        write_pack(pack_of(waiting), files[-1], quality=RENDERED_JPEG_QUALITY)
        waiting.clear()

    try:
        for samples in render_job(job):
            waiting += samples
            done += len(samples)
            print(f"\r{done}/{job.count} samples", end="", file=sys.stderr, flush=True)
            if len(waiting) >= SHARD:
                keep()
    finally:
        print(file=sys.stderr)
        if waiting:
            keep()
    return files
