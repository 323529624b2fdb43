"""Data sets, one file each, as batches of :class:`~facerelief.data.sample.Sample`."""
