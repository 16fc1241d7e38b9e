"""Exported networks, run by ONNX Runtime: on a CPU and crop by crop about twice as fast as traced torch.

``training export`` writes NAME.onnx next to NAME.safetensors, and with ``--quantize`` NAME.int8.onnx, which computes on eight
bits: in about half the time on CPUs that are made for it. The weights file has the last word: an export of other weights is
not used.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import psutil

from handviz.errors import HandvizError, ModelFileError
from handviz.processor import multiplies_bytes
from handviz.threads import named_threads

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".onnx"
EIGHT_BITS = ".int8"
SOURCE_KEY = "weights_sha256"
# A layer of these networks takes one thread some 50 microseconds: waking more than a few threads takes longer than they save.
MOST_THREADS = 4
Float32Array = npt.NDArray[np.float32]


def _cores() -> int:
    """Return the number in OMP_NUM_THREADS, or else the number of this machine's cores."""
    return named_threads() or psutil.cpu_count(logical=False) or 1


class CompiledNetwork:
    """One exported network, on half of the cores, four at most; the others are for the detector, the decoder and the window."""

    def __init__(self, path: Path) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as problems

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(max(1, _cores() // 2), MOST_THREADS)
        # Waiting threads would take the processor from the window and from the detector.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (problems.Fail, problems.InvalidProtobuf, problems.InvalidGraph, problems.NotImplemented) as error:
            raise ModelFileError(f"{path}: truncated, or not an exported network. Delete it, or export it again.") from error
        except problems.RuntimeException as error:
            raise HandvizError(f"{path}: cannot be run ({error}). Close other programs if memory is short.") from error
        self._names = [put.name for put in self._session.get_inputs()]

    @property
    def source(self) -> str:
        """The checksum of the weights file it was exported from."""
        return str(self._session.get_modelmeta().custom_metadata_map.get(SOURCE_KEY, ""))

    def answers(self, *inputs: Float32Array) -> list[Float32Array]:
        """Return the network's outputs for the inputs of one crop, in the order of its export."""
        outputs: list[Float32Array] = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return outputs

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs as tensors for tensors of one crop (float32, on the CPU), for networks that continue in torch.

        From then on torch uses a single thread in the calling one. What is left for it are small tensors, over which threads
        wait for one another longer than they compute: next to other work on two cores a mesh took 33 ms with two threads,
        14 ms with one.
        """
        import torch

        # The setting belongs to the calling thread, which need not be the one that loaded the network.
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)
        return tuple(torch.from_numpy(out) for out in self.answers(*(put.numpy() for put in inputs)))


def compiled_for(weights: Path, *, eight_bits: bool = False) -> CompiledNetwork | None:
    """Return the exported form of a weights file, or None where there is none next to it or it belongs to other weights.

    ``eight_bits`` asks for the one that computes on eight bits, if there is one and this CPU is made for it.
    Raises ModelFileError when the export is damaged.
    """
    suffixes = (EIGHT_BITS + SUFFIX, SUFFIX) if eight_bits and multiplies_bytes() else (SUFFIX,)
    for path in (weights.with_suffix(suffix) for suffix in suffixes):
        if path.is_file():
            network = CompiledNetwork(path)
            if network.source == checksum(weights):
                return network
    return None


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
