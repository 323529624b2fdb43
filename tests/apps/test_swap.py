"""Another skin on a face."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

import facerelief as fr
import posed_heads
from facerelief.apps.covers import with_covers
from facerelief.apps.swap import swap, with_texture
from facerelief.cli import app
from facerelief.geometry.light import directional_to_sh, shade_sh
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.types import Crop, Face

CROP = Crop((150.0, 140.0), 256.0)
SIZE = (280, 300)


def face(**pose: float) -> Face:
    return posed_heads.face(posed_heads.uv_map(**pose), CROP, SIZE)


def stripes(step: int) -> np.ndarray:
    """(280, 300, 3) grey stripes across."""
    rows = np.where(np.arange(SIZE[0]) // step % 2, 150, 90)
    return np.repeat(rows.astype(np.uint8)[:, None, None], SIZE[1], 1).repeat(3, 2)


def test_a_face_gets_its_own_skin_back() -> None:
    photo, one = stripes(8), face()
    found = swap(photo, one, photo, one)
    inside = one.skin.mask
    change = np.abs(CROP.extract(found).astype(int) - CROP.extract(photo))[..., 0]
    assert found.shape == photo.shape and found.dtype == np.uint8
    assert change[inside].mean() < 6 and change[~inside].mean() < 1


def test_detail_is_the_others_and_what_lies_round_it_stays() -> None:
    plain, one, other = np.full((*SIZE, 3), 120, np.uint8), face(), face(yaw=15)
    found = swap(plain, one, stripes(6), other)
    nose, below = skin_mesh().landmarks[[27, 33]]
    x, top = one.skin.points[nose, :2]
    bottom = one.skin.points[below, 1]
    line = CROP.extract(found)[int(top) : int(bottom), int(x), 0].astype(int)
    assert np.ptp(line) > 25  # striped now
    assert abs(line.mean() - 120) < 15  # as bright as before
    assert np.array_equal(found[:20], plain[:20])


def test_any_texture_can_be_put_on() -> None:
    plain = np.full((*SIZE, 3), 120, np.uint8)
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    found = CROP.extract(with_texture(plain, face(), red, relight=False))
    x, y = face().skin.points[skin_mesh().landmarks[30], :2].astype(int)
    assert np.abs(found[y, x].astype(int) - (200, 0, 0)).max() <= 2


def test_the_new_skin_ends_softly_where_the_crop_does() -> None:
    near = posed_heads.face(posed_heads.uv_map(scale=1.5), CROP, SIZE)
    assert near.skin.mask[0].sum() > 30
    plain, white = np.full((*SIZE, 3), 120, np.uint8), np.full((64, 64, 3), 250, np.uint8)
    found = with_texture(plain, near, white, relight=False).astype(int)
    assert np.ptp(found) > 120
    assert np.abs(np.diff(found[:60], axis=0)).max() < 16


def painted(one: Face, where: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A photo of a brown face, with something before it where the crop (256, 256) says."""
    photo = np.full((*SIZE, 3), (160, 120, 100), np.uint8)
    crop = np.zeros((256, 256, 3), np.float32) + np.float32(colour)
    pasted, inside = CROP.paste(crop, where, SIZE)
    photo[inside] = pasted[inside]
    return photo


def test_what_covers_a_face_stays_and_is_not_carried_over() -> None:
    one = face()
    x, y = one.skin.points[skin_mesh().landmarks[35], :2].astype(int)  # beside the nose
    bar = np.zeros((256, 256), bool)
    bar[y - 20 : y + 50, x + 10 : x + 30] = True  # a microphone, before half of a face
    plain = painted(one, bar & False, (0, 0, 0))
    covered = painted(one, bar, (20, 30, 120))
    knows = with_covers(covered, one)
    dots = plain.copy()
    dots[::6] += 20
    kept = CROP.extract(swap(covered, knows, dots, one)).astype(int)
    middle = (slice(y - 15, y + 45), slice(x + 13, x + 27))
    assert np.abs(kept - CROP.extract(covered))[middle].max() == 0
    assert np.abs(kept - CROP.extract(covered)).max() > 5
    free = CROP.extract(swap(plain, one, covered, knows)).astype(int)
    assert np.abs(free - CROP.extract(plain))[bar].max() < 12


def test_a_mask_of_normals_says_what_is_covered() -> None:
    one, plain = face(), np.full((*SIZE, 3), 120, np.uint8)
    upper = np.zeros((256, 256), bool)
    upper[:100] = True
    found = CROP.extract(swap(plain, with_covers(plain, one, upper), stripes(6), one))
    assert (found[103:] == 120).all() and np.ptp(found[:97]) > 20


def test_light_of_the_other_photo_stays_there() -> None:
    """One side of a face in the dark, or an edge of it, is no skin."""
    one = face()
    spots = np.full((*SIZE, 3), 150, np.uint8)
    spots[::7, ::5] = 120
    shade = 0.55 + 0.45 * shade_sh(one.normals, directional_to_sh((0.9, 0.1, 0.43)))
    factor, inside = CROP.paste(shade.astype(np.float32), one.mask, SIZE)
    lit = np.where(inside[..., None], spots * factor[..., None], spots).clip(0, 255)
    assert np.ptp(factor[inside]) > 0.4
    found = swap(spots, one, lit.astype(np.uint8), one).astype(float)
    slow = gaussian_filter(found - spots, (3, 3, 0))[inside]
    assert np.abs(slow).max() < 20 and np.abs(slow).mean() < 4


def test_a_dark_photo_is_not_made_loud() -> None:
    """Its noise, made as bright as the skin, would be more than the skin's own detail."""
    one, plain = face(), np.full((*SIZE, 3), 200, np.uint8)
    noise = np.random.default_rng(0).integers(10, 31, (*SIZE, 1), np.uint8).repeat(3, 2)
    found = swap(plain, one, noise, one).astype(float)
    inside = CROP.paste(one.mask.astype(np.float32), one.mask, SIZE)[1]
    assert found[inside].std() < 12 and abs(found[inside].mean() - 200) < 6


def test_grey_photos_stay_grey() -> None:
    one, red = face(), np.full((*SIZE, 3), (200, 90, 80), np.uint8)
    red[::6] = (90, 60, 140)
    found = swap(stripes(8), one, red, one)
    assert np.ptp(found, axis=-1).max() == 0


def test_faces_without_a_shape() -> None:
    photo = stripes(8)
    flat = posed_heads.face(np.zeros((256, 256, 3), np.float32), CROP, SIZE)
    for pair in ((flat, face()), (face(), flat)):
        with pytest.raises(ValueError, match="no shape"):
            swap(photo, pair[0], photo, pair[1])


@pytest.fixture
def posed(tmp_path: Path) -> str:
    return str(posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map()))


def test_the_command(astronaut: Path, tmp_path: Path, posed: str) -> None:
    Image.open(astronaut).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "b.png")
    out = tmp_path / "swapped.png"
    arguments = ["swap", str(astronaut), str(tmp_path / "b.png"), "--system", posed]
    done = CliRunner().invoke(app, [*arguments, "-o", str(out)])
    assert done.exit_code == 0, done.output
    made, before = np.asarray(Image.open(out)), np.asarray(Image.open(astronaut))
    assert made.shape == before.shape and 0.005 < (made != before).mean() < 0.5
    wrong = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "a.xyz")])
    assert wrong.exit_code == 2 and "Traceback" not in wrong.output
    Image.new("RGB", (64, 64)).save(tmp_path / "empty.png")
    arguments[2] = str(tmp_path / "empty.png")
    nobody = CliRunner().invoke(app, [*arguments, "-o", str(out)])
    assert nobody.exit_code == 1 and "empty.png: no face found" in nobody.output


def test_the_command_keeps_what_the_photo_has(astronaut: Path, tmp_path: Path, posed: str) -> None:
    image = Image.open(astronaut).convert("RGBA")
    alpha = np.full((image.height, image.width), 255, np.uint8)
    alpha[:50] = np.arange(image.width) // 4
    image.putalpha(Image.fromarray(alpha))
    exif = Image.Exif()
    exif[315] = "somebody"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "a.png", exif=exif, dpi=(300, 300), icc_profile=profile)
    arguments = ["swap", str(tmp_path / "a.png"), str(astronaut), "--system", posed]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "o.png")])
    assert done.exit_code == 0, done.output
    made = Image.open(tmp_path / "o.png")
    assert made.info["icc_profile"] == profile and made.getexif()[315] == "somebody"
    assert made.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
    new, old = np.asarray(made), np.asarray(image)
    np.testing.assert_array_equal(new[..., 3], alpha)
    np.testing.assert_array_equal(new[:50], old[:50])
    changed = (new != old).any(-1)
    assert 0.005 < changed.mean() < 0.5
    rows, columns = np.nonzero(changed)
    (where,) = [face.crop for face in fr.load(posed)(astronaut, max_faces=1)]
    window = where.window(old.shape[:2])
    assert rows.min() >= window[0].start and columns.max() < window[1].stop


_PEAK = """
import re, sys
from facerelief.cli import app
try:
    app()
finally:
    # Not ru_maxrss, which a process has from its parent.
    print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kilobytes are Linux's")
def test_a_large_photo_takes_little_memory(astronaut: Path, tmp_path: Path) -> None:
    """108 megapixels, which the face fills."""
    large = Image.open(astronaut).convert("RGB").crop((120, 0, 392, 204)).resize((12_000, 9_000))
    large.save(tmp_path / "large.jpg")
    del large
    call = ["swap", tmp_path / "large.jpg", astronaut, "-o", tmp_path / "o.jpg", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, *map(str, call)], capture_output=True, text=True, check=True
    )
    assert Image.open(tmp_path / "o.jpg").size == (12_000, 9_000)
    assert int(done.stdout) < 700_000
