"""Contact sheets: what is where."""

import numpy as np

from facerelief.geometry.normals import encode
from facerelief.synth.sheet import contact_sheet
from rendered_spheres import sphere


def test_heads_stand_in_rows_photo_over_normals() -> None:
    heads = [sphere(i) for i in range(5)]
    sheet = contact_sheet(heads, columns=3, tile=64)
    assert sheet.shape == (2 * 128 + 4, 3 * 64 + 2 * 4, 3)
    for index, head in enumerate(heads):
        top, left = index // 3 * 132, index % 3 * 68
        np.testing.assert_array_equal(sheet[top : top + 64, left : left + 64], head.photo)
        normals = sheet[top + 64 : top + 128, left : left + 64]
        np.testing.assert_array_equal(normals[head.mask], encode(head.normals)[head.mask])
        assert (normals[~head.mask] == 255).all()
    assert (sheet[132:, 136:] == 255).all()  # nobody is there


def test_everything_of_a_head_is_one_row() -> None:
    heads = [sphere(i) for i in range(2)]
    sheet = contact_sheet(heads, tile=64, everything=True)
    assert sheet.shape == (132, 7 * 64, 3)
    np.testing.assert_array_equal(sheet[68:, :64], heads[1].photo)
    np.testing.assert_array_equal(sheet[:64, 4 * 64 : 5 * 64], heads[0].albedo)
    depth, masks = sheet[:64, 3 * 64 : 4 * 64, 0].astype(int), sheet[:64, 6 * 64 :].astype(int)
    near = np.unravel_index(np.nanargmin(heads[0].depth), (64, 64))
    far = np.unravel_index(np.nanargmax(heads[0].depth), (64, 64))
    assert depth[near] == 220 and depth[far] == 20
    redder = masks[..., 0] - heads[0].photo[..., 0] // 2 > 90
    np.testing.assert_array_equal(redder & ~heads[0].mask, heads[0].occluder)


def test_heads_of_any_size_and_one_alone() -> None:
    assert contact_sheet([sphere(0, 96)], tile=32).shape == (64, 32, 3)
    nothing = sphere(0)
    empty = type(nothing)(**{**vars(nothing), "depth": np.full_like(nothing.depth, np.nan)})
    assert contact_sheet([empty], everything=True, tile=64).shape == (64, 448, 3)
