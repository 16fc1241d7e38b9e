"""The window. The only room that knows PySide6, pyqtgraph and Open3D."""
