"""Recipes: what decides a training run, the ones that have names, and how single values of them are changed."""
