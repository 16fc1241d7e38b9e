"""What runs without torch, which would cost everyone who keeps the default 200 MB and more than a second of startup."""

from __future__ import annotations

import subprocess
import sys

# One after the other in one process, for its start is most of what each takes.
PROGRAMS = {
    "a fitted mesh and its overlay": """
import numpy as np
from handviz.estimate.fit import FitEstimator
from handviz.export.mesh_overlay import mesh_picture
from handviz.pipeline.session import Session
from handviz.pipeline.result_cache import ResultCache
FitEstimator()
""",
    "the shipped network on a CPU": """
from handviz.crop import CropWindow, cut_crop
from handviz.estimate import groups
from handviz.geometry.camera import camera_from_fov
groups._gpu_driver = lambda: False
made = groups.GroupsEstimator()
window = CropWindow(u=320, v=240, side=200)
crop = cut_crop(np.zeros((480, 640, 3), np.uint8), camera_from_fov(640, 480), window, 'left', made.crop_spec.size)
assert made.estimate([crop], [None])[0].joints.joints_camera_m.shape == (21, 3)
""",
    "a mesh fitted to that network": """
from handviz.estimate.groups_fit import GroupsFitEstimator
GroupsFitEstimator()
""",
}


def test_estimators_on_a_cpu_do_without_torch() -> None:
    program = "import sys\n" + "".join(f"{code}\nprint('torch' in sys.modules)\n" for code in PROGRAMS.values())
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert dict(zip(PROGRAMS, answer.stdout.split(), strict=True)) == dict.fromkeys(PROGRAMS, "False")
