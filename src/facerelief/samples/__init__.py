"""Rendered samples and their files: what `facerelief.synth` writes and `facerelief.data` reads."""
