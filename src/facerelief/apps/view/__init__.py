"""Faces as one page that needs no network: `facerelief view`."""
