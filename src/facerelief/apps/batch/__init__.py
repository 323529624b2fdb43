"""Many photos: from folders, lists, tar shards and tables to a folder or to Parquet.

`sources` names the photos, `work` makes rows or files of them, a sink of `sinks` keeps those, and
the `manifest` says what is done, so that a run that was stopped anywhere goes on where it was.
`running` is all of it in one process; `cluster` has the work done on a Ray cluster.
"""
