"""Rendering for training: the torch twins of `facerelief.geometry`, batched and differentiable."""
