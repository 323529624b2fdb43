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
from typer.testing import CliRunner

import tiny_system
from cli_lines import names, normals, one_line, outputs_of
from facerelief import catalogue
from facerelief.cli import app

pytestmark = pytest.mark.usefixtures("tiny_catalogue")

Maker = Callable[[Image.Image, Path], Path]


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
