"""Postprocessing of estimates: tracking and smoothing."""
