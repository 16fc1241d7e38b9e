import importlib.util
import sys
from pathlib import Path

import pytest

from handviz.geometry.camera import project
from tests.training.data.hands import K, hand_sample
from tests.training.data.test_lean import hands
from training.data.pack import pack_of, write_pack


@pytest.fixture(scope="module")
def judge():
    script = Path(__file__).resolve().parents[2] / "scripts" / "judge_lean.py"
    spec = importlib.util.spec_from_file_location("judge_lean", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_labels_and_estimators_are_told_beside_exact_ones(judge, tmp_path, capsys, monkeypatch):
    joints, who = hands(80, persons=2)
    samples = [
        hand_sample(joints_m=one, joints_px=project(one, K), split_key=person) for one, person in zip(joints, who, strict=True)
    ]
    write_pack(pack_of(samples), tmp_path / "a.safetensors")
    monkeypatch.setattr(judge, "seen_by", lambda pack, name: pack.joints_m_NJ3.astype(float))
    monkeypatch.setattr(sys, "argv", ["judge_lean.py", str(tmp_path / "a.safetensors"), "--estimator", "same"])
    assert judge.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("palm: exact labels -11") and lines[3].startswith("back: exact labels -6")
    labels, same = (line.split("deg")[0].split()[-1] for line in lines[1:3])
    assert labels == same and -15 < float(labels) < 5
    assert "too few hands" in lines[4]


def test_a_pack_without_depths_is_refused(judge, tmp_path, capsys, monkeypatch):
    write_pack(pack_of([hand_sample(joints_m=None, is_hand=False)]), tmp_path / "a.safetensors")
    monkeypatch.setattr(sys, "argv", ["judge_lean.py", str(tmp_path / "a.safetensors")])
    assert judge.main() == 1
    assert "holds no hand with depths" in capsys.readouterr().err
