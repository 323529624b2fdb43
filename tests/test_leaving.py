"""The program among others: stopped, unread, on a full disk, under odd locales, offline."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import facerelief
import posed_heads

KILLS = int(os.environ.get("FACERELIEF_KILLS", "10"))  # of each command: `make kills` has 40
SOURCE = Path(facerelief.__file__).parent
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

#: `facerelief synth` that draws balls, in shards of two: no PyTorch, no assets.
SPHERES = """
import sys
from functools import partial
from facerelief.samples.shards import TarShards
from facerelief.synth import produce
from rendered_spheres import Spheres

def slow_heads(assets, options, seed, renderer, paths):
    return Spheres(options.size, 0.1)

if __name__ == "__main__":
    from facerelief.__main__ import main
    produce.random_heads = slow_heads
    TarShards.__init__.__defaults__ = (2,)
    main()
"""
MAIN = [sys.executable, "-m", "facerelief"]


def environment(**more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(SOURCE.parent), str(Path(__file__).parent)])
    plain = {name: value for name, value in os.environ.items() if name != "FACERELIEF_DATA"}
    return {**plain, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}


def run(*command: object, **more: str) -> subprocess.CompletedProcess[str]:
    words = [*MAIN, *map(os.fsencode, map(str, command))]
    return subprocess.run(words, capture_output=True, text=True, env=environment(**more))


@pytest.fixture(scope="module")
def systems(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    path = tmp_path_factory.mktemp("posed") / "posed.onnx"
    posed_heads.network(path, posed_heads.uv_map())
    return {"normals": tiny_folder / "tiny.onnx", "posed": path}


@pytest.fixture(scope="module")
def photos(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in "abcdef":
        shutil.copy(astronaut, folder / f"{name}.jpg")
    return folder


# Kills.


def hears(process: int) -> bool:
    """Whether it has begun to answer SIGTERM."""
    text = Path(f"/proc/{process}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", text)[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def session(leader: int) -> list[int]:
    """The processes that live in its session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, leads = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it has just ended
        if int(leads) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


@contextmanager
def started(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """It runs, in a session of its own, and answers to signals."""

    def hear() -> None:  # what a shell starts in the background may be deaf
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    running = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        preexec_fn=hear,
    )
    try:
        while running.poll() is None and not hears(running.pid):
            time.sleep(0.005)
        yield running
    finally:
        running.kill()
        running.wait()


def no_process_stays(leader: int) -> bool:
    for _ in range(600):
        if not session(leader):
            return True
        time.sleep(0.05)
    return False


def command_of(name: str, systems: dict[str, Path], photos: Path, out: Path) -> list[str]:
    if name == "synth":
        script = out.with_name("spheres.py")
        script.write_text(SPHERES)
        call = ["synth", "-n", 8, "--size", 48, "--workers", 2, "-o", out]
        return [sys.executable, str(script), *map(str, call)]
    if name == "swap":
        call = ["swap", photos / "a.jpg", photos / "b.jpg", "-o", out / "us.png"]
    else:
        call = [name, photos, "-o", out]
    call += ["--system", systems["normals" if name == "normals" else "posed"], "--threads", 2]
    call += ["--texture", 256, "--format", "glb,obj"] if name == "mesh" else []
    return [*MAIN, *map(str, call)]


def of_one_photo(name: str) -> str:
    return re.split(r"[_.]", name)[0]


@linux
@pytest.mark.parametrize("name", ["normals", "mesh", "swap", "synth"])
def test_whenever_it_is_stopped_nothing_is_half_written_and_nothing_goes_on(
    name: str, systems: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    if name == "synth":
        pytest.importorskip("torch")  # without which the command says so, and ends
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    with started(command_of(name, systems, photos, whole)) as running:
        since = time.monotonic()
        assert running.communicate()[1].count("Traceback") == 0 == running.returncode
        lasts = time.monotonic() - since
    most = len(list(whole.iterdir()))
    expected = {path.name: path.read_bytes() for path in whole.iterdir()}
    stopped = 0
    for index in range(KILLS):
        out.mkdir(exist_ok=True)
        left = {path.name for path in out.iterdir()}  # by a run that was killed
        number = SIGNALS[index % len(SIGNALS)]
        with started(command_of(name, systems, photos, out)) as running:
            # Now anywhere in its time, now when some files are there.
            files = most * index // KILLS + 1 if index % 2 else sys.maxsize
            since, wait = time.monotonic(), lasts * ((index + 0.5) / KILLS if files > most else 9)
            while running.poll() is None and time.monotonic() < since + wait:
                if len(list(out.iterdir())) >= files:
                    break
                time.sleep(0.001)
            if running.poll() is not None:
                lasts = min(lasts, time.monotonic() - since)
            # As Control-C in a terminal does, to workers too; `kill` reaches the parent alone.
            send = os.killpg if number == signal.SIGINT else os.kill
            if running.poll() is None:
                send(running.pid, number)
            errors = running.communicate(timeout=60)[1]
            if number == signal.SIGKILL:
                assert running.returncode in (0, -signal.SIGKILL) and "Traceback" not in errors
            elif running.returncode != 0:
                stopped += 1
                assert running.returncode == 130, errors
                said = [line for line in errors.splitlines() if not line.startswith("done without")]
                assert len(said) == 1 and said[0].startswith("facerelief: interrupted"), errors
        assert no_process_stays(running.pid)
        found = {path.name: path.read_bytes() for path in out.iterdir()}
        if number != signal.SIGKILL:
            made = found.keys() - left
            assert not [file for file in made if file.endswith((".tmp", ".partial"))]
        shown = {file: content for file, content in found.items() if file[0] != "."}
        assert shown.items() <= expected.items()
        if name in ("normals", "mesh") and number != signal.SIGKILL:
            photo_of = {of_one_photo(file) for file in shown}
            assert shown.keys() == {file for file in expected if of_one_photo(file) in photo_of}
        if index % 3 == 2 and name != "synth":  # which goes on; the others begin again
            shutil.rmtree(out)
    assert stopped
    out.mkdir(exist_ok=True)
    with started(command_of(name, systems, photos, out)) as running:
        assert running.communicate()[1].count("Traceback") == 0 == running.returncode
    assert {path.name: path.read_bytes() for path in out.iterdir()} == expected


# What it prints goes nowhere.


@pytest.mark.parametrize("command", [["systems"], ["systems", "--json"], ["--help"]])
def test_a_reader_that_went_away_is_no_error_to_speak_of(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*MAIN, *command], stdout=writer, stderr=subprocess.PIPE, env=environment()
    )
    os.close(writer)
    # Rich, which prints help, ends a program with 1 itself, but for old versions.
    assert done.returncode in ((1, 141) if command == ["--help"] else (141,))
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", [["systems"], ["--help"]])
def test_a_full_disk_behind_the_output_is_one_line(command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*MAIN, *command], stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
        )
        assert done.returncode == 1
        assert done.stderr == "facerelief: cannot print: No space left on device\n"
        quiet = subprocess.run([*MAIN, *command], stdout=full, stderr=full, env=environment())
        assert quiet.returncode == 1


# Names and locales.


@linux
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("name", [b"\xff\xfe.jpg", "é 漢 #1.jpg".encode(), b"a\nb.jpg"])
def test_any_name_is_written_or_refused_in_one_line(
    name: bytes, locale: str, systems: dict[str, Path], astronaut: Path, tmp_path: Path
) -> None:
    photo = os.fsencode(tmp_path) + b"/" + name
    shutil.copy(astronaut, photo)
    call = ["normals", os.fsdecode(photo), "-o", tmp_path / "out", "--system", systems["normals"]]
    done = run(*call, "--json", "--only", "normal,json", LC_ALL=locale)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    said = json.loads(done.stdout)
    assert os.fsencode(said["input"]) == photo
    assert all(Path(file).is_file() for file in said["files"])
    (sidecar,) = [Path(file) for file in said["files"] if file.endswith(".json")]
    assert os.fsencode(json.loads(sidecar.read_bytes())["photo"]["path"]) == photo
    done = run(*call, "--only", "json", LC_ALL=locale)
    assert done.returncode == 0 and done.stderr == ""


# Threads.


@pytest.mark.parametrize("threads", [100_000, 2**31, 2**70])
def test_more_threads_than_cores_are_as_many_as_cores(
    threads: int, systems: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    call = ["normals", photos / "a.jpg", "-o", tmp_path, "--system", systems["normals"]]
    done = run(*call, "--only", "json", "--threads", threads)
    assert done.returncode == 0 and done.stderr == ""


# Nothing leaves the computer, and nothing is written that nobody asked for.


def test_onnx_runtime_is_imported_in_one_place() -> None:
    """Which first tells it to be silent."""
    places = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import) and any(a.name == "onnxruntime" for a in node.names):
                places.add(path.name)
    assert places == {"inference.py"}


def test_a_run_writes_into_its_folder_alone_and_calls_nobody(
    systems: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    home, out, log = tmp_path / "home", tmp_path / "out", tmp_path / "log"
    home.mkdir()
    call = [*MAIN, "normals", photos / "a.jpg", "-o", out, "--system", systems["normals"]]
    words: list[object] = call
    trace = shutil.which("strace")
    if trace:
        words = [trace, "-f", "-qq", "-o", log, "-e", "trace=openat,creat,mkdir,connect", *call]
    kept = environment(HOME=str(home), PYTHONDONTWRITEBYTECODE="1")
    variables = {name: kept[name] for name in kept if not name.startswith(("XDG_", "ORT_"))}
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=variables)
    if trace and "ptrace" in done.stderr.lower():
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*")) and len(list(out.iterdir())) == 6
    if not trace:
        return
    written = []
    for line in log.read_text("utf-8", "replace").splitlines():
        assert "connect(" not in line or "AF_UNIX" in line, line
        path = re.search(r'"([^"]*)"', line)
        if path and re.search(r"O_WRONLY|O_RDWR|creat\(|mkdir\(", line) and "= -1" not in line:
            written.append(path[1])
    outside = [p for p in written if not p.startswith((str(out), "/dev/", "/proc/", "/sys/"))]
    assert not outside


def told(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """What `python -m` of a script says that it calls with ``--version``."""
    (folder / "script.py").write_text(script)
    words = [sys.executable, "-m", "script", "--version"]
    return subprocess.run(words, capture_output=True, text=True, env=environment(), cwd=folder)


@linux
def test_an_interrupt_while_modules_are_made_is_130_too(tmp_path: Path) -> None:
    done = told(
        tmp_path,
        "from facerelief import __main__\n"
        "def cli():\n"
        "    exec('raise KeyboardInterrupt')\n"
        "import facerelief.cli\n"
        "facerelief.cli.main = cli\n"
        "__main__.main()\n",
    )
    assert (done.returncode, done.stderr) == (130, "facerelief: interrupted\n")


@linux
def test_an_interrupt_beside_a_command_is_told_too(tmp_path: Path) -> None:
    done = told(
        tmp_path,
        "from facerelief import __main__\n"
        "from facerelief.cli.common import _Group\n"
        "def interrupted(*arguments, **named):\n"
        "    raise KeyboardInterrupt\n"
        "_Group.make_context = interrupted\n"
        "__main__.main()\n",
    )
    assert (done.returncode, done.stderr) == (130, "facerelief: interrupted\n")


@linux
def test_an_interrupt_in_the_moment_of_ending_is_130_too(tmp_path: Path) -> None:
    done = told(
        tmp_path,
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # in the background, too
        "from facerelief import __main__\n"
        "ignore = __main__.ignore_interrupts\n"
        "def late():\n"
        "    __main__.ignore_interrupts = ignore\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    ignore()\n"
        "__main__.ignore_interrupts = late\n"
        "__main__.main()\n",
    )
    assert (done.returncode, done.stderr) == (130, "facerelief: interrupted\n")
