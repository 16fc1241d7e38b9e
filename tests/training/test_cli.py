from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from handviz.errors import HandvizError
from handviz.models.checkpoint import load_groups, save_groups
from handviz.models.compiled import compiled_for
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.models.weights_files import shipped_folder
from training.ablation import read_test
from training.cli import main
from training.data.pack import pack_of, write_pack
from training.data.sample import Sample
from training.data.sources import open_source
from training.evaluate import RESULTS, folder_of
from training.fit import preparation
from training.groups_ablate import VARIANTS, ablation_recipe, begin_with_hourglass, variant
from training.recipes.changes import recipe
from training.recipes.named import RECIPES
from training.runs import RunFolder
from training.trainer import Trainer

TINY = [
    "network.hourglass.level_widths=[16,16,16,16]",
    "network.hourglass.level_modules=[1,1,1,1]",
    "network.branch_widths=[16,16,16]",
    "network.neck_widths=[16]",
    "steps=3",
    "log_every=1",
    "picture_every=2",
]
# Batches of 32 would be most of what a run of three steps takes.
TINY += [f"stages.{stage}.batch_size=4" for stage in range(3)]
CHANGES = [word for change in TINY for word in ("--set", change)]


@pytest.fixture()
def data(synthetic, tmp_path) -> Path:
    batch = synthetic.DotHands(negatives=0.2).draw(0, 24)
    samples = [
        Sample(
            rgb=np.ascontiguousarray(np.kron(batch.rgb_B3SS[i].permute(1, 2, 0).numpy(), np.ones((2, 2, 1), np.uint8))),
            K=np.diag([2.0, 2.0, 1.0]) @ synthetic.K,
            joints_px=batch.joints_px_BJ2[i].numpy() * 2 + 0.5,
            joint_valid=batch.valid_BJ[i].numpy(),
            sigma_px=np.zeros(21),
            side="right",
            source="dots",
            name=f"dots/{i}",
            view="palm" if i % 2 else "back",
            joints_m=batch.joints_m_BJ3[i].numpy() if bool(batch.is_hand_B[i]) else None,
            is_hand=bool(batch.is_hand_B[i]),
        )
        for i in range(len(batch))
    ]
    folder = tmp_path / "data"
    write_pack(pack_of(samples), folder / "photos" / "train.safetensors")
    write_pack(pack_of(samples), folder / "rendered-1" / "a.safetensors")
    return folder


def test_fit_evaluate_and_export(data, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    assert main(["fit", "groups-live", "--data", str(data), "--out", str(run), "--device", "cpu", *CHANGES]) == 0
    facts = json.loads((run / "run.json").read_text())
    assert facts["recipe"]["steps"] == 3 and facts["commit"] and "command" in facts
    assert list((run / "board").iterdir())
    assert main(["export", str(run), str(tmp_path / "out.safetensors"), "--half"]) == 0
    assert compiled_for(tmp_path / "out.safetensors") is not None
    assert load_groups(tmp_path / "out.safetensors")[1]["steps"] == "3"
    out = tmp_path / "evaluation"
    method = f"groups={tmp_path / 'out.safetensors'}"
    words = ["evaluate", "photos", "--data", str(data), "--method", method, "--out", str(out)]
    out.mkdir()
    (out / "overlays_dense.jpg").write_text("of a former comparison")
    assert main(words) == 0
    assert [p.name for p in out.glob("overlays_*")] == ["overlays_groups.jpg"]
    assert {p.name for p in out.iterdir()} >= {"results.md", "results.json", "samples.csv", "pck_epe.png", "pck_epe.csv"}
    sheet = cv2.imread(str(out / "overlays_groups.jpg"))
    assert sheet is not None and sheet.std() > 10
    numbers = json.loads((out / "results.json").read_text())[method]
    assert 0 < numbers["PA-MPJPE mm"] < 200 and 0 <= numbers["AUC 0-100"] <= 1
    assert "| view |" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert main([*words[:-2], "--limit", "2"]) == 0
    assert (tmp_path / "out" / "evaluation" / "photos" / "results.md").is_file()


def test_each_set_has_its_own_folder_of_results():
    sets = ["test-rendered", "freihand:evaluation", "out/data/photos", "out/data/photos/test.safetensors", "../data/photos"]
    folders = {folder_of(name) for name in sets}
    assert len(folders) == len(sets)
    assert {folder.parent for folder in folders} == {RESULTS}
    assert folder_of("freihand:evaluation").name == "freihand-evaluation"


def test_fit_refuses_to_overwrite_and_resumes(data, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["fit", "groups-live", "--data", str(data), "--out", str(run), "--device", "cpu", *CHANGES]
    assert main(words) == 0
    assert main(words) == 1
    assert "--resume" in capsys.readouterr().err
    (run / "state.pt").rename(tmp_path / "state.pt")
    assert main(words) == 1  # its weights are worth keeping, too
    assert "--resume" in capsys.readouterr().err
    (tmp_path / "state.pt").rename(run / "state.pt")
    assert main([*words, "--resume", "--set", "steps=4"]) == 0
    assert load_groups(run / "weights.safetensors")[1]["steps"] == "4"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "nonsense"], "unknown recipe"),
        (["fit", "groups-live", "--set", "leraning_rate=1"], "unknown key 'leraning_rate'"),
        (["fit", "groups-live", "--set", "network.groupz=2"], "unknown key 'groupz'"),
        (["fit", "groups-live", "--set", "network.groups=50"], "1 to 21"),
        (["fit", "groups-live", "--set", "steps=many"], "needs int, not 'many'"),
        (["fit", "groups-live", "--set", "steps=true"], "needs int, not True"),
        (["fit", "groups-live", "--set", "stages.0.input_size=wide"], "needs int or null, not 'wide'"),
        (["fit", "groups-live", "--set", 'self_augmentation={"every": 2}'], "needs SelfAugmentation or null"),
        (["fit", "groups-live", "--set", "stages.3.lr=0.1"], "name a stage, 0 to 2"),
        (["fit", "groups-live", "--set", 'stages=[{"lr": 0.1}]'], "name a stage, 0 to 2"),
        (["fit", "groups-live", "--set", "network.grouping=none"], "no grouping means K = 1"),
        (["fit", "groups-live", "--set", "network.branch_widths=[32,32]"], "needs a list of 3 values, not 2"),
        (["fit", "groups-live", "--set", 'network.hourglass.level_modules=["a",1,1,1]'], "whole numbers from 1"),
        (["fit", "groups-live", "--set", "network.hourglass.level_modules=[0,1,1,1]"], "whole numbers from 1"),
        (["fit", "groups-live", "--set", "network.neck_widths=[]"], "at least one width"),
        (["fit", "groups-live", "--set", "steps=0"], "steps must be 1 or more"),
        (["fit", "groups-live", "--set", "log_every=0"], "log_every must be 1 or more"),
        (["fit", "groups-live", "--set", "seed=-1"], "seed must be from 0 to"),
        (["fit", "groups-live", "--set", "seed=99999999999"], "seed must be from 0 to"),
        (["fit", "groups-live", "--set", "stages.0.lr=-1"], "stages.0.lr must be 0 or more"),
        (["fit", "groups-live", "--set", "stages.0.lr=NaN"], "needs a finite number"),
        (["fit", "groups-live", "--set", "stages.0.share=0.8"], "add up to 1"),
        (["fit", "groups-live", "--set", "temperature.ends_at=0"], "temperature.ends_at must be above 0"),
        (["fit", "groups-live", "--set", "network.hourglass.stem_width=0"], "stem_width must be 1 or more"),
        (["fit", "groups-live", "--set", "network.presence=false"], "a side head needs a presence head"),
        (["fit", "groups-live", "--set", "self_augmentation.every=2"], "only a dense network"),
        (["fit", "dense-live-side", "--set", "loss.groups.side=0"], "a weight on its loss"),
        (["fit", "groups-live", "--set", "mirrored=2"], "mirrored must be a share"),
        (["fit", "groups-live", "--set", "ema_decay=1"], "ema_decay must be at least 0 and below 1"),
        (["fit", "groups-live", "--set", "clip_norm=-1"], "clip_norm must be above 0"),
        (["fit", "groups-live", "--set", "save_every_s=-1"], "save_every_s must be 0 or more"),
        (["fit", "groups-live", "--out", "file/run"], "file/run: file is a file"),
        (["warm-dense", "nowhere", "x.txt"], "x.txt: weights are written as .safetensors"),
        (["warm-dense", "nowhere", "file/x.safetensors"], "file is a file"),
        (["evaluate", "nowhere", "--out", "file"], "file is a file"),
        (["synthesize", "--count", "1", "--out", "file"], "file is a file"),
        (["ablate", "groups", "--test", "nowhere", "--out", "file"], "file is a file"),
        (["second-opinion", "packs", "--out", "packs/x.safetensors"], "lies in the folder that is read"),
        (["second-opinion", "nowhere", "--out", "packs"], "packs: is a folder"),
        (["label", "packs", "packs/../packs"], "given twice"),
        (["label", "file"], "file: is a file"),
        (["fit", "groups-live", "--set", "stages.0.batch_size=0"], "stages.0.batch_size must be 1 or more"),
        (["fit", "groups-live", "--set", "stages.0.input_size=100"], "multiple of 32"),
        (["fit", "groups-live", "--set", "stages.0.learns=mesh"], "another kind of network"),
        (["fit", "dense-live", "--set", "stages.0.learns=groups"], "another kind of network"),
        (["fit", "dense-live-side", "--set", "network.groups.side=false"], "needs a network with a side head"),
        (["fit", "dense-live", "--set", "stages.0.input_size=64"], "at its own input_size, 128"),
        (["fit", "dense-live", "--set", "network.mask=false"], "no mask head"),
        (["export", "nowhere", "x.onnx"], "x.onnx: weights are written as .safetensors"),
        (["fit", "groups-live", "--set", "steps"], "KEY=VALUE"),
        (["fit", "groups-live", "--set", "augmentation=wild"], "unknown augmentation 'wild'"),
        (["fit", "groups-live", "--data", "nowhere"], "nowhere"),
        (["export", "nowhere", "x.safetensors"], "nowhere"),
        (["fit", "dense-live", "--set", "loss.schedule=never"], "Choose one of: error, constant"),
        (["second-opinion", "nowhere", "--out", "x.safetensors"], "nowhere"),
        (["fit", "groups-live", "--resume", "--start", "x.safetensors"], "Give only one of them"),
        (["ablate", "dense", "--test", "nowhere", "--start", "dense-live"], "dense-live.safetensors: not a groups network"),
        (
            ["ablate", "dense", "--test", "nowhere", "--start", str(shipped_folder() / "dense-live.safetensors")],
            "not a groups network",
        ),
    ],
    ids=str,
)
def test_mistakes_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("packs").mkdir()
    assert main(words) == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith("training: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "groups-live", "--minutes", "-1"], "'-1' is not a number above 0"),
        (["fit", "groups-live", "--minutes", "soon"], "'soon' is not a number above 0"),
        (["fit", "groups-live", "--threads", "0"], "'0' is not a whole number from 1"),
        (["fit", "groups-live", "--threads", "100000"], "from 1 to 1024"),
        (["synthesize", "--seed", "99999999999999999999999"], "from 0 to 2147483647"),
        (["preview", "photos", "--count", "0"], "'0' is not a whole number from 1"),
        (["ablate", "groups", "--steps", "0"], "'0' is not a whole number from 1"),
        (["ablate", "dense", "--refine", "101"], "'101' is not a whole number from 0 to 100"),
        (["evaluate", "photos", "--limit", "-5"], "'-5' is not a whole number from 1"),
    ],
    ids=str,
)
def test_numbers_that_can_not_be_are_refused(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "training: stopped\n"),
        (RuntimeError("can't allocate memory: you tried to allocate 9 bytes.\nMore."), 1, "not enough memory (can't allocate"),
        (PermissionError(13, "Permission denied", "/locked/run"), 1, "training: /locked/run: Permission denied."),
    ],
    ids=["interrupted", "memory", "rights"],
)
def test_what_a_machine_can_not_do_is_one_line(problem, status, message, monkeypatch, capsys):
    def fails(arguments):
        raise problem

    monkeypatch.setattr("training.data.cli._label", fails)
    assert main(["label", "photos"]) == status
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_an_error_of_our_own_is_no_lack_of_memory(monkeypatch):
    def fails(arguments):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("training.data.cli._label", fails)
    with pytest.raises(RuntimeError, match="shapes"):
        main(["label", "photos"])


def test_ablations_take_changes_over_what_their_variants_share():
    changed = ablation_recipe(7, {"network.lift": "true", "data": "photos"})
    assert changed.network.lift and changed.data[0].source == "photos" and changed.steps == 7
    assert not ablation_recipe(7, {}).network.lift


def test_ablations_of_the_papers_recipes_keep_what_those_say():
    base = ablation_recipe(7, {}, "groups-paper-rhd")
    plain = recipe("groups-paper-rhd")
    assert base == dataclasses.replace(plain, steps=7) and base.network.input_size == 256
    assert variant(base, "baseline", 0).network == dataclasses.replace(plain.network, grouping="none", groups=1, fusion=False)
    begun = ablation_recipe(7, {}, "groups-paper-rhd", begun=True)
    assert [stage.learns for stage in plain.stages] == ["hourglass", "everything"]
    assert begun.stages == (dataclasses.replace(plain.stages[1], share=1.0),)


def test_ablations_in_small_are_no_warm_up():
    """A scaled-down stage warms up for at most 5 % of its steps, and its selector learns as fast as the paper's."""
    for steps, begun in ((300, True), (400, False)):
        for stage in ablation_recipe(steps, {}, begun=begun).stages:
            assert stage.warmup_steps <= 0.05 * stage.share * steps and stage.lr_selector == 0.1
    assert ablation_recipe(None, {}).stages[0].warmup_steps == 80
    assert ablation_recipe(None, {}).steps == 4000
    assert ablation_recipe(None, {}, "groups-paper-rhd") == recipe("groups-paper-rhd")


def test_a_test_set_is_named_as_it_is_evaluated(data):
    by_name, by_path = read_test("rendered", data), read_test(str(data / "rendered-1"), Path("nowhere"))
    assert len(by_name) == len(by_path) > 0
    with pytest.raises(HandvizError, match="anno_evaluation"):
        read_test("rhd", data)


def test_the_papers_recipes_augment_as_the_paper_does():
    assert {recipe(name).augmentation for name in ("groups-paper-rhd", "groups-paper-stb", "groups-paper-freihand")} == {"paper"}
    assert recipe("groups-live").augmentation == "full"


def test_recipes_build_and_changes_reach_them():
    for name in RECIPES:
        assert recipe(name).name == name
    assert recipe("groups-live", {"network.presence": "false", "network.side": "false"}).network.side is False
    assert recipe("dense-live", {"self_augmentation.every": "2"}).self_augmentation.every == 2
    changed = recipe("groups-live", {"seed": "3", "network.groups": "5", "loss.depth": "7"})
    assert (changed.seed, changed.network.groups, changed.loss.depth) == (3, 5, 7)
    with pytest.raises(HandvizError, match="no parts"):
        recipe("groups-live", {"seed.x": "3"})


def test_every_ablation_variant_is_a_network():
    base = ablation_recipe(10, {})
    for name, expected in VARIANTS.items():
        config = variant(base, name, 1).network
        assert isinstance(config, GroupsConfig)
        assert (config.groups, config.grouping, config.fusion) == tuple(expected[k] for k in ("groups", "grouping", "fusion"))


def test_ablation_makes_a_table_and_goes_on_where_it_stopped(data, tmp_path, capsys):
    out = tmp_path / "ablation"
    words = ["ablate", "groups", "--data", str(data), "--test", str(data / "rendered-1"), "--seeds", "2", "--steps", "2"]
    words += ["--variants", "baseline", "learned + fusion", "--out", str(out), "--device", "cpu"]
    other_recipe = [*words, "--recipe", "groups-paper-rhd"]
    words += [*CHANGES[:8], *CHANGES[-6:]]
    assert main(words) == 0
    text = (out / "table.md").read_text(encoding="utf-8")
    assert "| baseline | 2 |" in text and "±" in text and "ensemble of 2" in text and "selector decided" in text
    capsys.readouterr()
    assert main(words) == 0
    assert "training '" not in capsys.readouterr().out
    # The existing runs are not those of another recipe.
    assert main([*words, "--set", "seed=7", "--set", "loss.depth=9"]) == 1
    assert "baseline-seed0: holds a run with other settings" in capsys.readouterr().err
    assert main(other_recipe) == 1
    assert "holds a run with other settings" in capsys.readouterr().err


def test_ablations_begin_with_a_trained_hourglass(data, tmp_path, capsys):
    """All variants take over only the hourglass, also in the average, and small pictures are skipped."""
    base = ablation_recipe(7, dict(change.split("=") for change in TINY[:4]), begun=True)
    assert [(stage.share, stage.input_size) for stage in base.stages] == [(1.0, None)]
    chosen, begun = variant(base, "learned + fusion", 0), tmp_path / "begun.safetensors"
    trained = GroupsNetwork(variant(base, "baseline", 0).network)
    save_groups(begun, trained, {})
    source = open_source(chosen.data, data, 0, torch.device("cpu"))
    trainer = Trainer(chosen, source, preparation(chosen), RunFolder(path=tmp_path), device=torch.device("cpu"))
    fresh = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    begin_with_hourglass(trainer, begun)
    for network in (trainer.network, trainer.average.network):
        for name, value in network.state_dict().items():
            expected = trained.state_dict()[name] if name.startswith("hourglass.") else fresh[name]
            assert torch.equal(value, expected), name
    words = ["ablate", "groups", "--data", str(data), "--test", str(data / "rendered-1"), "--seeds", "1", "--steps", "1"]
    words += ["--variants", "baseline", "--device", "cpu", "--start", str(begun), "--set", "stages.0.batch_size=4"]
    assert main([*words, *CHANGES[:8], "--out", str(tmp_path / "one")]) == 0
    assert main([*words, *CHANGES[:2], "--out", str(tmp_path / "two")]) == 1
    assert "its hourglass has another configuration" in capsys.readouterr().err


def test_fit_runs_under_torchrun(data, tmp_path):
    """Two processes of one command leave one run: its weights, curves and description."""
    run, root = tmp_path / "run", Path(__file__).parents[2]
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "--",
        "training",
        "fit",
    ]
    words = ["groups-live", "--data", str(data), "--out", str(run), "--device", "cpu", *CHANGES]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([*launch, *words], env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("done at step 3") == 1
    assert load_groups(run / "weights.safetensors")[1]["steps"] == "3"
    assert (run / "run.json").is_file() and len(list((run / "board").iterdir())) == 1


def test_two_processes_train_as_one(tmp_path):
    """One step of two gloo processes with shared norms gives one process's weights at the same global batch."""
    worker = Path(__file__).parent / "two_processes.py"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    alone = tmp_path / "alone.safetensors"
    together = tmp_path / "together.safetensors"
    subprocess.run([sys.executable, worker, alone], check=True, env=environment, timeout=100)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", worker, together]
    subprocess.run(launch, check=True, env=environment, timeout=100, capture_output=True)
    one, two = (load_groups(path)[0].state_dict() for path in (alone, together))
    torch.manual_seed(0)  # the recipe's seed
    start = GroupsNetwork(load_groups(alone)[0].config).state_dict()
    flat = [torch.cat([state[n].double().flatten() for n in one]) for state in (start, one, two)]
    moved, gap = (flat[1] - flat[0]).norm(), (flat[2] - flat[1]).norm()
    assert moved > 0.1
    assert gap < 1e-3 * moved


def test_the_live_network_ships_in_one_file(tmp_path):
    network = GroupsNetwork(recipe("groups-live").network)
    save_groups(tmp_path / "a.safetensors", network, {}, torch.float16)
    assert (tmp_path / "a.safetensors").stat().st_size < 16 * 2**20
