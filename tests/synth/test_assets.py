"""Assets: found, missing, damaged."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.data.facemesh import WHOLE_SOURCES
from facerelief.synth.assets import CATALOGUE, AssetError, Assets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with light and photographs, and nothing else."""
    (tmp_path / "hdri").mkdir()
    rng = np.random.default_rng(0)
    maps = {name: rng.random((128, 256, 3)).astype(np.float16) for name in ("noon", "dusk")}
    np.savez(tmp_path / "hdri" / "maps.npz", **maps)
    (tmp_path / "photos").mkdir()
    lines = ["path,source,licence", "b/2.jpg,fairface,CC-BY-4.0", "a/1.jpg,webmorph,CC0"]
    (tmp_path / "photos" / "manifest.csv").write_text("\n".join([*lines, "c/3.jpg,lfw,research"]))
    return tmp_path


def test_what_is_there_is_found_and_the_rest_is_named(root: Path) -> None:
    assets = Assets.find(root)
    assert assets.path("environments") == root / "hdri"
    assert assets.path("hair") is None
    assert set(assets.missing()) == {a.name for a in CATALOGUE} - {"environments", "photographs"}
    for row in assets.describe():
        assert row["found"] == (row["name"] in ("environments", "photographs"))
        assert str(row["published"]).startswith("https://") and row["adds"] and row["licence"]
    with pytest.raises(ValueError, match="unknown asset 'skin'; one of skins, environments"):
        assets.path("skin")


def test_only_open_photographs_are_backgrounds(root: Path) -> None:
    photos = root / "photos"
    assert Assets(root).backgrounds() == [photos / "a/1.jpg", photos / "b/2.jpg"]


def test_environment_maps_are_read_by_name(root: Path) -> None:
    maps = Assets(root).environment_maps()
    assert list(maps) == ["dusk", "noon"] and len(maps) == 2
    with np.load(root / "hdri" / "maps.npz") as stored:
        np.testing.assert_array_equal(maps["noon"], stored["noon"])
    with pytest.raises(KeyError):
        maps["night"]


def test_panoramas_of_any_size_keep_their_light(root: Path) -> None:
    mitsuba = pytest.importorskip("mitsuba", reason="needs the extra synth")
    mitsuba.set_variant("scalar_rgb")
    rng = np.random.default_rng(1)
    large = rng.exponential(2, (512, 1024, 3)).astype(np.float32)
    mitsuba.Bitmap(large).write(str(root / "hdri" / "room.exr"))
    found = Assets(root).environment_maps()["room"]
    assert found.shape == (128, 256, 3) and found.dtype == np.float16
    np.testing.assert_allclose(found.mean((0, 1)), large.mean((0, 1)), rtol=2e-3)
    expected = large.reshape(128, 4, 256, 4, 3).mean((1, 3))
    np.testing.assert_allclose(found.astype(np.float32), expected, rtol=2e-3)


def test_without_a_folder_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACERELIEF_DATA", raising=False)
    assets = Assets.find()
    assert assets.root is None and len(assets.missing()) == len(CATALOGUE)
    assert dict(assets.environment_maps()) == {} and assets.backgrounds() == []


def test_the_environment_variable_names_the_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACERELIEF_DATA", str(root))
    assert Assets.find().root == root
    monkeypatch.setenv("FACERELIEF_DATA", str(root / "nothing"))
    with pytest.raises(AssetError, match=r"FACERELIEF_DATA names .*nothing, which is no folder"):
        Assets.find()


def test_a_wrong_folder_is_one_line_that_says_what_was_missed(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"--assets names .*gone, which is no folder"):
        Assets.find(tmp_path / "gone")
    (tmp_path / "hdri").mkdir()  # empty: nothing in it
    with pytest.raises(AssetError) as caught:
        Assets.find(tmp_path)
    for part in ("makehuman/base/skins", "hdri", "ict/ict_facekit.npz", "--assets-help"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("hdri/maps.npz", b"PK no archive"), ("hdri/maps.npz", b""), ("hdri/sky.exr", b"no picture")],
)
def test_damaged_light_is_named(name: str, content: bytes, root: Path) -> None:
    if name.endswith("exr"):
        pytest.importorskip("mitsuba", reason="needs the extra synth")
    (root / name).write_bytes(content)
    with pytest.raises(AssetError, match=Path(name).name):
        dict(Assets(root).environment_maps())


def test_light_that_is_no_panorama_is_named(root: Path) -> None:
    np.savez(root / "hdri" / "grey.npz", grey=np.zeros((128, 256)))
    with pytest.raises(AssetError, match=r"grey\.npz.*no RGB panorama"):
        Assets(root).environment_maps()["grey"]


@pytest.mark.parametrize("content", [b"name;who\n1;2\n", b"\xff\xfe\x00bad", b""])
def test_a_damaged_manifest_is_named(content: bytes, root: Path) -> None:
    (root / "photos" / "manifest.csv").write_bytes(content)
    with pytest.raises(AssetError, match=r"manifest\.csv: no table"):
        Assets(root).backgrounds()


def test_the_data_folder(data_root: Path) -> None:
    assets = Assets.find(data_root)
    assert assets.missing() == ()
    maps = assets.environment_maps()
    radiance = maps[next(iter(maps))]
    assert radiance.shape == (128, 256, 3) and (radiance >= 0).all() and radiance.max() > 0
    photos = assets.backgrounds()
    assert photos and all(p.parent.name in WHOLE_SOURCES and p.exists() for p in photos)
