"""Exported networks on eight bits, for CPUs that are made for them; see ``handviz.models.compiled``.

Weights keep a scale for each output channel, activations one for each tensor, taken from what training crops reach. What
rounding adds to each joint's depth on average is subtracted again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime import InferenceSession
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from handviz.errors import HandvizError
from handviz.models.checkpoint import write_atomically
from handviz.models.compiled import EIGHT_BITS, SUFFIX, Float32Array
from training.compile import DEPTH
from training.data.augment import augment
from training.data.pack import Pack

# Crops that show how far activations reach: 64 and 256 gave the same error.
CROPS = 96
# Everything between the picture and the maps. What reads joints from the maps stays as it is.
_OPERATIONS = ("Conv", "Relu", "Add", "MaxPool", "Resize", "Concat", "DepthToSpace", "Slice")


def calibration_crops(packs: Sequence[Pack], size: int) -> Float32Array:
    """Return crops (N, 3, S, S) in [0, 1] as training sees them, as many of each pack. Raises HandvizError without a hand."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    crops = []
    for pack in packs:
        hands = np.flatnonzero(pack.is_hand_N)
        if len(hands) == 0:
            raise HandvizError("--quantize: a set holds no hand. Name sets with labelled hands.")
        chosen = rng.choice(hands, CROPS // len(packs))
        crops.append(augment(pack.batch(chosen), generator, size).rgb_B3SS.numpy())
    return np.concatenate(crops)


def write_quantized(export: Path, crops_N3SS: Float32Array) -> Path:
    """Write NAME.int8.onnx beside an export and return its path. Raises OutputError."""
    with tempfile.TemporaryDirectory() as folder:
        plain, rounded = Path(folder) / "plain.onnx", Path(folder) / "rounded.onnx"
        quant_pre_process(str(export), str(plain), skip_symbolic_shape=True)
        quantize_static(
            str(plain),
            str(rounded),
            _Crops(crops_N3SS),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(_OPERATIONS),
        )
        model = onnx.load(str(rounded))
        offset_J = (_depths(export, crops_N3SS) - _depths(rounded, crops_N3SS)).mean(0)
    _add_to_output(model, DEPTH, offset_J)
    del model.metadata_props[:]
    model.metadata_props.extend(onnx.load(str(export), load_external_data=False).metadata_props)
    path = export.with_suffix(EIGHT_BITS + SUFFIX)
    write_atomically(path, model.SerializeToString())
    return path


class _Crops(CalibrationDataReader):
    def __init__(self, crops_N3SS: Float32Array) -> None:
        self._left = iter(crops_N3SS)

    def get_next(self) -> dict[str, Float32Array] | None:
        crop = next(self._left, None)
        return None if crop is None else {"rgb": crop[None]}


def _depths(path: Path, crops_N3SS: Float32Array) -> Float32Array:
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run([DEPTH], {"rgb": crop[None]})[0] for crop in crops_N3SS])


def _add_to_output(model: onnx.ModelProto, name: str, offset_J: Float32Array) -> None:
    """Let an output be what it was plus a constant (J,)."""
    for node in model.graph.node:
        for i, out in enumerate(node.output):
            if out == name:
                node.output[i] = f"{name}_rounded"
        for i, put in enumerate(node.input):
            if put == name:
                node.input[i] = f"{name}_rounded"
    model.graph.initializer.append(onnx.numpy_helper.from_array(offset_J.astype(np.float32), f"{name}_offset"))
    model.graph.node.append(onnx.helper.make_node("Add", [f"{name}_rounded", f"{name}_offset"], [name]))
