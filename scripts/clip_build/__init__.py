"""Parts of ``scripts/build_clip.py``: what the hand does, and what is behind it."""
