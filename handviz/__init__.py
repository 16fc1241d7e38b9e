"""handviz: 3D hand pose and mesh from a webcam or a recording, in one window."""

__version__ = "0.1.0"
