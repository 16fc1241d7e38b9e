"""The 3D view: orbit camera, shapes, the Open3D renderer, and the widget around them."""
