"""Recipes: what determines a training run, the named ones, and how single values are changed."""
