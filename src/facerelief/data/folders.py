"""Where data sets are."""

from __future__ import annotations

import os
from pathlib import Path


def data_root() -> Path:
    """The folder that the environment variable ``FACERELIEF_DATA`` names.

    Raises:
        FileNotFoundError: the variable is unset or names no folder.
    """
    value = os.environ.get("FACERELIEF_DATA")
    if not value:
        raise FileNotFoundError("set FACERELIEF_DATA to the folder that holds the data sets")
    if not Path(value).is_dir():
        raise FileNotFoundError(f"FACERELIEF_DATA names {value}, which is no folder")
    return Path(value)
