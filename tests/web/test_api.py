"""The HTTP API: its answers are those of the library, and its refusals say what to do."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

import facerelief
from browser import Viewer, running
from facerelief.apps import everything, mesh, normals, photos, relight
from facerelief.apps.products import Photo
from facerelief.geometry.light import Light
from facerelief.photo_files import PhotoFile
from web_client import Api


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Photo:
    file = PhotoFile(astronaut.read_bytes())
    return Photo(file.read(), "photo", "photo", file)


@pytest.fixture(scope="module")
def estimator() -> facerelief.Estimator:
    return facerelief.load(threads=1)


@pytest.fixture(scope="module")
def prnet() -> facerelief.Estimator:
    return facerelief.load("prnet", threads=1)


def files(answer: Any) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refused(answer: Any, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status and told["title"] and told["type"] == "about:blank"
    for word in words:
        assert word in told["detail"]


# Answers.


def test_normals_are_those_of_the_library(
    api: Api, photo: Photo, estimator: facerelief.Estimator
) -> None:
    expected = normals.produce(photo, estimator)
    assert api.post("normals").content == expected.files["photo_normal.png"]
    assert files(api.post("normals", format="zip")) == expected.files
    deep = normals.produce(photo, estimator, normals.Options(("normal",), 16, size=128))
    answer = api.post("normals", bits=16, size=128)
    assert answer.content == deep.files["photo_normal.png"]
    assert answer.headers["content-type"] == "image/png"
    assert 'filename="photo_normal.png"' in answer.headers["content-disposition"]


def test_arrays_and_places_come_too(api: Api, estimator: facerelief.Estimator) -> None:
    (face,) = estimator(api.photo)
    arrays = np.load(io.BytesIO(api.post("normals", format="npz").content))
    np.testing.assert_array_equal(arrays["normals"], face.normals[None])
    np.testing.assert_array_equal(arrays["mask"], face.mask[None])
    np.testing.assert_array_equal(arrays["expected_error"], face.expected_error[None])
    np.testing.assert_array_equal(arrays["crop_to_photo"], face.crop.matrix[None])
    (told,) = api.post("normals", format="json").json()["faces"]
    np.testing.assert_allclose(told["box"], face.box, atol=1e-3)
    assert told["photo"]["path"] == "photo"  # not what the client calls it


def test_meshes_are_those_of_the_library(
    api: Api, photo: Photo, prnet: facerelief.Estimator
) -> None:
    expected = mesh.produce(photo, prnet, mesh.Options(("glb", "obj", "ply"), texture=256))
    assert files(api.post("mesh", format="zip", texture=256)) == expected.files
    for format in ("glb", "ply"):
        answer = api.post("mesh", format=format, texture=256)
        assert answer.content == expected.files[f"photo.{format}"]
    (told,) = api.post("mesh", format="json").json()["faces"]
    assert told["angles"] == json.loads(expected.files["photo_pose.json"])["angles"]
    points = api.post("landmarks").json()["faces"][0]
    assert points["points"] == json.loads(expected.files["photo_landmarks.json"])["points"]


def test_the_photo_is_relit_as_the_library_does(
    api: Api, photo: Photo, estimator: facerelief.Estimator
) -> None:
    light = Light.from_angles(-60, 10)
    options = relight.Options(light, 1.5, 0.3, ".jpg", photos.Search(2))
    expected = relight.produce(photo, estimator, options).files["photo_relit.jpg"]
    query = {"azimuth": -60, "elevation": 10, "strength": 1.5, "keep": 0.3}
    answer = api.post("relight", format="jpg", **query)
    assert answer.content == expected and answer.headers["content-type"] == "image/jpeg"


def test_all_is_what_the_command_writes(api: Api, photo: Photo) -> None:
    made = files(api.post("all"))
    assert made == everything.produce(photo, everything.Systems.load(1)).files
    assert {f"photo{ending}" for ending in everything.written()} == made.keys()
    told = api.post("coefficients").json()["faces"][0]["coefficients"]
    expression = json.loads(made["photo_coefficients.json"])["expression"]
    assert told["expression"].keys() == expression.keys()


def test_the_page_opens_and_needs_nothing_else(api: Api, tmp_path: Path) -> None:
    answer = api.post("view")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert 'filename="photo.html"' in answer.headers["content-disposition"]
    assert answer.headers["content-security-policy"] == "sandbox allow-scripts"
    assert "default-src 'none'; img-src data:" in answer.text  # what it allows itself
    assert not re.search(r"https?://", answer.text)
    page = tmp_path / "photo.html"
    page.write_bytes(answer.content)
    with running() as browser:
        viewer = Viewer(browser, page, 640, 340)
        systems = viewer.tab.evaluate("document.body.textContent")
        assert "casfne_compact" in systems and "prnet" in systems
        assert np.ptp(viewer.picture()) > 100  # a face, and no flat colour
        viewer.close()  # it has asked for nothing, and complained of nothing


def test_equal_requests_get_equal_bytes(api: Api) -> None:
    assert api.post("normals", format="zip").content == api.post("normals", format="zip").content


def test_systems_and_health(api: Api) -> None:
    listed = api.client.get("/v1/systems").json()
    assert {one["name"] for one in listed} == set(facerelief.systems())
    assert all(one["licence"] for one in listed)
    told = api.client.get("/health").json()
    assert told["status"] == "ok" and told["version"] == facerelief.__version__
    assert told["queue"] == {"working": 0, "waiting": 0, "places": 17}


# Refusals.


def test_what_is_no_photo_is_refused_with_advice(api: Api) -> None:
    refused(api.post("normals", b"no picture at all"), 415, "known format", "Send a JPEG")
    refused(api.post("normals", b""), 422, "empty")
    refused(api.post("normals", api.photo[:9000]), 422, "truncated", "Save the picture anew")
    grey = io.BytesIO()
    Image.new("RGB", (200, 200), "grey").save(grey, "PNG")
    for path in ("normals", "mesh", "relight", "landmarks", "coefficients", "view", "all"):
        refused(api.post(path, grey.getvalue()), 422, "no face found", "Send one that shows")


def test_what_is_too_large_is_refused(api: Api) -> None:
    wide = io.BytesIO()
    Image.new("1", (2500, 2000)).save(wide, "PNG")
    refused(api.post("normals", wide.getvalue()), 413, "2500 x 2000", "4 million")
    refused(api.post("normals", bytes(3_000_000)), 413, "2 MB", "smaller")

    def parts() -> Any:  # of a length that is not told before
        yield b'--b\r\ncontent-disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(30_000)

    kind = {"content-type": "multipart/form-data; boundary=b"}
    refused(api.client.post("/v1/normals", content=parts(), headers=kind), 413, "2 MB")


def test_wrong_parameters_are_named(api: Api) -> None:
    refused(api.post("normals", system="nobody"), 422, "system", "casfne_compact")
    refused(api.post("mesh", system="casfne_compact"), 422, "system", "prnet")
    refused(api.post("normals", size=63), 422, "size", "64")
    refused(api.post("normals", format="bmp"), 422, "format", "npz")
    refused(api.post("normals", face=1), 404, "1 face", "0 to 0")
    refused(api.post("normals", face=2), 422, "face")
    refused(api.post("relight", azimuth="nan"), 422, "azimuth")
    refused(api.client.post("/v1/normals"), 422, "`photo`", "multipart/form-data")
    kind = {"content-type": "multipart/form-data"}
    refused(api.client.post("/v1/normals", content=b"x", headers=kind), 400, "multipart/form-data")


def test_unknown_places_and_methods_say_where_to_look(api: Api) -> None:
    refused(api.client.get("/v2/normals"), 404, "/openapi.json")
    refused(api.client.get("/v1/normals"), 405, "Use POST")
    assert api.client.get("/docs").status_code == 404  # it would load code from elsewhere


def test_a_crowd_is_cut_to_the_largest(api: Api, astronaut: Path) -> None:
    one = Image.open(astronaut)
    row = Image.new("RGB", (3 * 512, 512))
    for index, side in enumerate((512, 400, 300)):
        row.paste(one.resize((side, side)), (512 * index, 0))
    buffer = io.BytesIO()
    row.save(buffer, "JPEG", quality=95)
    told = api.post("normals", buffer.getvalue(), format="json").json()["faces"]
    assert len(told) == 2
    second = api.post("normals", buffer.getvalue(), face=1)
    made = files(api.post("normals", buffer.getvalue(), format="zip"))
    assert second.content == made["photo_1_normal.png"]
    refused(api.post("mesh", face=1), 404, "1 face", "0 to 0")
