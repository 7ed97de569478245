"""Names of the columns in which a table has the areas of classes."""

from __future__ import annotations

from landcover_pnp.legends.result_legend import ResultLegend

SHARES = {"tree_canopy": "trees and forest", "impervious": "impervious"}
"""Shares that are given with their uncertainty, and the class each stands for."""

_FIXED = ("mapped_ha", "no_data_pct", "confidence_pct")
"""Columns of no class."""


def share_columns(share: str) -> tuple[str, str, str]:
    """Columns of a share: its low end, the share itself, its high end."""
    return f"{share}_low_pct", f"{share}_pct", f"{share}_high_pct"


def class_columns(legend: ResultLegend) -> tuple[str, ...]:
    """Beginnings of the columns of each class, such as ``water`` of ``water_ha``, ``water_pct``.

    The first word of its name, or all of it where that is not enough; with underscores behind it
    where a column is taken. Columns of a GeoPackage differ by more than case.
    """
    names = ["_".join(c.name.split()) for c in legend.ordered]
    words = [c.name.split()[0] for c in legend.ordered]
    first = [word.casefold() for word in words]
    places = {share: legend.holding(name) for share, name in SHARES.items()}
    taken = {*_FIXED, *(c for share in places if places[share] for c in share_columns(share))}
    columns = []
    for place, (word, name) in enumerate(zip(words, names, strict=True)):
        key = word if first.count(first[place]) == 1 else name
        # Its share is a column of the class itself, where it is all of it.
        own = {f"{share}_pct" for share, held in places.items() if held == (place,)}
        while {f"{key}_ha".casefold(), f"{key}_pct".casefold()} & (taken - own):
            key += "_"
        taken |= {f"{key}_ha".casefold(), f"{key}_pct".casefold()}
        columns.append(key)
    return tuple(columns)
