"""Depth in files, and the cameras that it is said to come from."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from facerelief.depth_cameras import DEVICES, rig_of
from facerelief.depth_files import DepthError, encode_depth, read_depth
from facerelief.exr import to_exr
from facerelief.exr_reading import read_exr

DISTANCE = np.random.default_rng(0).uniform(400, 900, (48, 64))
DISTANCE[10:12] = np.nan


def written(path, array):
    if path.suffix == ".png":
        Image.fromarray(array.astype(np.uint16)).save(path)
    else:
        np.save(path, array)
    return path


@pytest.mark.parametrize("name,unit,step", [("d.png", 1.0, 1.0), ("d.npy", 1000.0, 1e-4),
                                            ("d.exr", 1000.0, 1e-4)])  # fmt: skip
def test_depth_is_read_as_it_is_written(name, unit, step, tmp_path) -> None:
    path = tmp_path / name
    if path.suffix == ".exr":
        metres = np.nan_to_num(DISTANCE / 1000)[..., None]
        path.write_bytes(to_exr([metres], DISTANCE.shape, "Z", whole=True))
    else:
        written(path, np.nan_to_num(DISTANCE / unit))
    read = read_depth(path)
    assert read.unit == unit and read.suffix == path.suffix
    assert np.isnan(read.distance[10:12]).all()
    np.testing.assert_allclose(read.distance, DISTANCE, atol=step, equal_nan=True)
    again = tmp_path / f"again{path.suffix}"
    again.write_bytes(encode_depth(read.distance, read))
    np.testing.assert_allclose(read_depth(again).distance, read.distance, atol=step)


def test_units_are_what_is_said(tmp_path) -> None:
    path = written(tmp_path / "d.npy", np.full((20, 20), 62.5))
    assert read_depth(path).distance[0, 0] == 62500
    assert read_depth(path, 10.0).distance[0, 0] == 625


def picture(mode):
    buffer = io.BytesIO()
    Image.new(mode, (32, 32)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name,content,reason",
    [
        ("d.tif", b"", "depth is read from"),
        ("d.png", b"no picture", "no depth map"),
        ("d.png", picture("RGB"), "grey with 16 bits"),
        ("d.png", picture("L"), "grey with 16 bits"),
        ("d.png", picture("I;16"), "nothing but holes"),
        ("d.npy", b"\x93NUMPY", "no depth map"),
        ("d.npy", (np.zeros((4, 20, 20)),), "depth is"),
        ("d.npy", (np.full((20, 20), np.nan),), "nothing but holes"),
        ("d.npy", (np.array([{}] * 400).reshape(20, 20),), "no depth map"),
        ("d.npy", (np.ones((4, 4)),), "4 x 4 pixels"),
        ("d.exr", b"\x76\x2f\x31\x01", "broken EXR"),
        ("d.exr", b"P6 3 3 255 ", "no EXR"),
        ("d.exr", to_exr([np.ones((20, 20, 3))], (20, 20), "RGB"), "channels"),
    ],
)
def test_what_is_no_depth_is_said_in_a_line(name, content, reason, tmp_path) -> None:
    path = tmp_path / name
    if isinstance(content, tuple):
        np.save(path, content[0], allow_pickle=True)
    else:
        path.write_bytes(content)
    with pytest.raises(DepthError, match=reason) as caught:
        read_depth(path)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_missing_file_is_said(tmp_path) -> None:
    with pytest.raises(DepthError, match=r"d\.png: cannot be read"):
        read_depth(tmp_path / "d.png")


def exr(compression, pack, values):
    """A file of one channel of floats, written by hand."""
    height, width = values.shape
    attributes = [
        ("channels", "chlist", b"Z\0" + struct.pack("<iB3x2i", 2, 0, 1, 1) + b"\0"),
        ("compression", "compression", bytes([compression])),
        ("dataWindow", "box2i", struct.pack("<4i", 5, 3, 5 + width - 1, 3 + height - 1)),
    ]
    header = struct.pack("<2i", 20000630, 2)
    for name, kind, value in attributes:
        header += f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value
    header += b"\0"
    blocks, places = b"", []
    for row, line in enumerate(values.astype("<f4")):
        places.append(len(header) + 8 * height + len(blocks))
        data = pack(line.tobytes())
        blocks += struct.pack("<2i", 3 + row, len(data)) + data
    return header + struct.pack(f"<{height}Q", *places) + blocks


def stepped(plain):
    parts = np.frombuffer(plain, np.uint8)
    apart = np.concatenate([parts[0::2], parts[1::2]]).astype(int)
    apart[1:] = (np.diff(apart) + 128) % 256
    return apart.astype(np.uint8).tobytes()


def run_lengths(data):
    """Every byte on its own but for runs, as the format has them."""
    result, at = b"", 0
    while at < len(data):
        run = 1
        while run < 127 and data[at : at + run + 1] == data[at : at + 1] * (run + 1):
            run += 1
        if run > 1:
            result += struct.pack("b", run - 1) + data[at : at + 1]
        else:
            result += struct.pack("b", -1) + data[at : at + 1]
        at += run
    return result


@pytest.mark.parametrize(
    "compression,pack",
    [
        (0, lambda plain: plain),
        (1, lambda plain: run_lengths(stepped(plain))),
        (2, lambda plain: zlib.compress(stepped(plain))),
    ],
)
def test_exr_of_every_kind_that_is_read(compression, pack) -> None:
    values = np.repeat(np.arange(12.0).reshape(3, 4), 6, axis=1)
    np.testing.assert_array_equal(read_exr(exr(compression, pack, values))["Z"], values)


def test_exr_of_other_kinds_is_named() -> None:
    with pytest.raises(ValueError, match="PIZ"):
        read_exr(exr(4, lambda plain: plain, np.ones((3, 4))))


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_exr_is_an_error_or_read(seed) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(to_exr([np.ones((20, 20, 1))], (20, 20), "Z", whole=True))
    for place in random.integers(4, len(content), 12):
        content[place] = random.integers(256)
    try:
        read_exr(bytes(content))
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("name", DEVICES)
def test_devices_see_as_they_should(name) -> None:
    photo = (1080, 1920) if name == "kinect_v2" else (480, 640)
    depth = (424, 512) if name == "kinect_v2" else photo
    rig = rig_of(name, depth, photo).rig
    assert rig.photo.size == photo and rig.depth.size == depth
    high = 2 * np.degrees(np.arctan(photo[0] / 2 / rig.photo.focal[1]))
    assert 40 < high < 62
    double = rig_of(name, depth, (2 * photo[0], 2 * photo[1])).rig
    assert double.photo.focal[0] == pytest.approx(2 * rig.photo.focal[0])


CAMERA = {"fx": 500, "fy": 500, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}
POSE = {"rotation": np.eye(3).tolist(), "translation": [25, 10, 0]}


def test_a_calibration_is_read_in_opencvs_axes(tmp_path) -> None:
    path = tmp_path / "rig.json"
    path.write_text(json.dumps({"photo": CAMERA, "depth": CAMERA, "depth_to_photo": POSE}))
    found = rig_of(str(path), (240, 320), (480, 640))
    assert found.is_exact
    assert found.rig.depth.focal == (250, 250) and found.rig.photo.centre == (320, 240)
    assert found.rig.translation.tolist() == [25, -10, 0]  # y is up here
    path.write_text(json.dumps({"photo": CAMERA, "depth": CAMERA}))
    assert not rig_of(str(path), (480, 640), (480, 640)).is_exact


@pytest.mark.parametrize(
    "said,reason",
    [
        ({}, "no 'photo'"),
        ({"photo": CAMERA | {"fx": -1}}, "positive"),
        ({"photo": CAMERA | {"fx": "nan"}}, "finite"),
        ({"photo": CAMERA | {"fx": 5000, "fy": 500}}, "not one's"),
        ({"photo": CAMERA | {"fx": 50, "fy": 50}}, "does not belong"),
        ({"photo": CAMERA | {"cx": 900}}, "outside"),
        ({"photo": CAMERA | {"height": 640}}, "do not fit"),
        ({"photo": CAMERA, "depth": CAMERA,
          "depth_to_photo": POSE | {"rotation": np.ones((3, 3)).tolist()}}, "rotation"),
        ({"photo": CAMERA, "depth": CAMERA,
          "depth_to_photo": POSE | {"translation": [0, 2500, 0]}}, "metre apart"),
        ([], "list"),
    ],
)  # fmt: skip
def test_wrong_intrinsics_are_said_in_a_line(said, reason, tmp_path) -> None:
    path = tmp_path / "rig.json"
    path.write_text(json.dumps(said))
    with pytest.raises(DepthError, match=reason) as caught:
        rig_of(str(path), (480, 640), (480, 640))
    assert "\n" not in str(caught.value)


def test_other_cameras_that_are_none(tmp_path) -> None:
    np.save(tmp_path / "k.npy", np.diag([500, 500, 2.0]))
    for name, reason in ((tmp_path / "k.npy", "last row"), ("kinekt", "kinect_v2"),
                         (tmp_path / "no.json", "cannot be read")):  # fmt: skip
        with pytest.raises(DepthError, match=reason):
            rig_of(str(name), (480, 640), (480, 640))
    with pytest.raises(DepthError, match="does not lie over"):
        rig_of("truedepth", (480, 640), (640, 480))
