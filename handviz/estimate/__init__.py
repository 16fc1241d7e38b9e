"""Estimators: crops in, joints and meshes out."""
