"""The folder of the photos as the output folder, and names that meet: nothing is lost."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli_lines import names, normals, one_line, outputs_of
from facerelief.cli import app

pytestmark = pytest.mark.usefixtures("tiny_catalogue")


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


@pytest.mark.parametrize("which", [0, 1])
def test_swap_writes_over_no_input(which: int, astronaut: Path, tmp_path: Path) -> None:
    photos = tmp_path / "me.jpg", tmp_path / "you.jpg"
    copies(astronaut, *photos)
    call = ["swap", *map(str, photos), "-o", str(photos[which])]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 2
    one_line(result, rf"{photos[which].name} is an input")
    assert photos[which].read_bytes() == astronaut.read_bytes()
