"""Every kind of input that people have: it works, or gets one clear line and harms nothing."""

import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import tiny_system
from facerelief import catalogue
from facerelief.apps.normals import OUTPUTS
from facerelief.cli import app

pytestmark = pytest.mark.usefixtures("tiny_catalogue")

Maker = Callable[[Image.Image, Path], Path]


def normals(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["normals", *(str(argument) for argument in arguments)])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def outputs_of(stem: str) -> set[str]:
    return {f"{stem}{ending}" for ending, _ in OUTPUTS.values()}


def one_line(result: Result, *parts: str) -> None:
    """stderr is a single line that holds `parts` (regular expressions)."""
    assert result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert re.search(part, result.stderr), result.stderr
    assert "Traceback" not in result.output


# Each makes a photo that cannot be used, and what its line must say.


def missing(photo: Image.Image, folder: Path) -> Path:
    return folder / "missing.jpg"


def empty_folder(photo: Image.Image, folder: Path) -> Path:
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("no photo")
    return folder / "notes"


def empty_file(photo: Image.Image, folder: Path) -> Path:
    path = folder / "empty.jpg"
    path.touch()
    return path


def text(photo: Image.Image, folder: Path) -> Path:
    path = folder / "text.jpg"
    path.write_text("this is not a picture\n" * 50)
    return path


def truncated(photo: Image.Image, folder: Path) -> Path:
    path = folder / "truncated.jpg"
    photo.save(path)
    path.write_bytes(path.read_bytes()[:6000])
    return path


def one_pixel(photo: Image.Image, folder: Path) -> Path:
    path = folder / "pixel.png"
    Image.new("RGB", (1, 1)).save(path)
    return path


def bomb(photo: Image.Image, folder: Path) -> Path:
    """A PNG of a few bytes that declares 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    path = folder / "bomb.png"
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def no_face(photo: Image.Image, folder: Path) -> Path:
    path = folder / "wall.png"
    Image.new("RGB", (300, 200), (120, 130, 90)).save(path)
    return path


def tiny_face(photo: Image.Image, folder: Path) -> Path:
    """A face eight pixels high: under what can be found."""
    path = folder / "far.png"
    canvas = Image.new("RGB", (400, 300), (120, 130, 90))
    canvas.paste(photo.resize((36, 36)), (180, 140))
    canvas.save(path)
    return path


BAD: dict[Maker, str] = {
    missing: "missing.jpg",
    empty_folder: "notes",
    empty_file: "empty.jpg.*empty",
    text: "text.jpg",
    truncated: "truncated.jpg",
    one_pixel: "pixel.png",
    bomb: "bomb.png.*megapixels",
    no_face: "wall.png: no face found",
    tiny_face: "far.png: no face found",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_bad_photo_is_one_line_and_the_others_are_finished(
    make: Maker, astronaut: Path, tmp_path: Path
) -> None:
    with Image.open(astronaut) as photo:
        path = make(photo, tmp_path)
    out = tmp_path / "out"
    result = normals(path, astronaut, "-o", out)
    assert result.exit_code == 1
    one_line(result, re.escape(str(path)), BAD[make])
    assert names(out) == outputs_of("astronaut")


# Each makes a photo of the astronaut that must simply work.


def saved(mode: str, name: str) -> Maker:
    def make(photo: Image.Image, folder: Path) -> Path:
        path = folder / name
        photo.convert(mode).save(path)
        return path

    make.__name__ = f"{mode}_{name.rpartition('.')[2]}"
    return make


def sixteen_bits(photo: Image.Image, folder: Path) -> Path:
    path = folder / "sixteen.png"
    Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257).save(path)
    return path


def sixteen_bits_rgb(photo: Image.Image, folder: Path) -> Path:
    import png

    path = folder / "sixteen.png"
    rows = (np.asarray(photo).astype(np.uint16) * 257).reshape(photo.height, -1)
    with path.open("wb") as file:
        png.Writer(photo.width, photo.height, greyscale=False, bitdepth=16).write(file, rows)
    return path


def animated(photo: Image.Image, folder: Path) -> Path:
    path = folder / "animated.gif"
    photo.save(path, save_all=True, append_images=[Image.new("RGB", photo.size)])
    return path


def exif_rotated(photo: Image.Image, folder: Path) -> Path:
    """Stored lying on its side, with the tag that says so (6: turn clockwise to view)."""
    path = folder / "exif.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    return path


GOOD = [
    saved("L", "grey.jpg"),
    saved("LA", "grey_alpha.png"),
    saved("P", "palette.png"),
    saved("CMYK", "cmyk.jpg"),
    saved("RGBA", "rgba.png"),
    sixteen_bits,
    sixteen_bits_rgb,
    animated,
    exif_rotated,
]


@pytest.mark.parametrize("make", GOOD, ids=lambda make: make.__name__)
def test_every_kind_of_picture_gives_the_same_face(
    make: Maker, astronaut: Path, tmp_path: Path
) -> None:
    with Image.open(astronaut) as photo:
        path = make(photo, tmp_path)
    out = tmp_path / "out"
    result = normals(path, "-o", out)
    assert result.exit_code == 0 and result.stderr == ""
    assert names(out) == outputs_of(path.stem)
    crop = json.loads((out / f"{path.stem}.json").read_text())["crop"]
    np.testing.assert_allclose(crop["centre"], (225, 122), atol=12)
    assert abs(crop["angle"]) < 20


def test_thirty_faces(astronaut: Path, tmp_path: Path) -> None:
    path = tmp_path / "class.png"
    with Image.open(astronaut) as photo:
        face = photo.crop((110, 0, 350, 240)).resize((120, 120))
    group = Image.new("RGB", (6 * 120, 5 * 120))
    for index in range(30):
        group.paste(face, (index % 6 * 120, index // 6 * 120))
    group.save(path)
    out = tmp_path / "out"
    result = normals(path, "-o", out, "--only", "normal,overlay")
    assert result.exit_code == 0 and "30 faces in 1 photo" in result.stdout
    assert names(out) == {f"class_{i}_normal.png" for i in range(30)} | {"class_overlay.jpg"}


def test_folders_in_folders_keep_their_tree(astronaut: Path, tmp_path: Path) -> None:
    for place in ("photos", "photos/sub"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.jpg").write_bytes(astronaut.read_bytes())
    (tmp_path / "photos" / "round").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "sub" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    out = tmp_path / "out"
    result = normals(tmp_path / "photos", "-r", "-o", out, "--only", "json")
    assert result.exit_code == 1
    one_line(result, r"photos/sub/phone\.heic: ")
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.json")) == ["a.json", "sub/a.json"]


def test_a_photo_is_piped_in(astronaut: Path, tmp_path: Path) -> None:
    call = ["normals", "-", "-o", str(tmp_path / "out"), "--only", "json"]
    result = CliRunner().invoke(app, call, input=astronaut.read_bytes())
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == {"stdin.json"} and "stdin.json" in result.stdout


def test_face_cut_by_the_border(astronaut: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    with Image.open(astronaut) as photo:
        photo.crop((0, 0, 240, 512)).save(path)
    result = normals(path, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert names(tmp_path / "out") == outputs_of("cut")


@pytest.mark.parametrize("height", [12, 16, 19])
def test_face_under_twenty_pixels_works_or_is_not_found(
    height: int, astronaut: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.png"
    size = round(512 * height / 128)  # the astronaut's face is about 128 pixels high
    with Image.open(astronaut) as photo:
        canvas = Image.new("RGB", (300, 200), (120, 130, 90))
        canvas.paste(photo.resize((size, size), Image.Resampling.LANCZOS), (100, 60))
    canvas.save(path)
    result = normals(path, "-o", tmp_path / "out")
    if result.exit_code == 0:
        assert outputs_of("small") <= names(tmp_path / "out")
    else:
        one_line(result, "small.png: no face found")
        assert names(tmp_path / "out") == set()


# The output folder.


def file_in_the_way(folder: Path) -> Iterator[Path]:
    (folder / "out").write_text("I was here first")
    yield folder / "out"


def file_as_parent(folder: Path) -> Iterator[Path]:
    (folder / "file").write_text("I was here first")
    yield folder / "file" / "out"


def read_only_folder(folder: Path) -> Iterator[Path]:
    out = folder / "out"
    out.mkdir()
    out.chmod(0o500)
    if os.access(out, os.W_OK):  # root may write anyway
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", out], capture_output=True
        )
        if done.returncode:
            pytest.skip("this user may write everywhere and may not mount")
        yield out
        subprocess.run(["umount", out], check=True)
    else:
        yield out
        out.chmod(0o700)


@pytest.mark.parametrize("make", [file_in_the_way, file_as_parent, read_only_folder])
def test_output_folder_that_cannot_be_written(
    make: Callable[[Path], Iterator[Path]], astronaut: Path, tmp_path: Path
) -> None:
    made = make(tmp_path)
    out = next(made)
    result = normals(astronaut, "-o", out)
    assert result.exit_code == 2
    one_line(result, re.escape(str(out)), "cannot write")
    assert next(made, None) is None


def test_full_disk_names_the_photo_and_leaves_nothing_of_it(
    astronaut: Path, tmp_path: Path
) -> None:
    """A real file system of 3 MB with room for two of three photos."""
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", out]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        photos = [tmp_path / f"{name}.png" for name in "abc"]
        for path in photos:
            with Image.open(astronaut) as photo:
                photo.save(path)
        (out / "filler").write_bytes(bytes(2**20))
        result = normals(*photos, "-o", out, "--only", "npy,json", "--threads", 1)
        left = names(out)
    finally:
        subprocess.run(["umount", out], check=True)
    assert result.exit_code == 1
    one_line(result, r"c\.png: cannot write .*No space left")
    expected = {f"{stem}{ending}" for stem in "ab" for ending in ("_normal.npy", ".json")}
    assert left == expected | {"filler"}


def test_write_that_fails_halfway_leaves_nothing(
    astronaut: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    """The system stops every file at 100 kB, as a quota does: a whole process, a real failure."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "from facerelief.cli import main; main()"
    )
    arguments = ["normals", astronaut, "-o", tmp_path, "--system", tiny_folder / "tiny.onnx"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(r".*astronaut\.jpg: cannot write .*File too large\n", done.stderr)
    assert names(tmp_path) == set()


# The weights and the call.


def test_altered_weights(astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "FOLDER", tiny_system.catalogue(tmp_path))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    result = normals(astronaut, "-o", tmp_path / "out")
    assert result.exit_code == 1
    one_line(result, r"tiny\.onnx: altered or damaged")
    assert names(tmp_path / "out") == set()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--system", "casfme"), "'casfme'.*default, tiny"),
        (("--bits", "12"), "--bits is 8 or 16"),
        (("--only", "normal,depth"), "--only knows .*not depth"),
        (("--provider", "abacus"), "'abacus'.*cpu"),
    ],
)
def test_wrong_calls(
    arguments: tuple[str, str], part: str, astronaut: Path, tmp_path: Path
) -> None:
    result = normals(astronaut, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    one_line(result, part)


def test_no_input_and_no_output_are_usage_errors(astronaut: Path, tmp_path: Path) -> None:
    assert normals("-o", tmp_path / "out").exit_code == 2
    assert normals(astronaut).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_convert_of_bad_files(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no map")
    call = ["convert", str(tmp_path / "text.png"), "--to", "directx", "-o", str(tmp_path / "o.png")]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 1
    one_line(result, r"text\.png")
    assert names(tmp_path) == {"text.png"}


# The folder of the photos as the output folder, and names that meet.


def copies(astronaut: Path, *paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(astronaut.read_bytes())


def test_a_photo_that_is_named_like_an_output_stays(astronaut: Path, tmp_path: Path) -> None:
    photo, other = tmp_path / "x.jpg", tmp_path / "x_overlay.jpg"
    copies(astronaut, photo, other)
    result = normals(tmp_path, "-o", tmp_path)
    assert result.exit_code == 1
    one_line(result, r"x\.jpg: cannot write .*x_overlay\.jpg is an input")
    assert other.read_bytes() == astronaut.read_bytes()
    assert names(tmp_path) == {"x.jpg", "x_overlay.jpg"} | outputs_of("x_overlay")


def test_a_second_run_over_a_folder_takes_no_output_for_a_photo(
    astronaut: Path, tmp_path: Path
) -> None:
    copies(astronaut, tmp_path / "x.jpg")
    for _ in range(2):
        result = normals(tmp_path, "-o", tmp_path)
        assert result.exit_code == 0 and "1 face in 1 photo" in result.stdout
        assert names(tmp_path) == {"x.jpg"} | outputs_of("x")
    one_line(result, "left out: 4 pictures that facerelief itself made")
    result = normals(tmp_path / "x_overlay.jpg", "-o", tmp_path)
    assert result.exit_code == 2
    one_line(result, r"no photo to work on: facerelief itself made .*x_overlay\.jpg")


def test_results_of_another_photo_are_not_replaced_without_a_word(
    astronaut: Path, tmp_path: Path
) -> None:
    first, second, out = tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.jpg", tmp_path / "out"
    copies(astronaut, first, second)
    for path in (first, first, second):
        result = normals(path, "-o", out)
        assert result.exit_code == 0 and bool(result.stderr) == (path == second)
    one_line(result, re.escape(f"{second}: replaced what {out}/x* held of another photo, {first}"))


def test_an_annotation_beside_a_photo_stays(astronaut: Path, tmp_path: Path) -> None:
    copies(astronaut, tmp_path / "x.jpg")
    (tmp_path / "x.json").write_text('{"shapes": []}')
    result = normals(tmp_path, "-o", tmp_path)
    assert result.exit_code == 1
    one_line(result, r"x\.json is not facerelief's")
    assert names(tmp_path) == {"x.jpg", "x.json"}


def test_a_folder_in_the_way_leaves_nothing_new(astronaut: Path, tmp_path: Path) -> None:
    (tmp_path / "astronaut.json").mkdir()
    result = normals(astronaut, "-o", tmp_path)
    assert result.exit_code == 1
    one_line(result, r"astronaut\.json is a folder")
    assert names(tmp_path) == {"astronaut.json"}


def test_an_empty_name_is_no_folder(tmp_path: Path) -> None:
    result = normals("", "-o", tmp_path / "out")
    assert result.exit_code == 2
    one_line(result, "an empty name")


# Normal maps that are none, and names that cannot be written.


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


@pytest.mark.parametrize("which", [0, 1])
def test_swap_writes_over_no_input(which: int, astronaut: Path, tmp_path: Path) -> None:
    photos = tmp_path / "me.jpg", tmp_path / "you.jpg"
    copies(astronaut, *photos)
    call = ["swap", *map(str, photos), "-o", str(photos[which])]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 2
    one_line(result, rf"{photos[which].name} is an input")
    assert photos[which].read_bytes() == astronaut.read_bytes()
