"""A run's folder: what was run (command, commit, configuration), its checkpoints, its curves."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from handviz.errors import HandvizError, ModelFileError
from handviz.models.checkpoint import load_groups, write_atomically
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import load_dense
from handviz.models.dense_evidence import LiveEvidence
from handviz.models.groups import GroupsNetwork
from handviz.models.weights_files import GROUPS_KIND, kind_of
from training.recipes.records import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """Paths inside a run's folder."""

    path: Path

    @property
    def state(self) -> Path:
        """Everything needed to resume: weights, averages, optimiser, progress."""
        return self.path / "state.pt"

    @property
    def weights(self) -> Path:
        """The averaged weights alone, as the app and ``training evaluate`` read them."""
        return self.path / "weights.safetensors"

    @property
    def about(self) -> Path:
        """What was run: command, commit, configuration."""
        return self.path / "run.json"

    @property
    def begun(self) -> bool:
        """Whether a run was saved in this folder."""
        return self.state.is_file() or self.weights.is_file()


def describe_run(folder: RunFolder, recipe: Recipe, *, resumed: bool = False, given: Mapping[str, str] | None = None) -> None:
    """Write command, commit, configuration and ``given``; a resumed run's are appended to those of its earlier starts.

    Raises OutputError.
    """
    facts: dict[str, Any] = {
        **_origin(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "recipe": dataclasses.asdict(recipe),
        **({} if given is None else {"given": dict(given)}),
    }
    if resumed and folder.about.is_file():
        begun = description(folder)  # Where it is damaged, how the run began is lost, but not the run itself.
        facts = {**begun, "resumed": [*begun.get("resumed", []), facts]}
    write_atomically(folder.about, json.dumps(facts, indent=2).encode())


def describe_average(folder: RunFolder, runs: Sequence[RunFolder]) -> None:
    """Write command, commit and the descriptions of the runs that were averaged. Raises OutputError."""
    facts = {**_origin(), "runs": [description(run) for run in runs]}
    write_atomically(folder.about, json.dumps(facts, indent=2).encode())


def is_run_of(folder: RunFolder, recipe: Recipe, given: Mapping[str, str]) -> bool:
    """Say whether a folder's run was described with this recipe and the same ``given``."""
    facts = description(folder)
    plain = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return facts.get("recipe") == plain and facts.get("given") == dict(given)


def description(folder: RunFolder) -> dict[str, Any]:
    """Return what ``describe_run`` wrote; nothing where it is missing or damaged."""
    try:
        facts = json.loads(folder.about.read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def load_network(folder: RunFolder) -> tuple[GroupsNetwork | DenseNetwork, Mapping[str, str]]:
    """Read a run's averaged weights (eval mode, float32, CPU) and its notes. Raises HandvizError where there are none."""
    weights = folder.weights
    if not weights.is_file():
        raise HandvizError(f"{folder.path}: holds no weights (no {weights.name}). Give a folder written by `training fit`.")
    return load_groups(weights) if kind_of(weights) == GROUPS_KIND else load_dense(weights)


def groups_in(network: GroupsNetwork | DenseNetwork) -> GroupsNetwork | None:
    """Return the groups network that a network is or has inside."""
    if isinstance(network, GroupsNetwork):
        return network
    return network.evidence.groups if isinstance(network.evidence, LiveEvidence) else None


def _origin() -> dict[str, str]:
    return {"command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]), "commit": current_commit()}


def current_commit() -> str:
    """Return this code's commit, with "-dirty" where files differ from it; "unknown" outside a repository."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("-dirty" if dirty.stdout.strip() else "")


def save_state(folder: RunFolder, state: dict[str, Any]) -> None:
    """Write the training state atomically; the old one survives a full disk. Raises OutputError."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(folder.state, buffer.getvalue())


def load_state(folder: RunFolder) -> dict[str, Any]:
    """Read a training state (tensors and plain values only). Raises ModelFileError when it is damaged."""
    if not folder.state.is_file():
        raise HandvizError(f"{folder.path}: holds no run to resume (no {folder.state.name}). Start one without --resume.")
    try:
        state = torch.load(folder.state, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, OSError) as error:
        # Torch's own message here advises turning off its safety.
        raise ModelFileError(
            f"{folder.state}: empty, cut short, or not a training state. Start a new run, or give a folder with an intact state."
        ) from error
    if not isinstance(state, dict):
        raise ModelFileError(f"{folder.state}: not a training state. Give a folder written by `training fit`.")
    return state
