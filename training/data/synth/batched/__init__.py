"""Hands rendered in batches on the training device: numbers drawn on the CPU, pictures made in torch."""
