"""``rendered-live`` on the training device: batches rendered there, alongside the trainer."""

from __future__ import annotations

import contextlib

import torch

from training.data.sample import WHOLE, Batch
from training.data.synth.batched.renderer import BatchRenderer, batch_renderer
from training.data.synth.command import SynthesisJob, make_renderer


class BatchedSource:
    """Batches rendered on a device. Batch number ``step`` depends only on the job's seed, its size and ``step``."""

    def __init__(self, job: SynthesisJob, device: torch.device) -> None:
        self._renderer: BatchRenderer = batch_renderer(make_renderer(job), job.seed, device)
        self._seed, self._count = job.seed, job.count
        # A separate stream: reading back while drawing waits only for the drawing, never for the trainer's work.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(device))

    def __len__(self) -> int:
        """Return the nominal size of an epoch; samples never repeat."""
        return self._count

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of batch number ``step``; no others are rendered."""
        with contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
            batch = self._renderer.render(self._seed, step, size, rows)
        if self._stream is not None:
            self._stream.synchronize()
            # The allocator must not reuse this memory before the trainer's own stream has finished with it.
            for name in Batch.__dataclass_fields__:
                getattr(batch, name).record_stream(torch.cuda.default_stream(self._renderer.device))
        return batch

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""
