"""The pictures and captions that tiny-sdxl learns: scenes of drawn shapes by (seed, index), as src/quantize/shapes.json
specifies them. src/quantize/drawShapes.ts draws the same scenes to the same pixels (test/unit/quantize proves it on
test/fixtures/shapes.json, which `python sdxl_shapes.py` writes). Trains nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass

import numpy as np

import paths

SPEC = json.loads((paths.ROOT / "src" / "quantize" / "shapes.json").read_text())
SHAPES, COLOURS, SIZES = list(SPEC["shapes"]), list(SPEC["colours"]), list(SPEC["sizes"])
BACKGROUNDS, RELATIONS = list(SPEC["backgrounds"]), list(SPEC["relations"])
WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Thing:
    """A drawn object: what it is, its centre and half its extent, in units of the picture's side."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    extent: float


@dataclass(frozen=True)
class Scene:
    """`things[0]` is the one the caption names first; `relation` is where it stands to the other one."""

    background: str
    relation: str | None
    things: tuple[Thing, ...]


class Random:
    """Mulberry32: 32 bits of state, so that the same few lines of integer arithmetic give the same numbers anywhere."""

    def __init__(self, seed: int, index: int) -> None:
        self.state = (seed * 0x9E3779B1 + index * 0x85EBCA6B) & WORD
        self.next()

    def next(self) -> float:
        """Uniform in [0, 1)."""
        self.state = (self.state + 0x6D2B79F5) & WORD
        t = ((self.state ^ (self.state >> 15)) * (self.state | 1)) & WORD
        t ^= (t + ((t ^ (t >> 7)) * (t | 61) & WORD)) & WORD
        return (t ^ (t >> 14)) / 4294967296

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.next()

    def pick(self, items: list):
        return items[math.floor(self.next() * len(items))]


def is_held_out(scene: Scene) -> bool:
    """A sixteenth of all combinations of two objects is never trained on. The same picture told the other way round is
    the same combination, so the left or upper object counts first."""
    if scene.relation is None:
        return False
    relation = SPEC["relations"][scene.relation]
    first, second = scene.things if relation["first"] else scene.things[::-1]
    indices = [f(thing) for thing in (first, second) for f in
               (lambda t: SHAPES.index(t.shape), lambda t: COLOURS.index(t.colour), lambda t: SIZES.index(t.size))]  # fmt: skip
    indices.append(0 if relation["axis"] == "x" else 1)
    rule = SPEC["heldOut"]
    return sum(w * i for w, i in zip(rule["weights"], indices)) % rule["modulus"] == 0


def _thing(random: Random) -> dict:
    shape, colour, size = random.pick(SHAPES), random.pick(COLOURS), random.pick(SIZES)
    return {"shape": shape, "colour": colour, "size": size, "extent": random.between(*SPEC["sizes"][size])}


def draw_scene(random: Random) -> Scene:
    """Objects never touch; in a pair they differ in shape or colour, and one coordinate tells clearly how they stand."""
    rule = SPEC["geometry"]
    margin = rule["margin"]
    background = random.pick(BACKGROUNDS)
    two = random.next() < SPEC["two"]
    first = _thing(random)
    if not two:
        low, high = margin + first["extent"], 1 - margin - first["extent"]
        return Scene(background, None, (Thing(**first, x=random.between(low, high), y=random.between(low, high)),))
    second = _thing(random)
    while (second["shape"], second["colour"]) == (first["shape"], first["colour"]):
        second = _thing(random)
    name = random.pick(RELATIONS)
    relation = SPEC["relations"][name]
    low, high = (first, second) if relation["first"] else (second, first)
    room = 1 - 2 * margin - rule["gap"] - 2 * low["extent"] - 2 * high["extent"]
    before = room * random.next()
    between = (room - before) * random.next()
    along_low = margin + before + low["extent"]
    along_high = along_low + low["extent"] + rule["gap"] + between + high["extent"]
    across_low = random.between(margin + low["extent"], 1 - margin - low["extent"])
    drifted = across_low + random.between(-rule["drift"], rule["drift"])
    across_high = min(max(drifted, margin + high["extent"]), 1 - margin - high["extent"])
    along, across = ("x", "y") if relation["axis"] == "x" else ("y", "x")
    placed_low = Thing(**low, **{along: along_low, across: across_low})
    placed_high = Thing(**high, **{along: along_high, across: across_high})
    return Scene(background, name, (placed_low, placed_high) if relation["first"] else (placed_high, placed_low))


def draw_caption(scene: Scene, random: Random) -> tuple[str, dict]:
    """A caption, and which of the properties it leaves open: {"sizes": [bool, …], "background": bool} says what it names."""
    rule = SPEC["captions"]
    words = rule["words"]
    told, named = [], []
    for thing in scene.things:
        names_size = random.next() < rule["mention"]["size"]
        size = random.pick(words[thing.size]) + " " if names_size else ""
        named.append(names_size)
        told.append(f"{size}{thing.colour} {random.pick(words[thing.shape])}")
    if scene.relation is None:
        text = random.pick(rule["one"]).replace("{a}", told[0])
    else:
        text = random.pick(rule["two"]).replace("{a}", told[0]).replace("{b}", told[1])
        text = text.replace("{relation}", random.pick(words[scene.relation]))
    names_background = random.next() < rule["mention"]["background"]
    if names_background:
        text += random.pick(rule["background"]).replace("{background}", scene.background)
    return text, {"sizes": named, "background": names_background}


def _covers(shape: dict, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points lie in a shape of extent 1 around the origin; polygons by the even-odd rule."""
    if "radius" in shape:
        return x * x + y * y <= shape["radius"] * shape["radius"]
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    corners = shape["polygon"]
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1]):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + ((y - ay) * (bx - ax)) / (by - ay))
    return inside


def render(scene: Scene, side: int) -> np.ndarray:
    """uint8 [side, side, 3]. A pixel's share of an object is the share of its regular grid of samples."""
    n = SPEC["geometry"]["samplesPerPixelSide"]
    picture = np.broadcast_to(np.array(SPEC["backgrounds"][scene.background], np.float64), (side, side, 3)).copy()
    for thing in scene.things:
        left = max(0, math.floor((thing.x - thing.extent) * side))
        right = min(side, math.ceil((thing.x + thing.extent) * side))
        top = max(0, math.floor((thing.y - thing.extent) * side))
        bottom = min(side, math.ceil((thing.y + thing.extent) * side))
        xs = ((np.arange(left * n, right * n) + 0.5) / (side * n) - thing.x) / thing.extent
        ys = ((np.arange(top * n, bottom * n) + 0.5) / (side * n) - thing.y) / thing.extent
        inside = _covers(SPEC["shapes"][thing.shape], xs[None, :], ys[:, None])
        share = inside.reshape(bottom - top, n, right - left, n).sum((1, 3))[..., None] / (n * n)
        part = picture[top:bottom, left:right]
        part += (np.array(SPEC["colours"][thing.colour]) - part) * share
    return np.floor(picture + 0.5).astype(np.uint8)


def example(seed: int, index: int, held_out: bool | None = None) -> tuple[Scene, str, dict]:
    """Scene, caption and what the caption names, by number. `held_out` redraws until the scene is (not) one of those."""
    random = Random(seed, index)
    scene = draw_scene(random)
    while held_out is not None and is_held_out(scene) != held_out:
        scene = draw_scene(random)
    caption, named = draw_caption(scene, random)
    return scene, caption, named


def main() -> None:
    rows = []
    for index in range(48):
        scene, caption, named = example(1, index)
        side = 64 if index % 2 == 0 else 128
        digest = hashlib.sha256(render(scene, side).tobytes()).hexdigest()
        rows.append({"index": index, "side": side, "caption": caption, "named": named,
                     "heldOut": is_held_out(scene), "sha256": digest})  # fmt: skip
    target = paths.ROOT / "test" / "fixtures" / "shapes.json"
    target.write_text(json.dumps({"seed": 1, "scenes": rows}, indent=1) + "\n")
    print(f"{len(rows)} scenes in {target.name}")


if __name__ == "__main__":
    main()
