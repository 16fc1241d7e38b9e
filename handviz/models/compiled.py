"""Exported networks, run by ONNX Runtime: on a CPU and crop by crop about twice as fast as traced torch.

``training export`` writes NAME.onnx beside NAME.safetensors. The weights file stays the truth: an export of other weights is
not used.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from handviz.errors import ModelFileError

SUFFIX = ".onnx"
SOURCE_KEY = "weights_sha256"
# The cores, or OMP_NUM_THREADS, before anyone asks torch for fewer.
_CORES = torch.get_num_threads()


class CompiledNetwork:
    """One exported network, on half of the cores; the others are for the detector, the decoder and the window.

    In a thread that has called it torch works alone from then on. What is left for it are small tensors, over which threads
    wait for one another longer than they compute: beside other work on two cores a mesh took 33 ms with two of them, 14 ms
    with one.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as problems

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, _CORES // 2)
        # Waiting threads would take the processor from the window and from the detector.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (problems.Fail, problems.InvalidProtobuf, problems.InvalidGraph, problems.NotImplemented) as error:
            raise ModelFileError(f"{path}: truncated, or not an exported network. Delete it, or export it again.") from error
        self._names = [put.name for put in self._session.get_inputs()]

    @property
    def source(self) -> str:
        """The checksum of the weights file it was exported from."""
        return str(self._session.get_modelmeta().custom_metadata_map.get(SOURCE_KEY, ""))

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the network's outputs for its inputs (float32, on the CPU), in the order of its export."""
        # The number belongs to the calling thread, which need not be the one that loaded the network.
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)
        named = {name: put.numpy() for name, put in zip(self._names, inputs, strict=True)}
        return tuple(torch.from_numpy(out) for out in self._session.run(None, named))


def compiled_for(weights: Path) -> CompiledNetwork | None:
    """Return the exported form of a weights file, or None where none lies beside it or it belongs to other weights.

    Raises ModelFileError when the export is damaged.
    """
    path = weights.with_suffix(SUFFIX)
    if not path.is_file():
        return None
    network = CompiledNetwork(path)
    return network if network.source == checksum(weights) else None


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
