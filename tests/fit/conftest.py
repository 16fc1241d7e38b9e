import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.fit.problem import HandState
from handviz.fit.rig import rig_of
from handviz.hand.model import load_hand_model
from handviz.hand.prior import sample_poses


@pytest.fixture(scope="session")
def model():
    return load_hand_model()


@pytest.fixture(scope="session")
def rig(model):
    return rig_of(model)


@pytest.fixture(scope="session")
def K():
    return np.array([[220.0, 0, 63.5], [0, 220.0, 63.5], [0, 0, 1]])


@pytest.fixture(scope="session")
def random_hand(rig):
    """Make a natural hand in the middle of a 128 x 128 picture, by seed."""

    def make(seed):
        rng = np.random.default_rng(seed)
        state = HandState(
            pose_BP=sample_poses(rng, 1),
            shape_BS=rng.normal(0, 0.7, (1, 10)),
            root_rotation_B3=Rotation.random(random_state=seed).as_rotvec()[None],
            translation_B3=np.zeros((1, 3)),
            scale_B=np.ones(1),
        )
        centre = rig.mesh(state.params(0, "default"))[1].mean(0)
        place = np.array([*rng.normal(0, 0.01, 2), 0.45]) - centre
        parts = {name: getattr(state, name) for name in HandState.__slots__}
        return HandState(**(parts | {"translation_B3": place[None]}))

    return make
