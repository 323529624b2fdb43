"""Normal maps that are none, and names that cannot be written: done, or one clear line."""

import struct
import zlib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli_lines import one_line
from facerelief.cli import app


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def spliced(*parts: tuple[bytes, bytes], width: int = 4, height: int = 4) -> bytes:
    """An RGB PNG of 8 bits of these chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"".join(chunk(*part) for part in (*parts, (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + header + body


ROWS = zlib.compress(bytes(4 * 13))
ODD_MAPS = {
    "no data": spliced(),
    "data that is not compressed": spliced((b"IDAT", b"nonsense")),
    "a short stream": spliced((b"IDAT", ROWS[:-9])),
    "two streams": spliced((b"IDAT", ROWS), (b"IDAT", ROWS)),
    "a broken text": spliced((b"zTXt", b"Normal frame\0\0nonsense"), (b"IDAT", ROWS)),
    "a broken gamma": spliced((b"gAMA", b""), (b"IDAT", ROWS)),
    "a broken palette": spliced((b"PLTE", b"\1\2"), (b"IDAT", ROWS)),
    "a wide promise": spliced((b"IDAT", ROWS), width=2**31 - 1),
    "no pixels": spliced((b"IDAT", ROWS), width=0),
    "a bomb": spliced((b"IDAT", zlib.compress(bytes(10**7)))),
    "a header alone": spliced()[:20],
    "a JPEG": b"\xff\xd8\xff\xe0" + bytes(200),
    "nothing": b"",
}


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *(str(argument) for argument in arguments)])


def test_convert_of_bad_files(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no map")
    result = convert(tmp_path / "text.png", "--to", "directx", "-o", tmp_path / "o.png")
    assert result.exit_code == 1
    one_line(result, r"text\.png")
    assert {path.name for path in tmp_path.iterdir()} == {"text.png"}


@pytest.mark.parametrize("name", ODD_MAPS)
def test_convert_of_odd_maps_is_done_or_one_line(name: str, tmp_path: Path) -> None:
    source, out = tmp_path / "map.png", tmp_path / "out.png"
    source.write_bytes(ODD_MAPS[name])
    result = convert(source, "--to", "directx", "--from", "opengl", "-o", out)
    if result.exit_code:
        assert result.exit_code == 1 and not out.exists()
        one_line(result, r"map\.png: not a PNG that can be read \(.+\)")
    else:
        assert name in ("two streams", "a broken text", "a broken gamma", "a broken palette")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("-o", "x.jpg"), r"x\.jpg: a normal map is written as a PNG"),
        (("-o", "x.png", "--bits", 0), "8 or 16 bits, not 0"),
        (("-o", "x.png", "--bits", 12), "8 or 16 bits, not 12"),
        (("-o", "map.png"), r"map\.png is an input"),
        (("-o", "other.png", "--reference", "other.png"), r"other\.png is an input"),
    ],
)
def test_convert_calls_that_would_lose_something(
    arguments: tuple, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("map.png", "other.png"):
        (tmp_path / name).write_bytes(spliced((b"IDAT", ROWS)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = convert("map.png", "--to", "directx", "--from", "opengl", *arguments)
    assert result.exit_code == 2
    one_line(result, part)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_convert_into_a_folder_says_why_not(tmp_path: Path) -> None:
    source = tmp_path / "map.png"
    source.write_bytes(spliced((b"IDAT", ROWS)))
    (tmp_path / "out.png").mkdir()
    result = convert(source, "--to", "directx", "--from", "opengl", "-o", tmp_path / "out.png")
    assert result.exit_code == 1
    one_line(result, r"out\.png: cannot write: .*is a folder")
