"""Data sets, one file each, as batches of `facerelief.data.sample.Sample`."""
