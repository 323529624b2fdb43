"""Films of cameras and television: high dynamic range, and lines of two moments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cli_lines import normals
from facerelief.apps.video import high_range
from facerelief.apps.video.reading import opened

av = pytest.importorskip("av")
clips = pytest.importorskip("clips")  # which imports it

#: Linear RGB of sRGB to that of BT.2020 (BT.2087), and BT.2020's luminance.
WIDE = np.array(
    [[0.627404, 0.329283, 0.043313], [0.069097, 0.919540, 0.011362], [0.016391, 0.088013, 0.895595]]
)
LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


def encoded(srgb: NDArray[Any], transfer: int) -> NDArray[np.float64]:
    """R'G'B' of BT.2100 of a picture whose white is at 203 cd/m2."""
    values = srgb / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    shown = 203 * np.clip(light @ WIDE.T, 0, None)
    if transfer == high_range.PQ:
        power = (shown / 10000) ** (2610 / 16384)
        return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    relative = shown / 1000
    luminance = np.maximum(relative @ LUMINANCE, 1e-9)[..., None]
    scene = relative * luminance ** (1 / 1.2 - 1)
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)


def write_high(path: Path, pictures: list[NDArray[np.uint8]], transfer: int) -> Path:
    """A film as phones write it: H.264 of 10 bits, BT.2020, limited range."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=30, width=width, height=height)
        stream.pix_fmt, context = "yuv420p10le", stream.codec_context
        context.options = {"crf": "4", "preset": "ultrafast"}
        context.color_primaries = context.colorspace = 9
        context.color_trc, context.color_range = transfer, 1
        for picture in pictures:
            values = encoded(picture, transfer)
            bright = values @ LUMINANCE
            blue = (values[..., 2] - bright) / 1.8814
            red = (values[..., 0] - bright) / 1.4746
            planes = [64 + 876 * bright, *(512 + 896 * one[::2, ::2] for one in (blue, red))]
            frame = av.VideoFrame(width, height, "yuv420p10le")
            frame.colorspace, frame.color_range = 9, 1
            for plane, wanted in zip(frame.planes, planes, strict=True):
                lines = np.zeros((plane.height, plane.line_size // 2), "<u2")
                lines[:, : wanted.shape[1]] = np.rint(wanted)
                plane.update(lines.tobytes())
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer", high_range.TRANSFERS)
def test_colours_are_those_of_a_screen_without_high_range(transfer: int, tmp_path: Path) -> None:
    colours = [(200, 150, 120), (90, 60, 50), (30, 60, 160), (128, 128, 128), (10, 10, 10)]
    # White and what is as bright as paper is rolled off, and keeps its hue.
    colours += [(255, 255, 255), (255, 220, 200)]
    stripes = np.repeat(np.repeat(np.array([colours], np.uint8), 48, 1), 48, 0)
    with opened(str(write_high(tmp_path / "c.mp4", [stripes] * 2, transfer))) as clip:
        pixels = [frame.pixels for frame in clip.frames()][1]
    found = pixels[24, 24::48].astype(int)
    assert np.abs(found[:5] - colours[:5]).max() <= 5, found
    assert (np.abs(found[5] - 240) <= 4).all() and np.ptp(found[5]) <= 2
    assert found[6, 0] < 245 and found[6, 0] > found[6, 1] > found[6, 2]


@pytest.mark.parametrize("transfer", high_range.TRANSFERS)
def test_lights_are_brighter_than_paper_and_no_value_is_odd(transfer: int) -> None:
    greys = np.arange(0, 65536, 64, dtype=np.uint16)
    made = high_range.to_srgb(np.repeat(greys[:, None, None], 3, 2), transfer)[:, 0].astype(int)
    assert (np.diff(made[:, 0]) >= 0).all() and np.ptp(made, axis=1).max() <= 1
    assert made[0, 0] == 0 and made[-1, 0] >= 250
    random = np.random.default_rng(0).integers(0, 65536, (70, 33, 3)).astype(np.uint16)
    rows = [high_range.to_srgb(row[None], transfer)[0] for row in random]
    np.testing.assert_array_equal(high_range.to_srgb(random, transfer), rows)


def test_a_face_in_high_range_is_seen_as_it_is_without(tiny_folder: Path, tmp_path: Path) -> None:
    frames = list(clips.pictures(3))
    source = write_high(tmp_path / "phone.mp4", frames, high_range.HLG)
    done = normals(source, "-o", tmp_path, "--system", tiny_folder / "tiny.onnx", "--threads", 1)
    assert done.exit_code == 0, done.output
    said = json.loads((tmp_path / "phone_video.json").read_bytes())
    assert said["faces"] == [{"face": 0, "first": 0, "pictures": 3, "last": 2}]
    shown = clips.frames_of(tmp_path / "phone_side.mp4")[1][:, :320].astype(int)
    dark = frames[1].max(axis=-1) < 200
    assert np.abs(shown - frames[1])[dark].mean() < 5


@pytest.mark.parametrize("interlaced_from", [0, 4])
def test_lines_of_two_moments_become_one_picture(interlaced_from: int, tmp_path: Path) -> None:
    """A face that goes right, of which each second line is half a picture later."""
    moments = list(clips.pictures(16, (160, 120), path=lambda t: (180 * t, 0)))
    woven = []
    for first, second in zip(moments[::2], moments[1::2], strict=True):
        both = first.copy()
        both[::2] = second[::2]  # the lower lines come first
        woven.append(both)
    first, second = tmp_path / "a.ts", tmp_path / "b.ts"
    plain, lines = {"bf": "0"}, {"bf": "0", "x264-params": "bff=1"}
    source = clips.write(second, woven, pixels="yuv444p", **lines)
    if interlaced_from:  # a film that becomes so: transport streams may follow each other
        clips.write(first, moments[:8:2], pixels="yuv444p", **plain)
        source = tmp_path / "both.ts"
        source.write_bytes(first.read_bytes() + second.read_bytes())
    with opened(str(source)) as clip:
        frames = list(clip.frames())
    assert len(frames) == interlaced_from + 8
    times = np.diff([frame.time for frame in frames])
    assert (times > 0).all() and times[-1] == pytest.approx(1 / 30, abs=1e-3)
    with av.open(str(second)) as film:
        assert all(frame.interlaced_frame for frame in film.decode(video=0))

    def combs(picture: NDArray[np.uint8]) -> float:
        values = picture.astype(int)
        return float(np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2).mean())

    own = frames[interlaced_from:]
    for index in (2, 4, 6):
        smooth, torn = combs(moments[2 * index]), combs(woven[index])
        assert combs(own[index].pixels) < smooth + 0.2 * (torn - smooth)
        error = np.abs(own[index].pixels.astype(int) - moments[2 * index]).mean()
        assert error < 0.6 * np.abs(woven[index].astype(int) - moments[2 * index]).mean() + 2
