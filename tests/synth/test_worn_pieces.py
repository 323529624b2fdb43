"""Eyes, glasses, brows, lashes, MakeHuman's files and cut-outs, one by one."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.head import builtin_head
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.raster import rasterise
from facerelief.synth.features.eyes import Eyes
from facerelief.synth.features.teeth import Teeth
from facerelief.synth.hair.brows import load_brows, load_lashes, simple_lashes
from facerelief.synth.hair.strands import HairColour, draw_colour, resized, strands
from facerelief.synth.hair.styles import HairMesh
from facerelief.synth.ties import proxies
from facerelief.synth.ties.wearer import prepare
from facerelief.synth.worn.cutouts import draw_cutout
from facerelief.synth.worn.glasses import Glasses


@pytest.fixture(scope="module")
def head():
    return builtin_head()


@pytest.fixture(scope="module")
def wearer(head):
    return prepare(head)


@pytest.fixture(scope="module")
def makehuman(data_root: Path) -> Path:
    folder = proxies.find_folder(data_root)
    if folder is None:
        pytest.skip("the data folder holds no MakeHuman assets")
    return folder


@pytest.fixture(scope="module")
def base(makehuman, head):
    published = proxies.read_obj(makehuman / "3dobjs" / "base.obj").vertices
    return proxies.base_on_head(published, head.mean, head.makehuman_vertices)


def someone(head, seed, **expression):
    g = np.random.default_rng(seed)
    return head.vertices(
        g.normal(0, 0.9, len(head.identity)), head.expression_weights(**expression)
    )


def test_irises_look_where_the_eyes_look(head):
    eyes = Eyes(head, None)

    def iris(vertices):
        part = eyes.draw(np.random.default_rng(0), vertices)
        near = np.linalg.norm(part.uv[part.uv_triangles].mean(axis=1) - 0.5, axis=1) < 0.1
        return part.vertices[part.triangles[near]].mean(axis=(0, 1))

    ahead = iris(head.mean)
    right = iris(head.vertices(None, head.expression_weights(eyeLookOutRight=1, eyeLookInLeft=1)))
    up = iris(head.vertices(None, head.expression_weights(eyeLookUpLeft=1, eyeLookUpRight=1)))
    assert right[0] < ahead[0] - 1.5 and up[1] > ahead[1] + 1.5
    assert ahead[2] > head.mean[head.regions["eye_left"]][:, 2].max() - 3


def test_eyes_are_dark_in_the_middle_and_light_around(head):
    eyes = Eyes(head, None)
    for seed in range(10):
        texture = eyes.draw(np.random.default_rng(seed), head.mean).material.texture
        middle = len(texture) // 2
        pupil = texture[middle - 2 : middle + 2, middle - 2 : middle + 2, :3].mean()
        white = texture[middle, int(0.8 * len(texture)), :3].mean()
        assert pupil < 25 and white > 110
        assert (texture[..., 3] == 255).all()


def test_darker_people_more_often_have_brown_eyes(head):
    eyes = Eyes(head, None)

    def blue(dark):
        total = 0
        for seed in range(60):
            texture = eyes.draw(np.random.default_rng(seed), head.mean, dark).material.texture
            middle = len(texture) // 2
            r, _, b = texture[middle, middle + int(0.14 * len(texture)), :3].astype(int)
            total += b > r
        return total

    assert blue(0.0) > 10 and blue(1.0) < blue(0.0) / 2


def test_makehuman_eyes_have_their_pupil_in_the_middle(head, makehuman):
    eyes = Eyes(head, makehuman)
    assert len(eyes._pictures) == 7
    for picture in eyes._pictures:
        size = len(picture)
        dark = np.argwhere(picture.sum(axis=2) < 90)
        assert np.abs(dark.mean(axis=0) - size / 2).max() < 0.03 * size


def test_teeth_follow_the_jaw(head):
    teeth = Teeth(head)
    (closed,) = teeth.draw(np.random.default_rng(0), head.mean)
    wide = head.vertices(None, head.expression_weights(jawOpen=1.0))
    (opened,) = teeth.draw(np.random.default_rng(0), wide)
    drop = closed.vertices[:, 1] - opened.vertices[:, 1]
    assert drop.max() > 10
    upper = closed.vertices[:, 1] > np.quantile(closed.vertices[:, 1], 0.97)
    np.testing.assert_allclose(drop[upper], 0, atol=0.1)


@pytest.mark.parametrize("seed", range(8))
def test_glasses_sit_before_the_eyes_on_nose_and_ears(head, wearer, seed):
    vertices = someone(head, seed, mouthSmileLeft=seed / 8, browInnerUp=seed / 8)
    frame, lenses = Glasses(wearer).draw(np.random.default_rng(seed), vertices)
    eyes = vertices[head.regions["eye_left"] | head.regions["eye_right"]]
    # Lenses: in front of the balls, and not far off.
    x, y, _ = lenses.vertices.T
    ahead = lenses.vertices[:, 2].min() - eyes[:, 2].max()
    assert 4 < ahead < 30
    for name in ("eye_left", "eye_right"):
        middle = vertices[head.regions[name]].mean(axis=0)
        assert x.min() < middle[0] < x.max() and y.min() < middle[1] < y.max()
    # The front of the frame is not inside the skin, seen from the front.
    triangles = wearer.skin_triangles
    points = np.stack([vertices[:, 0] + 128, 128 - vertices[:, 1], vertices[:, 2]], axis=1)
    depth = rasterise(points, triangles, (256, 256)).depth
    front = frame.vertices[frame.vertices[:, 2] > lenses.vertices[:, 2].min() - 4]
    skin = depth[(128 - front[:, 1]).astype(int), (front[:, 0] + 128).astype(int)]
    assert np.nanmean(front[:, 2] < skin - 1.5) < 0.08
    # The arms reach the ears, one at each side.
    for side in (1, -1):
        ear = vertices[head.regions["ears"] & (head.mean[:, 0] * side > 0)]
        arm = frame.vertices[frame.vertices[:, 0] * side > 40]
        assert arm[:, 2].min() < ear[:, 2].mean() + 10
        assert np.abs(arm[arm[:, 2].argmin()] - ear.mean(axis=0)).max() < 45


def test_rims_are_wound_outwards(head, wearer):
    for seed in range(4):
        frame, _ = Glasses(wearer).draw(np.random.default_rng(seed), head.mean)
        normals = vertex_normals(frame.vertices.astype(float), frame.triangles)
        rings = frame.vertices.reshape(-1, 6, 3)  # tubes are made of rings of six
        outwards = (rings - rings.mean(axis=1, keepdims=True)).reshape(-1, 3)
        assert np.mean((normals * outwards).sum(axis=1) > 0) > 0.97


def test_brows_hug_the_skin_of_other_heads_and_expressions(head, wearer, makehuman, base):
    brows = load_brows(makehuman / "eyebrows" / "eyebrow009", base, wearer)
    for seed in range(3):
        vertices = someone(head, seed, browInnerUp=0.8, browDownLeft=0.6)
        part = brows.draw(
            np.random.default_rng(0), vertices, draw_colour(np.random.default_rng(0)), 1
        )
        away = ClosestPoints(vertices, wearer.skin_triangles)(part.vertices).distance
        assert away.max() < 0.9 and away.min() > 0.1
        assert part.vertices[:, 1].min() > vertices[head.regions["eye_left"]][:, 1].mean()


@pytest.mark.parametrize("kind", ["simple", "makehuman"])
def test_lashes_go_down_with_the_lids(head, wearer, kind, request):
    if kind == "simple":
        lashes = simple_lashes(wearer)
    else:
        folder, base = request.getfixturevalue("makehuman"), request.getfixturevalue("base")
        lashes = load_lashes(
            folder / "eyelashes" / "eyelashes01", base, wearer, head.makehuman_vertices
        )
    blink = head.vertices(None, head.expression_weights(eyeBlinkLeft=1, eyeBlinkRight=1))
    before, after = (
        lashes.draw(np.random.default_rng(0), v, draw_colour(np.random.default_rng(0)), 1).vertices
        for v in (head.mean, blink)
    )
    middle = head.mean[head.regions["eye_left"]].mean(axis=0)
    upper = before[:, 1] > middle[1] + 2
    assert (after[upper, 1] - before[upper, 1]).mean() < -3
    away = ClosestPoints(blink, wearer.skin_triangles)(after).distance
    assert away.max() < 13  # no lash is left behind


def test_mesh_hair_follows_and_stays_off_the_scalp(head, wearer, makehuman, base):
    hair = HairMesh.load(makehuman / "hair" / "short02", base, wearer)
    centre = wearer.skull_centre
    colour = draw_colour(np.random.default_rng(0))
    for seed in range(3):
        vertices = someone(head, seed)
        part = hair.draw(np.random.default_rng(seed), vertices, centre.astype(np.float32), colour)
        scalp = vertices[head.regions["scalp"] & (head.mean[:, 1] > 60)]
        outer = np.linalg.norm(part.vertices[part.vertices[:, 1] > 60] - centre, axis=1)
        assert np.median(outer) > np.median(np.linalg.norm(scalp - centre, axis=1))


def test_a_proxy_reproduces_the_published_mesh(makehuman):
    """On the base that it was made for, a proxy has the shape of its own OBJ file."""
    vertices = proxies.read_obj(makehuman / "3dobjs" / "base.obj").vertices
    proxy = proxies.read_proxy(makehuman / "eyelashes" / "eyelashes01", vertices)
    np.testing.assert_allclose(proxy.mesh.vertices, vertices[proxy.corners[:, 0]])
    other = proxies.read_proxy(makehuman / "eyebrows" / "eyebrow001", 2 * vertices)
    once = proxies.read_proxy(makehuman / "eyebrows" / "eyebrow001", vertices)
    np.testing.assert_allclose(other.mesh.vertices, 2 * once.mesh.vertices, atol=1e-9)


def test_files_that_are_missing_or_broken_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"hair\.obj is missing.*makehuman"):
        proxies.read_obj(tmp_path / "hair.obj")
    with pytest.raises(FileNotFoundError, match=r"a\.png is missing.*makehuman"):
        proxies.read_texture(tmp_path / "a.png", 64)
    folder = tmp_path / "wig"
    folder.mkdir()
    (folder / "wig.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(FileNotFoundError, match=r"wig\.mhclo is missing"):
        proxies.read_proxy(folder, np.zeros((4, 3)))
    (folder / "wig.mhclo").write_text("verts 0\n0\n1\n")
    with pytest.raises(ValueError, match="binds 2 vertices, its mesh has 3"):
        proxies.read_proxy(folder, np.zeros((4, 3)))
    (folder / "wig.obj").write_text("nothing\n")
    with pytest.raises(ValueError, match="holds no mesh"):
        proxies.read_obj(folder / "wig.obj")


def test_painting_is_a_look_up():
    g = np.random.default_rng(0)
    colour = HairColour(g.integers(0, 256, (256, 3)).astype(np.uint8), np.zeros(3))
    grey, alpha = (g.integers(0, 256, (5, 7)).astype(np.uint8) for _ in range(2))
    picture = colour.paint(grey, alpha)
    assert (picture[..., :3] == colour.table[grey]).all() and (picture[..., 3] == alpha).all()


def test_strands_run_down_and_meet_at_the_sides():
    grey = strands(np.random.default_rng(0), 96, 128).astype(float)
    along, across = np.abs(np.diff(grey, axis=0)).mean(), np.abs(np.diff(grey, axis=1)).mean()
    assert along < 0.5 * across
    assert np.abs(grey[:, 0] - grey[:, -1]).mean() < 2 * across


def test_resizing_keeps_the_corners():
    values = np.arange(12.0).reshape(3, 4)
    big = resized(values, 30, 40)
    assert big.shape == (30, 40)
    assert big[0, 0] == pytest.approx(0, abs=0.2) and big[-1, -1] == pytest.approx(11, abs=0.2)


def test_cutouts_cover_some_of_the_face():
    covered = []
    for seed in range(30):
        picture = draw_cutout(np.random.default_rng(seed), 96, (24, 16, 72, 84)).picture
        assert picture.shape == (96, 96, 4) and picture.dtype == np.uint8
        covered.append((picture[16:84, 24:72, 3] > 127).mean())
    assert 0.1 < np.mean(covered) < 0.6
    assert np.mean(np.array(covered) > 0.02) > 0.85 and max(covered) < 0.95
    same = [draw_cutout(np.random.default_rng(4), 96).picture.tobytes() for _ in range(2)]
    assert same[0] == same[1]


def test_cutouts_take_pieces_of_photos():
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[..., 1] = 200
    green = 0
    for seed in range(30):
        picture = draw_cutout(np.random.default_rng(seed), 64, textures=[photo]).picture
        solid = picture[picture[..., 3] > 200]
        green += len(solid) > 0 and bool((solid[:, 0] == 0).all() and (solid[:, 2] == 0).all())
    assert 4 <= green <= 22


@pytest.mark.parametrize("box", [(10, 10, 10, 40), (0, 0, 5), (50, 10, 20, 40)])
def test_boxes_that_are_none_are_refused(box):
    with pytest.raises(ValueError, match="face_box must be"):
        draw_cutout(np.random.default_rng(0), 64, box)
    with pytest.raises(ValueError, match="at least 8 pixels"):
        draw_cutout(np.random.default_rng(0), 4)
