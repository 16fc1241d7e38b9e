"""Rendered hands: exact labels from posed, lit, dirtied pictures. ``recipe`` holds every factor's range."""
