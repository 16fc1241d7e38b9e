"""Exported networks quantized to 8 bits, for CPUs made for such networks; see ``handviz.models.compiled``.

Weights have a scale per output channel, activations one per tensor, from the ranges that training crops reach. The mean offset
that rounding adds to each joint's depth is subtracted again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnxruntime import InferenceSession
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from handviz.errors import HandvizError
from handviz.models.checkpoint import write_atomically
from handviz.models.compiled import EIGHT_BITS, SOURCE_KEY, SUFFIX, Float32Array, checksum
from training.compile import DEPTH, exported, network_of
from training.data.augment import augment
from training.data.pack import Pack

# Crops that show the range of activations: 64 and 256 gave the same error.
CROPS = 96
# Everything between the picture and the maps. The operations that read joints from the maps are not quantized.
_OPERATIONS = ("Conv", "Relu", "Add", "MaxPool", "Resize", "Concat", "DepthToSpace", "Slice")


def calibration_crops(packs: Sequence[Pack], size: int) -> Float32Array:
    """Return crops (N, 3, S, S) in [0, 1] as in training, equally many of each pack. Raises HandvizError without a hand."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    crops = []
    for pack in packs:
        hands = np.flatnonzero(pack.is_hand_N)
        if len(hands) == 0:
            raise HandvizError("--quantize: a set holds no hand. Name sets with labelled hands.")
        chosen = rng.choice(hands, CROPS // len(packs))
        crops.append(augment(pack.batch(chosen), generator, size).rgb_B3SS.numpy())
    return np.concatenate(crops)


def write_quantized(weights: Path, crops_N3SS: Float32Array) -> Path:
    """Write NAME.int8.onnx next to a weights file and return its path. Raises ModelFileError or OutputError."""
    network, size = network_of(weights)
    _without_transposed(network)
    with tempfile.TemporaryDirectory() as folder:
        export, plain, rounded = (Path(folder) / f"{name}.onnx" for name in ("export", "plain", "rounded"))
        export.write_bytes(exported(network, size))
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
    onnx.helper.set_model_props(model, {SOURCE_KEY: checksum(weights)})
    path = weights.with_suffix(EIGHT_BITS + SUFFIX)
    write_atomically(path, model.SerializeToString())
    return path


class DoubleSize(nn.Module):
    """A 4x4 transposed convolution of stride 2 as a 2x2 convolution whose features become pixels.

    It takes as many multiplications, but a plain convolution can run in 8 bits.
    """

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        inputs, outputs = conv.in_channels, conv.out_channels
        self.conv = nn.Conv2d(inputs, 4 * outputs, 2, padding=1)
        # Two output rows (and columns) lie around each edge between input pixels. The one before it saw them through rows 2 and
        # 0 of the kernel, the one after it through rows 3 and 1.
        taps = torch.tensor([[2, 0], [3, 1]])
        parts = conv.weight[:, :, taps[:, None, :, None], taps[None, :, None, :]]
        with torch.no_grad():
            self.conv.weight.copy_(parts.permute(1, 2, 3, 0, 4, 5).reshape(4 * outputs, inputs, 2, 2))
            cast(Tensor, self.conv.bias).copy_(cast(Tensor, conv.bias).repeat_interleave(4))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features of twice the size."""
        return F.pixel_shuffle(self.conv(x_BCHW), 2)[:, :, 1:-1, 1:-1]


def _without_transposed(network: nn.Module) -> None:
    """Replace each transposed convolution by a ``DoubleSize``."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ConvTranspose2d):
                setattr(module, name, DoubleSize(child))


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
    """Add a constant (J,) to an output."""
    for node in model.graph.node:
        for i, out in enumerate(node.output):
            if out == name:
                node.output[i] = f"{name}_rounded"
        for i, put in enumerate(node.input):
            if put == name:
                node.input[i] = f"{name}_rounded"
    model.graph.initializer.append(onnx.numpy_helper.from_array(offset_J.astype(np.float32), f"{name}_offset"))
    model.graph.node.append(onnx.helper.make_node("Add", [f"{name}_rounded", f"{name}_offset"], [name]))
