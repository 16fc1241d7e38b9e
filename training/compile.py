"""Trained weights as ONNX files, which the app runs on CPUs; see ``handviz.models.compiled``."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import numpy as np
import torch

from handviz.errors import HandvizError
from handviz.models.checkpoint import load_groups, write_atomically
from handviz.models.compiled import SOURCE_KEY, SUFFIX, checksum
from handviz.models.dense_checkpoint import load_dense
from handviz.models.dense_deploy import EvidenceAnswers, deployed
from handviz.models.dense_evidence import LiveEvidence
from handviz.models.deploy import Answers, DeployedGroups
from handviz.models.weights_files import GROUPS_KIND, kind_of

_OPSET = 17
# Tensors with fewer values stay float32: biases take little space.
_LARGE = 1024
# The output that holds relative depths of joints.
DEPTH = "depth"


def write_compiled(weights: Path) -> Path:
    """Write NAME.onnx next to a weights file and return its path; of a dense network, only its evidence.

    It takes one crop at a time: with fixed shapes, none have to be computed at run time.
    Raises ModelFileError or OutputError.
    """
    path = weights.with_suffix(SUFFIX)
    write_atomically(path, _ready_to_ship(exported(*network_of(weights)), checksum(weights)))
    return path


def exported(network: Answers | EvidenceAnswers, size: int) -> bytes:
    """Return a network as an ONNX file whose input ``rgb`` is a crop (1, 3, S, S)."""
    content = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The older exporter warns that it is old; the newer one needs more packages.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, size, size),),
            content,  # type: ignore[arg-type]  # its documentation allows streams
            dynamo=False,
            opset_version=_OPSET,
            input_names=["rgb"],
            output_names=list(network.output_names),
        )
    return content.getvalue()


def network_of(weights: Path) -> tuple[Answers | EvidenceAnswers, int]:
    """Return the part of a weights file that is exported, ready to run, and its crops' side. Raises HandvizError."""
    if kind_of(weights) == GROUPS_KIND:
        groups, _ = load_groups(weights)
        return Answers(DeployedGroups(groups)).eval(), groups.config.input_size
    dense, _ = load_dense(weights)
    evidence = deployed(dense).evidence
    if not isinstance(evidence, LiveEvidence):
        raise HandvizError(f"{weights}: only networks with the live evidence can be exported; the paper's size runs on a GPU.")
    return EvidenceAnswers(evidence).eval(), dense.config.input_size


def _ready_to_ship(content: bytes, source: str) -> bytes:
    """Return an export with its weights in float16, which halves the file, and with the checksum of its weights file.

    Runtimes turn the weights back into float32 once, on loading.
    """
    import onnx

    model = onnx.load_from_string(content)
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or math.prod(tensor.dims) < _LARGE:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.helper.set_model_props(model, {SOURCE_KEY: source})
    return model.SerializeToString()
