import sys

import numpy as np
import pytest

from handviz.geometry.camera import project
from tests.training import judging
from tests.training.data.hands import K, hand_sample
from tests.training.data.test_lean import hands, told_as
from training.answers import CROP_SIZE, Answers, labelled_crops, truth_of
from training.data.pack import pack_of, write_pack


@pytest.fixture(scope="module")
def judge():
    return judging.judge("judge_lean")


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


def told_by(judge, monkeypatch, joints_m, joints_px):
    """Let the estimator always return this answer."""
    answers = Answers(joints_m=joints_m, joints_px=joints_px, depth=joints_m[..., 2], ms=1.0)
    monkeypatch.setattr(judge, "open_method", lambda name: name)
    monkeypatch.setattr(judge, "answer", lambda method, pack: answers)


def test_an_answers_depths_are_put_on_the_rays_of_its_pixels(judge, monkeypatch):
    """Its shape is right but elsewhere, so far away that it would look narrower; its pixels are the crop's."""
    pack = pack_of([hand_sample(seed) for seed in range(3)])
    exact = truth_of(labelled_crops(pack, CROP_SIZE))
    told_by(judge, monkeypatch, exact.joints_m + [0.2, -0.1, 3.0], exact.joints_px)
    np.testing.assert_allclose(judge.seen_by(pack, "mine"), exact.joints_m, atol=1e-5)


@pytest.mark.parametrize("lean", [-10.0, 8.0])
def test_an_estimator_that_leans_is_told_by_how_much(judge, tmp_path, capsys, monkeypatch, lean):
    """Labels and answers have the same pixels, but different depths."""
    seen = np.linspace(-30, 30, 80)
    near = [0, 0, 0.8 - 60.0]
    labels, answers = (np.stack([told_as(deg, deg + off, "palm") + near for deg in seen]) for off in (0.0, lean))
    samples = [hand_sample(joints_m=one, joints_px=project(one, K), split_key="me") for one in labels]
    write_pack(pack_of(samples), tmp_path / "a.safetensors")
    told_by(judge, monkeypatch, answers, truth_of(labelled_crops(pack_of(samples), CROP_SIZE)).joints_px)
    monkeypatch.setattr(sys, "argv", ["judge_lean.py", str(tmp_path / "a.safetensors"), "--estimator", "mine"])
    assert judge.main() == 0
    words = [line.split() for line in capsys.readouterr().out.splitlines()[1:3]]
    assert [word[0] for word in words] == ["labels", "mine"] and all(word[-2:] == ["80", "hands"] for word in words)
    assert float(words[1][1]) - float(words[0][1]) == pytest.approx(lean, abs=0.5)


def test_a_pack_without_depths_is_refused(judge, tmp_path, capsys, monkeypatch):
    write_pack(pack_of([hand_sample(joints_m=None, is_hand=False)]), tmp_path / "a.safetensors")
    monkeypatch.setattr(sys, "argv", ["judge_lean.py", str(tmp_path / "a.safetensors")])
    assert judge.main() == 1
    assert "holds no hand with depths" in capsys.readouterr().err
