"""handviz: 3D hand pose and mesh from a webcam or a recording, in one window.

``handviz.track`` is the entry point for other programs; ``handviz.records`` documents what it returns.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handviz.api import track

# From its import on ONNX Runtime would send usage data to Microsoft. handviz sends nothing to anyone unasked.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["__version__", "track"]


def __getattr__(name: str) -> Any:
    # Only on demand: the pipeline's libraries take seconds to load, and training runs on machines that lack some.
    if name == "track":
        from handviz.api import track

        return track
    raise AttributeError(f"module 'handviz' has no attribute '{name}'")
