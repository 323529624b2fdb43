"""How one person's skin looks, in numbers, and how such numbers are drawn."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facerelief.synth.skin.details import Relief

Colour = tuple[float, float, float]  # sRGB in [0, 1]

#: Hair from black to white; grey comes with age.
HAIR: tuple[tuple[str, Colour, float], ...] = (
    ("black", (0.07, 0.06, 0.06), 0.42),
    ("dark brown", (0.17, 0.11, 0.08), 0.28),
    ("brown", (0.30, 0.20, 0.13), 0.14),
    ("dark blond", (0.45, 0.34, 0.22), 0.07),
    ("blond", (0.62, 0.50, 0.34), 0.05),
    ("red", (0.46, 0.22, 0.10), 0.04),
)
LIPSTICKS: tuple[Colour, ...] = (
    (0.70, 0.08, 0.12), (0.55, 0.05, 0.15), (0.80, 0.32, 0.36), (0.78, 0.42, 0.40),
    (0.62, 0.32, 0.28), (0.45, 0.12, 0.20), (0.86, 0.45, 0.45), (0.35, 0.14, 0.13),
)  # fmt: skip
SHADOWS: tuple[Colour, ...] = (
    (0.25, 0.17, 0.13), (0.16, 0.15, 0.16), (0.40, 0.25, 0.20), (0.50, 0.32, 0.34),
    (0.25, 0.28, 0.42), (0.35, 0.22, 0.38), (0.70, 0.58, 0.45), (0.20, 0.32, 0.30),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """One skin. Strengths are 0 to 1 where nothing else is said."""

    masculine: float = 0.5  # decides what is likely, paints nothing
    age: float = 0.4  # 0 child, 1 very old

    # Where its structure comes from: indices of textures, or -1 for one that is made up.
    base: int = -1
    other: int = -1
    blend: float = 0.0  # share of the other

    tone: float = 0.3  # melanin, 0 very pale to 1 very dark
    flush: float = 0.42  # blood
    warmth: float = 0.0  # -1 cool to 1 yellowish
    contrast: float = 1.0  # factor on the structure of the textures
    regional: float = 1.0  # factor on the differences between parts of the face
    mottling: float = 0.5
    sun: float = 0.3  # tanned forehead, nose and cheekbones
    dark_circles: float = 0.3
    ruddy: float = 0.4  # cheeks, nose, ears
    lip_flush: float = 0.5
    lip_tone: float = 0.5
    freckles: float = 0.0
    age_spots: float = 0.0
    veins: float = 0.0  # broken capillaries of cheeks and nose
    moles: int = 0
    blemishes: int = 0
    scars: int = 0

    hair_colour: Colour = (0.1, 0.08, 0.07)
    brows: float = 0.7  # density; 0 leaves them to meshes
    brow_thickness: float = 1.0  # factor
    brow_lift: float = 0.0  # mm
    brow_arch: float = 0.5
    stubble: float = 0.0  # shadow of a shaved beard
    moustache: float = 0.0  # hair of these parts
    goatee: float = 0.0
    beard: float = 0.0
    scalp: float = 0.0  # shadow of very short hair

    lipstick: float = 0.0
    lipstick_colour: Colour = LIPSTICKS[0]
    eye_shadow: float = 0.0
    eye_shadow_colour: Colour = SHADOWS[0]
    eye_liner: float = 0.0
    blush: float = 0.0
    foundation: float = 0.0  # evens out spots and differences

    oil: float = 0.4  # 0 matt to 1 oily
    relief: Relief = field(default_factory=Relief)


_NAMES = tuple(f.name for f in dataclasses.fields(Look) if f.name != "relief")
_RELIEF_NAMES = tuple(f.name for f in dataclasses.fields(Relief) if f.name != "age")


def draw_look(
    g: np.random.Generator, textures: int = 0, photographs: int = 0, **limits: Any
) -> Look:
    """A random look.

    Args:
        g: everything is drawn from it, and always the same count of numbers.
        textures: how many painted textures there are to take structure from.
        photographs: how many photographed ones, with numbers after those; they bring brows and
            beard of their own, and are not blended.
        limits: fields of `Look`, or of `Relief` by `relief_` and their name: a value to set, or a
            pair of numbers to draw evenly between. What depends on a field follows its limit.

    Raises:
        ValueError: a limit on no field; the message lists them.
    """
    known = (*_NAMES, *(f"relief_{name}" for name in _RELIEF_NAMES))
    for name in limits:
        if name not in known:
            raise ValueError(f"skins have no {name!r} to limit; they have {', '.join(known)}")

    def pick(name: str, usual: Any) -> Any:
        share = g.uniform()  # drawn whether needed or not
        if name not in limits:
            return usual
        limit = limits[name]
        if isinstance(limit, tuple) and len(limit) == 2:
            value = limit[0] + (limit[1] - limit[0]) * share
            return round(value) if isinstance(usual, int) else value
        return limit

    def some(chance: float, low: float = 0.2, high: float = 1.0) -> float:
        """Between low and high with a chance, else 0."""
        hit, value = g.uniform(size=2)
        return float(low + (high - low) * value) if hit < chance else 0.0

    def spread(low: float, high: float) -> float:
        return float(g.uniform(low, high))

    masculine = pick("masculine", float(g.uniform() < 0.5))
    age = pick("age", float(np.clip(g.beta(1.6, 1.7), 0.02, 0.98)))
    man, adult = masculine > 0.5, age > 0.15
    tone = pick("tone", spread(0.0, 0.95))
    made_up = (not man) and adult and g.uniform() < 0.5
    bearded = man and adult

    every = textures + photographs
    choice = g.integers(0, max(every, 1)), g.integers(0, max(textures, 1))
    from_texture = every > 0 and g.uniform() < 0.85
    two = textures > 1 and g.uniform() < 0.4
    base = pick("base", int(choice[0]) if from_texture else -1)
    photographed = base >= textures
    other = pick("other", int(choice[1]) if two and 0 <= base < textures else -1)

    bearded = bearded and not photographed
    style = g.uniform()  # shaved, stubble, moustache, goatee, full
    full = bearded and style > 0.84
    chin = bearded and style > 0.74
    lip = bearded and style > 0.70
    lengths = g.uniform(0.35, 1.0, 3)
    return Look(
        masculine=masculine,
        age=age,
        base=base,
        other=other,
        blend=pick("blend", spread(0.2, 0.5) if other >= 0 else 0.0),
        tone=tone,
        flush=pick("flush", float(np.clip(g.normal(0.41, 0.065), 0.26, 0.62))),
        warmth=pick("warmth", float(np.clip(g.normal(0, 0.4), -1, 1))),
        contrast=pick("contrast", spread(0.6, 1.25)),
        regional=pick("regional", spread(0.4, 1.5)),
        mottling=pick("mottling", spread(0.1, 0.9)),
        sun=pick("sun", some(0.5, 0.1, 0.8)),
        dark_circles=pick("dark_circles", spread(0, 0.9) ** 1.3),
        ruddy=pick("ruddy", spread(0, 1)),
        lip_flush=pick("lip_flush", spread(0.1, 1)),
        lip_tone=pick("lip_tone", spread(0.0, 1)),
        freckles=pick("freckles", some(0.35 if tone < 0.3 else 0.06)),
        age_spots=pick("age_spots", some(max(age - 0.45, 0) * 1.5)),
        veins=pick("veins", some(max(age - 0.25, 0) * (0.9 if tone < 0.5 else 0.2))),
        moles=pick("moles", int(g.poisson(2.0))),
        blemishes=pick("blemishes", int(g.poisson(1.2 if age > 0.4 else 4.0))),
        scars=pick("scars", int(g.uniform() < 0.12)),
        hair_colour=pick("hair_colour", hair_colour(g, tone, age)),
        brows=pick("brows", spread(0.45, 1.0) * (not photographed)),
        brow_thickness=pick("brow_thickness", spread(0.9, 1.4) if man else spread(0.6, 1.1)),
        brow_lift=pick("brow_lift", float(g.normal(0, 1.2))),
        brow_arch=pick("brow_arch", spread(0, 0.6) if man else spread(0.2, 1.0)),
        stubble=pick("stubble", spread(0.05, 1.0) if bearded else 0.0),
        moustache=pick("moustache", float(lengths[0]) if lip else 0.0),
        goatee=pick("goatee", float(lengths[1]) if chin else 0.0),
        beard=pick("beard", float(lengths[2]) if full else 0.0),
        scalp=pick("scalp", some(0.6 if man else 0.35, 0.3, 1.0)),
        lipstick=pick("lipstick", some(0.75, 0.25, 0.95) if made_up else 0.0),
        lipstick_colour=pick("lipstick_colour", _shift(g, LIPSTICKS)),
        eye_shadow=pick("eye_shadow", some(0.6, 0.15, 0.7) if made_up else 0.0),
        eye_shadow_colour=pick("eye_shadow_colour", _shift(g, SHADOWS)),
        eye_liner=pick("eye_liner", some(0.6, 0.3, 1.0) if made_up else 0.0),
        blush=pick("blush", some(0.6, 0.1, 0.8) if made_up else 0.0),
        foundation=pick("foundation", some(0.7, 0.1, 0.8) if made_up else 0.0),
        oil=pick("oil", spread(0, 1)),
        relief=Relief(
            age=age,
            folds=pick("relief_folds", float(np.exp(g.normal(0, 0.35)))),
            grain=pick("relief_grain", spread(0.008, 0.05)),
            lumps=pick("relief_lumps", spread(0.04, 0.18) + 0.12 * age),
            lips=pick("relief_lips", spread(0.03, 0.25)),
            painted=pick("relief_painted", spread(0.0, 2.0)),
        ),
    )


def hair_colour(g: np.random.Generator, tone: float, age: float) -> Colour:
    """A likely colour of brows and beard: fair hair with fair skin, grey with age."""
    chance = np.array([share for _, _, share in HAIR])
    if tone > 0.35:
        chance = chance * [1, 0.35 * (tone < 0.75), 0.05 * (tone < 0.6), 0, 0, 0]
    kind = g.choice(len(HAIR), p=chance / chance.sum())
    colour = np.asarray(HAIR[kind][1]) * g.uniform(0.8, 1.2)
    grey = np.clip((age - g.uniform(0.45, 1.2)) * 2.5, 0, 0.95)
    colour = colour + grey * (np.array([0.72, 0.71, 0.69]) - colour)
    return tuple(float(c) for c in colour)  # type: ignore[return-value]


def _shift(g: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """One of the colours, a little changed."""
    colour = np.asarray(colours[int(g.integers(len(colours)))])
    changed = np.clip(colour * g.uniform(0.8, 1.2) + g.normal(0, 0.03, 3), 0.02, 0.95)
    return tuple(float(c) for c in changed)  # type: ignore[return-value]
