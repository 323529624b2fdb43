"""Skins: the same for the same seed, in range, in place, and true to what was asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from facerelief.geometry.head import builtin_head
from facerelief.render.scene import Material
from facerelief.synth.skin import textures
from facerelief.synth.skin.look import Look, draw_look
from facerelief.synth.skin.skins import Skins
from facerelief.synth.skin.textures import FOLDER, load_textures, makehuman_textures

SIZE = 256
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@pytest.fixture(scope="module")
def skins() -> Skins:
    return Skins(builtin_head(), size=SIZE)


def g(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean_luminance(material: Material, mask: np.ndarray) -> float:
    return float((material.texture[mask][:, :3] @ LUMINANCE).mean())


def test_a_seed_decides_everything_and_seeds_differ(skins: Skins) -> None:
    first, again, other = skins.draw(g(1)), skins.draw(g(1)), skins.draw(g(2))
    assert np.array_equal(first.texture, again.texture)
    assert first.displacement is not None and again.displacement is not None
    assert np.array_equal(first.displacement, again.displacement)
    assert (first.specular, first.roughness) == (again.specular, again.roughness)
    assert np.abs(first.texture.astype(int) - other.texture).max() > 10


def test_skins_are_in_range_and_not_steeper_than_skin(skins: Skins) -> None:
    face = skins.regions.face[..., None] * skins.skin.mask[..., None] > 0.5
    for seed in range(12):
        material = skins.draw(g(seed))
        height = material.displacement
        assert material.texture.shape == (SIZE, SIZE, 4) and material.texture.dtype == np.uint8
        assert (material.texture[..., 3] == 255).all()
        assert height is not None and height.dtype == np.float32 and height.shape == (SIZE, SIZE)
        assert np.abs(height).max() < 5
        assert 0.02 < material.specular < 0.08 and 0.2 < material.roughness < 0.8
        slope = np.hypot(*np.gradient(height)) / skins.skin.texel
        assert np.percentile(slope[face[..., 0]], 99) < np.tan(np.radians(40))
        assert np.percentile(slope[face[..., 0]], 50) < np.tan(np.radians(10))


def test_more_melanin_is_darker_whatever_else_is_drawn(skins: Skins) -> None:
    plain = skins.skin.mask & (skins.regions.cheeks > 0.5)
    for seed in range(3):
        shades = [mean_luminance(skins.draw(g(seed), tone=t), plain) for t in (0, 0.3, 0.6, 0.95)]
        assert (np.diff(shades) < -10).all()


def test_left_and_right_are_placed_alike(skins: Skins) -> None:
    place = skins.skin.position[skins.skin.mask]
    distance, mirror = cKDTree(place).query(place * [-1, 1, 1])
    near = distance < 1.0
    for name in ("lips", "cheeks", "moustache", "jaw", "eye_socket", "lid", "scalp", "forehead"):
        values = getattr(skins.regions, name)[skins.skin.mask]
        difference = np.abs(values - values[mirror])[near]
        assert values.max() > 0.5, name
        assert difference.mean() < 0.02 and np.percentile(difference, 98) < 0.35, name


def test_regions_lie_where_anatomy_says(skins: Skins) -> None:
    mark = skins.skin.landmarks
    y = skins.skin.position[..., 1]

    def centre(name: str) -> float:
        weight = getattr(skins.regions, name) * skins.skin.mask
        return float((weight * y).sum() / weight.sum())

    order = ["chin", "lips", "moustache", "nose", "under_eye", "lid", "forehead", "scalp"]
    assert (np.diff([centre(name) for name in order if name != "scalp"]) > 0).all()
    assert mark[57, 1] < centre("lips") < mark[51, 1]
    assert mark[42:48, 1].min() - 9 < centre("under_eye") < mark[42:48, 1].max()


def test_what_is_painted_is_where_it_belongs(skins: Skins) -> None:
    look = replace(
        draw_look(g(3), tone=0.1, scalp=0.0, base=-1), brows=0.0, stubble=0.0, lipstick=0.0,
        moustache=0.0, goatee=0.0, beard=0.0, hair_colour=(0.05, 0.05, 0.05),
    )  # fmt: skip
    plain = skins.make(look, g(3)).texture[..., :3].astype(int)
    brow = np.zeros(SIZE**2, bool)
    strip = skins.regions.brow
    brow[strip.index[np.abs(strip.beside) < 4]] = True
    for change, where in (
        ({"brows": 1.0}, brow.reshape(SIZE, SIZE)),
        ({"lipstick": 0.9, "lipstick_colour": (0.5, 0.0, 0.1)}, skins.regions.lips > 0.5),
        ({"stubble": 1.0}, skins.regions.moustache > 0.5),
        ({"goatee": 1.0}, skins.regions.goatee > 0.7),
    ):
        painted = skins.make(replace(look, **change), g(3)).texture[..., :3].astype(int)  # type: ignore[arg-type]
        changed = (plain - painted).mean(axis=-1)
        assert changed[where & skins.skin.mask].mean() > 8, change
        far = skins.regions.forehead * (skins.skin.position[..., 1] > 45) > 0.5
        assert np.abs(changed[far & skins.skin.mask]).mean() < 1.5, change


def test_limits_set_or_narrow_fields(skins: Skins) -> None:
    for seed in range(20):
        look = draw_look(g(seed), 5, tone=(0.4, 0.5), moles=3, brows=0, relief_lumps=(0.1, 0.2))
        assert 0.4 <= look.tone <= 0.5 and look.moles == 3 and look.brows == 0
        assert 0.1 <= look.relief.lumps <= 0.2
        assert -1 <= look.base < 5 and -1 <= look.other < 5


def test_an_unknown_limit_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no 'melanin'.*tone.*relief_lumps"):
        draw_look(g(), melanin=0.3)


def test_looks_are_plausible_together() -> None:
    looks = [draw_look(g(seed)) for seed in range(400)]
    assert all(look.beard == 0 for look in looks if look.masculine < 0.5 or look.age < 0.15)
    assert all(look.lipstick == 0 for look in looks if look.masculine > 0.5)
    dark = [max(look.hair_colour) for look in looks if look.tone > 0.6 and look.age < 0.4]
    assert max(dark) < 0.45
    assert np.ptp([look.tone for look in looks]) > 0.9


def test_age_and_expression_fold_the_skin(skins: Skins) -> None:
    def folds(age: float, **expression: float) -> np.ndarray:
        return skins.details.folds(g(4), draw_look(g(4), age=age).relief, expression)

    def depth(values: np.ndarray) -> float:
        return float(-values.clip(max=0).sum())

    assert depth(folds(0.9)) > depth(folds(0.5)) > depth(folds(0.1))
    neutral = folds(0.3)
    x = skins.skin.position[..., 0]
    change = np.abs(folds(0.3, mouthSmileLeft=1.0, unknown=1.0) - neutral)
    assert change[x > 1].sum() > 20 * change[x < -1].sum()
    raised = np.abs(folds(0.3, browInnerUp=1.0) - neutral)
    assert raised[skins.regions.forehead > 0.3].sum() > 0.5 * raised[skins.skin.mask].sum() > 0


def test_without_assets_structure_is_made_up(skins: Skins, tmp_path: Path) -> None:
    assert skins.textures == []
    assert makehuman_textures(tmp_path) == []
    with pytest.raises(IndexError):
        skins.make(Look(base=0), g())


def test_an_empty_folder_of_skins_is_named(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"textures.*makehuman"):
        makehuman_textures(tmp_path)


def test_a_damaged_texture_is_named(skins: Skins, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "old_diffuse.png").write_bytes(b"version https://git-lfs")
    with pytest.raises(ValueError, match=r"old_diffuse\.png"):
        files = makehuman_textures(tmp_path)
        load_textures(skins.skin, skins.regions, files, tmp_path / "cache")


def test_a_head_without_layout_or_a_texture_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="UV"):
        Skins(replace(builtin_head(0), uv=None), size=64)
    flat = np.zeros((64, 64), np.uint8)
    with pytest.raises(ValueError, match="extra 0"):
        Skins(builtin_head(0), size=64, extra=[flat], cache=tmp_path)


def test_extra_textures_lend_their_structure(skins: Skins, tmp_path: Path) -> None:
    base = np.full((SIZE, SIZE, 3), (200, 150, 130), np.uint8)
    base[skins.skin.position[..., 0] > 0] = (150, 105, 88)  # the left half is darker
    two = Skins(builtin_head(), size=SIZE, extra=[base], cache=tmp_path)
    look = replace(draw_look(g(5), tone=0.5), base=0, other=-1, contrast=1.0)
    material = two.make(look, g(5))
    cheeks = two.skin.mask & (two.regions.cheeks > 0.4)
    x = two.skin.position[..., 0]
    left = mean_luminance(material, cheeks & (x > 0))
    assert left < mean_luminance(material, cheeks & (x < 0)) - 10


def test_extra_textures_are_taken_apart_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = g(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    first = Skins(builtin_head(0), size=64, extra=list(noise), cache=tmp_path)
    assert first.textures[1].parts.std() > 5
    with monkeypatch.context() as patched:
        patched.setattr(textures, "take_apart", None)
        again = Skins(builtin_head(0), size=64, extra=list(noise), cache=tmp_path)
    for one, other in zip(first.textures, again.textures, strict=True):
        assert np.array_equal(one.parts, other.parts) and one.typical == other.typical
        assert np.array_equal(one.creases, other.creases)
    others = Skins(builtin_head(0), size=64, extra=list(noise[::-1]), cache=tmp_path)
    assert np.array_equal(others.textures[0].parts, first.textures[1].parts)


def test_photographs_keep_their_own_brows_and_are_not_blended() -> None:
    looks = [draw_look(g(seed), 3, 5) for seed in range(300)]
    assert {look.base for look in looks} == set(range(-1, 8))
    for look in looks:
        if look.base >= 3:
            assert look.brows == look.stubble == look.beard == look.goatee == 0
            assert look.other == -1
        assert look.other < 3
    assert any(look.other >= 0 for look in looks)


def test_all_textures_are_used_and_kept(data_root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = Skins(builtin_head(0), data_root, size=64, cache=cache)
    names = {texture.name for texture in first.textures}
    files = [p.stem for p in (data_root / FOLDER).iterdir() if "_diffuse" in p.name]
    assert names == set(files) and not any("suit" in name for name in names)
    assert {draw_look(g(s), len(names)).base for s in range(200)} == set(range(-1, len(names)))
    again = Skins(builtin_head(0), data_root, size=64, cache=cache)
    for one, other in zip(first.textures, again.textures, strict=True):
        assert np.array_equal(one.parts, other.parts) and one.typical == pytest.approx(
            other.typical
        )
    tones = {texture.name: texture.typical[0] for texture in first.textures}
    dark = [tone for name, tone in tones.items() if "dark" in name]
    light = [tone for name, tone in tones.items() if "light" in name]
    assert min(dark) > max(light)
