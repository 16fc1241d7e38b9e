import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.crop import CropSpec, joints_from_crop
from handviz.fit.rig import rig_of
from handviz.geometry.camera import project
from handviz.hand.gestures import GESTURE_BY_NAME
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import ROOT
from handviz.records import CropResult, HandParams
from tests.training.data.hands import K, flat_hand, hand_sample
from training.cli import main
from training.data.labelling.lean import palm_angles
from training.data.pack import pack_of, read_pack, write_pack
from training.second_opinion import averaged, with_second_opinion


class Other:
    """Sees the same hand in every crop: these joints in the stored crop's camera."""

    name, device, crop_spec = "other", "cpu", CropSpec(size=64)

    def __init__(self, joints_m):
        self.joints_m = joints_m

    def estimate(self, crops, track_ids):
        return [
            CropResult(score=1.0, joints=joints_from_crop(crop, self.joints_m, project(self.joints_m, crop.K_crop), np.ones(21)))
            for crop in crops
        ]


def bent(amount):
    """A hand with the same pixels as the flat one, its fingers nearer to the lens by this many metres."""
    truth = flat_hand()
    depth = truth[:, 2] - amount * (np.arange(21) % 4 == 0) * (np.arange(21) > 0)
    return truth * (depth / truth[:, 2])[:, None]


def depths(joints_m):
    return joints_m[:, 2] - joints_m[ROOT, 2]


def test_depths_and_pixels_are_averaged():
    label, other = bent(0.06), bent(0.0) + [0.01, 0.0, 0.0]
    mean, mean_px = averaged(label, project(label, K), other, K)
    np.testing.assert_allclose(mean_px, (project(label, K) + project(other, K)) / 2, atol=1e-6)
    np.testing.assert_allclose(project(mean, K), mean_px, atol=1e-6)
    np.testing.assert_allclose(depths(mean), depths(bent(0.03)), atol=0.004)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_size_of_the_hand_says_nothing_about_depth(factor):
    label = bent(0.06)
    np.testing.assert_allclose(averaged(label, project(label, K), factor * label, K)[0], label, atol=1e-6)


def test_a_pack_with_a_second_opinion_is_fitted_anew():
    label = bent(0.06)
    samples = [hand_sample(joints_m=label, joints_px=project(label, K)), hand_sample(joints_m=None, is_hand=False)]
    moved = bent(0.0) + [0.002, 0.0, 0.0]
    changed, count = with_second_opinion(pack_of(samples), Other(moved), 0.0)
    assert count == 1
    np.testing.assert_allclose(depths(changed.joints_m_NJ3[0]), depths(bent(0.03)), atol=0.004)
    np.testing.assert_allclose(changed.joints_px_NJ2[0], (project(label, K) + project(moved, K)) / 2, atol=0.01)
    np.testing.assert_array_equal(changed.joints_px_NJ2[1], pack_of(samples).joints_px_NJ2[1])
    assert not changed.has_params_N.any() and not changed.has_mask_N.any(), "no hand bends like that"


def test_an_averaged_hand_that_the_model_can_be_has_its_parameters_and_its_mask():
    rig, turned = rig_of(load_hand_model()), Rotation.from_euler("xyz", [90, 20, 80], degrees=True).as_rotvec()

    def natural(bend):
        pose = bend * GESTURE_BY_NAME["relaxed"].pose()
        params = HandParams(pose=pose, shape=np.zeros(10), root_rotation=turned, translation_m=np.zeros(3))
        joints = rig.mesh(params)[1]
        return joints - joints.mean(0) + [0.0, 0.0, 0.6]

    label = natural(0.6)
    pack = pack_of([hand_sample(joints_m=label, joints_px=project(label, K)), hand_sample(joints_m=None, is_hand=False)])
    changed, count = with_second_opinion(pack, Other(natural(0.4)), 0.0)
    assert count == 1
    assert changed.has_params_N.tolist() == changed.has_mask_N.tolist() == [True, False]
    np.testing.assert_allclose(changed.params_N62[0, :45], 0.5 * GESTURE_BY_NAME["relaxed"].pose(), atol=0.2)
    inside = changed.mask_NSS[0][tuple(changed.joints_px_NJ2[0].round().astype(int)[:, ::-1].T)]
    assert (inside > 127).mean() > 0.8


def test_an_opinion_about_another_hand_is_not_heard():
    label = bent(0.06)
    pack = pack_of([hand_sample(joints_m=label, joints_px=project(label, K))])
    changed, count = with_second_opinion(pack, Other(flat_hand() + [0.05, 0.0, 0.0]), 0.0)
    assert count == 0
    np.testing.assert_allclose(changed.joints_m_NJ3, pack.joints_m_NJ3, rtol=1e-5)


def test_hands_are_leaned_back_on_the_rays_of_their_pixels():
    label = flat_hand()
    pack = pack_of([hand_sample(joints_m=label, joints_px=project(label, K))])
    straight, leant = (with_second_opinion(pack, Other(label), degrees)[0].joints_m_NJ3[0] for degrees in (0.0, 10.0))
    np.testing.assert_allclose(project(leant, K), project(straight, K), atol=1e-3)
    tilts = [float(np.degrees(palm_angles(joints[None].astype(float))[0][0])) for joints in (straight, leant)]
    assert tilts[0] - tilts[1] == pytest.approx(10.0, abs=1.0)


def test_the_command_leans_hands_back_where_told(tmp_path, capsys):
    label = flat_hand()
    write_pack(pack_of([hand_sample(joints_m=label, joints_px=project(label, K))]), tmp_path / "in.safetensors")
    tilts = []
    for i, more in enumerate(([], ["--lean-back", "10"])):
        out = tmp_path / f"{i}.safetensors"
        assert main(["second-opinion", str(tmp_path / "in.safetensors"), "--out", str(out), "--method", "mediapipe", *more]) == 0
        tilts.append(float(np.degrees(palm_angles(read_pack(out).joints_m_NJ3.astype(float))[0][0])))
    assert tilts[0] - tilts[1] == pytest.approx(10.0, abs=1.5)
    with pytest.raises(SystemExit):
        main(["second-opinion", "x", "--out", "y", "--lean-back", "nan"])
    assert "from -45 to 45" in capsys.readouterr().err


def test_the_labels_that_are_read_are_not_written_over(tmp_path, capsys):
    label = flat_hand()
    path = tmp_path / "in.safetensors"
    write_pack(pack_of([hand_sample(joints_m=label, joints_px=project(label, K))]), path)
    before = path.read_bytes()
    assert main(["second-opinion", str(path), "--out", str(path)]) == 1
    assert "is the file being read" in capsys.readouterr().err and path.read_bytes() == before


def test_exact_labels_are_refused(tmp_path, capsys):
    path = tmp_path / "exact.safetensors"
    write_pack(pack_of([hand_sample(sigma_px=np.zeros(21))]), path)
    assert main(["second-opinion", str(path), "--out", str(tmp_path / "out.safetensors")]) == 1
    assert f"{path}: holds no pseudo-labels" in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()
