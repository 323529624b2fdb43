"""Photos in Parquet: a column of their bytes, as datasets hold pictures, or of their paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facerelief.apps.batch.items import MOST_BYTES, Item
from facerelief.apps.batch.keys import safe
from facerelief.catalogue import reason_of

ENDINGS = (".parquet", ".pq")
#: What columns of photos are called, the likeliest first.
NAMES = (
    "image", "img", "photo", "picture", "jpg", "jpeg", "png", "bytes", "image_bytes",
    "path", "image_path", "file", "file_name", "filename", "file_path", "filepath",
)  # fmt: skip
_ROWS = 32  # that are in memory at a time


class ColumnError(ValueError):
    """A table without a column of photos; one line."""


def photos(
    path: Path, called: str, column: str | None = None, key: str | None = None
) -> Iterator[Item]:
    """The photos of the rows of the table at `path`, which is called `called`.

    `column` holds them (by default the likeliest), and `key` says what they are called (by default
    the path, where there is one, or else the number of the row). What is broken is an item, too.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    row = 0
    try:
        with ParquetFile(path) as file:
            holds = _column(file.schema_arrow, column)
            names = [holds] if key is None else [holds, key]
            if key is not None and key not in file.schema_arrow.names:
                raise ColumnError(f"no column is called {key}")
            for batch in file.iter_batches(_ROWS, columns=names):
                values = batch.column(holds)
                keys = None if key is None else batch.column(key)
                for index in range(len(batch)):
                    own = None if keys is None else keys[index].as_py()
                    yield _item(path, called, row, values[index].as_py(), own)
                    row += 1
    except (ArrowException, OSError, ColumnError, ValueError) as error:
        text = f"the table cannot be read on from row {row}: {reason_of(error)}"
        yield Item(f"{called}/%{row}", str(path), problem=text)


def _item(path: Path, called: str, row: int, value: Any, key: Any) -> Item:
    source = f"{path}, row {row}"
    name = safe(str(key)) if key is not None else f"{called}/{row:09d}"
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None:
        return Item(name, source, problem="no photo (null)")
    if isinstance(value, str):
        place = path.parent / value
        return Item(name if key is not None else safe(value), str(place), place)
    if len(value) > MOST_BYTES:
        return Item(name, source, problem=f"more than {MOST_BYTES // 2**20} MB")
    return Item(name, source, value)


def _column(schema: Any, wanted: str | None) -> str:
    from pyarrow import types

    def holds(kind: Any) -> bool:
        if types.is_struct(kind):
            parts = {kind.field(i).name for i in range(kind.num_fields)}
            return bool(parts & {"bytes", "path"})
        simple = (types.is_binary, types.is_large_binary, types.is_string, types.is_large_string)
        return any(check(kind) for check in simple)

    fitting = [field.name for field in schema if holds(field.type)]
    if wanted is not None:
        if wanted not in fitting:
            raise ColumnError(f"no column of bytes or paths is called {wanted}")
        return wanted
    likely = [name for name in NAMES if name in fitting]
    if likely:
        return likely[0]
    if len(fitting) == 1:
        return str(fitting[0])
    raise ColumnError("which column holds the photos? --column says it: " + ", ".join(schema.names))
