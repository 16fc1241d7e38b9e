"""Pseudo-labels for photographs: the one place of ``training`` that needs mediapipe."""
