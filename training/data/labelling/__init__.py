"""Pseudo-labels for photographs: the only part of ``training`` that needs mediapipe."""
