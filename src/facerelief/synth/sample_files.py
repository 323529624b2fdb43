"""Where `facerelief.samples.files` was: the documented name of `from_files` keeps working."""

from facerelief.samples.files import FILES, SampleError, from_files, to_files

__all__ = ["FILES", "SampleError", "from_files", "to_files"]
