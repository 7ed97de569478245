"""Palettes: the colours that a legend's classes are drawn in, whatever the map's own are.

A palette gives each kind of ground a colour, and a class that of the first kind it holds. No two
classes hold the same kind, so what is true of all pairs of a palette's colours is true of every
legend.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from landcover_pnp.legend import Legend
from landcover_pnp.legends.result_legend import BUILDINGS, GROUND, IMPERVIOUS, ResultLegend

Palette = Literal["standard", "colour_blind"]
"""``standard``: the legend's own colours. ``colour_blind``: ``COLOUR_BLIND``."""

Colour = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""

COLOUR_BLIND: dict[str, Colour] = {
    "water": (0, 98, 200),
    IMPERVIOUS: (178, 178, 178),
    "soil and barren": (192, 124, 30),
    "trees and forest": (0, 76, 26),
    "grass and herbaceous": (240, 222, 40),
    BUILDINGS: (48, 0, 42),
}
"""Colours by kind of ground, of the hues that Okabe and Ito (2008) recommend, and of lightnesses
in steps of 14 CIELAB units, so that they differ in grey print too. As people without red, green or
blue cones see them (Machado et al. 2009), each pair differs by a CIEDE2000 of 18 or more."""


def coloured(legend: ResultLegend, palette: Palette) -> ResultLegend:
    """A legend in the colours of a palette; codes, names and what classes hold stay."""
    if palette == "standard":
        return legend
    classes = [
        replace(c, colour=list(COLOUR_BLIND[next(kind for kind in GROUND if kind in c.of)]))
        for c in legend.classes
    ]
    return replace(legend, classes=classes)


def recoloured(legend: Legend, palette: Palette, kinds: dict[int, str]) -> Legend:
    """The same of a legend that is none of the map's own.

    Args:
        legend: The legend.
        palette: The palette.
        kinds: Kind of ground, by code, whose colour each class takes.
    """
    if palette == "standard":
        return legend
    classes = tuple(replace(c, colour=COLOUR_BLIND[kinds[c.code]]) for c in legend.classes)
    return replace(legend, classes=classes)
