"""FreiHAND's ``pred.json`` of one method: answers to the evaluation's pictures, for which no labels are needed."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from handviz.estimate.base import Estimator
from training.data.benchmarks.freihand import NUM_VERTICES, evaluation_crops, write_predictions
from training.looks import looked_at

_AT_ONCE = 32


def write_submission(path: Path, method: Estimator, folder: Path) -> bool:
    """Write joints and vertices in metres in each picture's camera frame; say whether the method answers with such meshes.

    Without meshes of 778 vertices the vertices are zeros, which the server takes and which score nothing. Raises SourceError
    for missing pictures and OutputError when some answer is not a number or the file can not be written.
    """
    crops = evaluation_crops(folder, method.crop_spec.size)
    joints, meshes = [], []
    while chunk := list(itertools.islice(crops, _AT_ONCE)):
        for result in looked_at(method, chunk):
            joints.append(result.joints.joints_camera_m)
            if result.mesh is not None and len(result.mesh.vertices_camera_m) == NUM_VERTICES:
                meshes.append(result.mesh.vertices_camera_m)
    has_mesh = len(meshes) == len(joints)
    vertices = np.stack(meshes) if has_mesh else np.zeros((len(joints), NUM_VERTICES, 3))
    write_predictions(path, np.stack(joints), vertices)
    return has_mesh
