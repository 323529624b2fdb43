"""The web app and its HTTP API: what `facerelief serve` runs. Needs the extra `web`."""
