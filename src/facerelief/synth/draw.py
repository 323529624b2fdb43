"""Random scenes: who, how they look, where the light and the camera are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.cache import cache_folder
from facerelief.data.ict import registered_ict
from facerelief.geometry.head import builtin_head
from facerelief.geometry.morphable import MorphableModel
from facerelief.render.scene import (
    Cutout,
    Film,
    Part,
    Scene,
)
from facerelief.synth.accessories import Accessories, Chances
from facerelief.synth.assets import Assets
from facerelief.synth.hair.strands import draw_colour
from facerelief.synth.setting.backgrounds import draw_background
from facerelief.synth.setting.camera import PoseRange, draw_pose
from facerelief.synth.setting.expressions import draw_expression
from facerelief.synth.setting.lighting import draw_lighting
from facerelief.synth.skin.lifted import lifted_skins
from facerelief.synth.skin.skins import Skins

SIZES = (32, 2048)  # pixels, least and most


@dataclass(frozen=True)
class SynthOptions:
    """What is drawn. The switches turn one ingredient off each, for ablations.

    Raises ValueError for sizes, margins and shares that make no picture.
    """

    size: int = 256  # pixels along each side
    margin: float = 1.0  # side of the picture over that of the crop round the 68 landmarks
    pose: PoseRange = field(default_factory=PoseRange)
    neutral: float = 0.4  # share of heads without an expression
    scanned: float = 0.7  # share of identities that were measured on people, where there are any
    identity_spread: float = 1.0  # standard deviations of the coefficients
    grey: float = 0.12  # share of pictures without colour
    displacement: bool = True
    lifted: bool = True
    shadows: bool = True
    occluders: bool = True

    def __post_init__(self) -> None:
        low, high = SIZES
        if not low <= self.size <= high:
            raise ValueError(f"size must be {low} to {high} pixels, got {self.size}")
        if not 0.5 <= self.margin <= 4:
            raise ValueError(f"margin must be 0.5 to 4, got {self.margin}")
        if not 0 <= self.identity_spread <= 4:
            raise ValueError(f"identity_spread must be 0 to 4, got {self.identity_spread}")
        for name in ("neutral", "scanned", "grey"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be 0 to 1, got {getattr(self, name)}")


class Heads:
    """Endless scenes. Scene `i` depends on the seed and on `i` alone.

    Args:
        assets: what may be used; with none, skins, hair and light are made up.
        seed: not negative.
    """

    def __init__(
        self, assets: Assets | None = None, options: SynthOptions | None = None, seed: int = 0
    ) -> None:
        if seed < 0:
            raise ValueError(f"the seed must not be negative, got {seed}")
        self.assets = assets or Assets()
        self.options = options or SynthOptions()
        self.seed = seed
        self.head = builtin_head()

    @cached_property
    def _scanned(self) -> MorphableModel | None:
        root = self.assets.holder("scanned shapes")
        return registered_ict(root, cache_folder()) if root and self.options.scanned else None

    @cached_property
    def _skins(self) -> Skins:
        root = self.assets.holder("photographs") if self.options.lifted else None
        extra = list(lifted_skins(root, cache_folder() / "lifted", self.head)) if root else []
        return Skins(self.head, self.assets.root, extra=extra)

    @cached_property
    def _accessories(self) -> Accessories:
        return Accessories(self.head, self.assets.root)

    @cached_property
    def _environments(self) -> dict[str, NDArray[np.float16]]:
        return dict(self.assets.environment_maps())

    @cached_property
    def _backgrounds(self) -> list[Any]:
        return self.assets.backgrounds()

    def prepare(self) -> None:
        """Load everything, and make what is kept in the cache: half a minute, once."""
        _ = self._scanned, self._skins, self._accessories, self._environments

    def scene(self, index: int) -> Scene:
        """The scene of an index; `facerelief.render.renderer.render` draws it."""
        options = self.options
        # Each ingredient has its own stream: leaving one out changes no other.
        shape, looks, wear, light, view, film, behind, front = (
            np.random.default_rng([self.seed, index, stream]) for stream in range(8)
        )
        vertices, coefficients = self._shape(shape)
        landmarks = vertices[self.head.landmarks]
        pose = draw_pose(view, landmarks, options.size, options.pose, options.margin)
        look = self._skins.look(looks)
        # Hair goes with the skin and its age, and is not both painted and worn.
        colour = draw_colour(wear, look.tone, max(0.0, 1.6 * look.age - 0.8))
        bearded = bool(wear.random() < 0.25 * look.masculine)
        chances = Chances(beard=float(bearded))
        worn = self._accessories.draw(
            wear, vertices, dark=look.tone, colour=colour, chances=chances
        )
        if not options.occluders:
            worn = [part for part in worn if not part.occludes]
        kinds = {part.kind for part in worn}
        red, green, blue = colour.shade.tolist()
        look = replace(look, hair_colour=(red, green, blue))
        if "brow" in kinds:
            look = replace(look, brows=0.0)
        if bearded:
            look = replace(look, moustache=0.0, goatee=0.0, beard=0.0)
        material = self._skins.make(look, looks, coefficients["expression"])
        if not options.displacement:
            material = replace(material, displacement=None)
        triangles, uv_triangles = self._skin_triangles
        skin = Part("skin", vertices, triangles, self.head.uv, uv_triangles, material)
        lighting, light_name = draw_lighting(light, self._environments)
        lighting = replace(lighting, shadows=options.shadows)
        grey = bool(film.random() < options.grey)
        skin_light = float((material.texture[::16, ::16, :3] / 255.0).mean()) ** 2.2
        background = draw_background(behind, self._backgrounds, options.size)
        cutouts: tuple[Cutout, ...] = ()
        if options.occluders and front.random() < 0.12:
            points = landmarks @ pose.rotation.T + pose.translation
            pixels = pose.camera.project(points)[:, :2]
            box = [*pixels.min(0).tolist(), *pixels.max(0).tolist()]
            cutouts = (self._accessories.draw_cutout(front, options.size, box),)
        return Scene(
            seed=self.seed * 1_000_003 + index,
            size=options.size,
            parts=(skin, *worn),
            rotation=pose.rotation,
            translation=pose.translation,
            camera=pose.camera,
            lighting=lighting,
            background=background,
            film=_draw_film(film, grey, skin_light),
            landmarks=landmarks.astype(np.float32),
            cutouts=cutouts,
            coefficients={
                **coefficients,
                "yaw": pose.angles[0],
                "pitch": pose.angles[1],
                "roll": pose.angles[2],
                "light": light_name,
                "age": round(look.age, 3),
                "tone": round(look.tone, 3),
                "worn": sorted(kinds),
            },
        )

    def _shape(self, g: np.random.Generator) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Vertices (V, 3) of one head, and what they were made of."""
        model: MorphableModel = self.head
        if g.random() < self.options.scanned and self._scanned is not None:
            model = self._scanned
        identity = g.normal(0, self.options.identity_spread, len(model.identity)).astype(np.float32)
        expression = draw_expression(g, model.expression_names, self.options.neutral)
        vertices = model.vertices(identity, expression)
        coefficients = {
            "model": model.name,
            "identity": [round(float(x), 4) for x in identity],
            "expression": {
                name: round(float(w), 4)
                for name, w in zip(model.expression_names, expression, strict=True)
                if w > 0
            },
        }
        return vertices, coefficients

    @cached_property
    def _skin_triangles(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(T, 3) of vertices and of uv: skin, the inside of the mouth with it."""
        chosen = np.asarray(self.head.regions["skin"][self.head.triangles].all(1))
        return self.head.triangles[chosen], self.head.uv_triangles[chosen]


def _draw_film(g: np.random.Generator, grey: bool, skin: float) -> Film:
    """A camera that exposes for the face, more or less.

    Args:
        skin: linear albedo of the skin: a camera brightens dark faces, but not all the way.
    """
    metered = (0.25 / max(skin, 0.02)) ** 0.7
    return Film(
        exposure=float(metered * np.exp(g.normal(0, 0.3))),
        white_balance=tuple(np.exp(g.normal(0, 0.06, 3)).tolist()),
        contrast=float(np.exp(g.normal(0, 0.12))),
        saturation=0.0 if grey else float(np.clip(g.normal(1, 0.2), 0.2, 1.8)),
        noise=float(g.exponential(0.015)),
        blur=float(0.35 + g.exponential(0.35)),
        jpeg=int(g.integers(30, 96)) if g.random() < 0.5 else None,
    )
