"""Rendered hands: posed, lit and degraded pictures with exact labels. ``recipe`` holds every factor's range."""
