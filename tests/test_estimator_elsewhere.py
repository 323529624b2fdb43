"""An estimator in other processes: pickled, copied, forked; and what faces come back from there."""

import copy
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import facerelief as fr
import posed_heads
import tiny_system
from facerelief import catalogue, runtime

CROPS = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8)


@pytest.mark.parametrize("by", ["name", "path"])
def test_pickled_it_is_small_and_loads_when_needed(
    by: str, tiny_catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "tiny" if by == "name" else tiny_catalogue / "tiny.onnx"
    estimator = fr.load(source, threads=1, providers=[runtime.CPU])
    pickled = pickle.dumps(estimator)
    made = []
    session = runtime.open_session
    monkeypatch.setattr(
        runtime, "open_session", lambda *given: made.append(given) or session(*given)
    )
    other = pickle.loads(pickled)
    assert len(pickled) < 2000 and not made
    assert other.name == "tiny" and other.entry == estimator.entry
    ours, theirs = (one.estimate_crops(CROPS) for one in (estimator, other))
    np.testing.assert_array_equal(theirs.normals, ours.normals)
    other.estimate_crops(CROPS)
    assert len(made) == 1 and made[0][2:] == (1, [runtime.CPU])


def test_a_path_leads_there_from_any_folder(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_folder)
    pickled = pickle.dumps(fr.load("tiny.onnx"))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(pickled).estimate_crops(CROPS).mask.any()


def test_copies_are_the_estimator_itself(tiny_catalogue: Path) -> None:
    estimator = fr.load("tiny")
    assert copy.copy(estimator) is estimator
    assert copy.deepcopy({"model": estimator})["model"] is estimator


def test_where_its_file_is_not_the_name_leads_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.setattr(catalogue, "FOLDER", tiny_system.catalogue(tmp_path / "here"))
    pickled = pickle.dumps(fr.load("tiny"))
    shutil.rmtree(tmp_path / "here")
    monkeypatch.setattr(catalogue, "FOLDER", tiny_system.catalogue(tmp_path / "there"))
    other = pickle.loads(pickled)
    assert other.entry.path.parent == tmp_path / "there" and other.estimate_crops(CROPS).mask.any()


def test_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tiny_system.build(tmp_path / "own.onnx")
    pickled = pickle.dumps(fr.load(path))
    tiny_system.build(path, expected_error=False)
    with pytest.raises(fr.WeightsError, match=r"own\.onnx: the file is not the one"):
        pickle.loads(pickled).estimate_crops(CROPS)
    path.unlink()
    with pytest.raises(fr.WeightsError, match=r"own\.onnx: cannot read the weights"):
        pickle.loads(pickled).estimate_crops(CROPS)


def test_spawned_processes_find_the_same_faces(tiny_catalogue: Path, astronaut: Path) -> None:
    estimator = fr.load("tiny", threads=1)
    (own,) = estimator(astronaut)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        ((found,),) = pool.map(estimator, [astronaut])
        with pytest.raises(fr.PhotoError, match=r"gone\.jpg: no such file"):
            pool.submit(estimator, "gone.jpg").result()
    np.testing.assert_array_equal(found.normals, own.normals)
    assert found.crop == own.crop and found.model == "tiny"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="processes are not forked here")
def test_forked_processes_do_not_wait_for_threads_that_they_have_not(
    tiny_catalogue: Path, astronaut: Path
) -> None:
    estimator = fr.load("tiny", threads=2)
    assert len(estimator(astronaut)) == 1
    process = os.fork()
    if not process:
        signal.alarm(300)  # ends it if it waits
        os._exit(3 + len(estimator(astronaut)))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 4


def test_faces_with_shapes_can_be_pickled(astronaut: Path, tmp_path: Path) -> None:
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map(yaw=25))
    (face,) = fr.load(network)(astronaut)
    for asked in (False, True):  # what was made when it was asked for goes along, or is made there
        other = pickle.loads(pickle.dumps(face))
        np.testing.assert_array_equal(other.normals, face.normals)
        np.testing.assert_array_equal(other.mesh.vertices, face.mesh.vertices)
        np.testing.assert_array_equal(other.whole().landmarks, face.landmarks)
        assert other.warnings == face.warnings, asked
