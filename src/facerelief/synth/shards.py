"""Where `facerelief.samples.shards` was: the documented name of `ShardReader` keeps working."""

from facerelief.samples.shards import SampleFolders, ShardReader, TarShards

__all__ = ["SampleFolders", "ShardReader", "TarShards"]
