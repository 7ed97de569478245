"""The area of a name, by a search service such as Nominatim."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import shapely
from shapely.errors import GEOSException

from landcover_pnp.config.addresses import hidden
from landcover_pnp.errors import NetworkError, SettingsError
from landcover_pnp.fetch.area import Area, narrow
from landcover_pnp.fetch.reader import text_at

MOST_HITS = 10
"""Places of a name that are asked for."""


@dataclass(frozen=True)
class Hit:
    """A place that a service knows by a name.

    Attributes:
        name: Its full name.
        shape: Its outline, or the box around it, in degrees.
        outlined: Whether it is an outline.
    """

    name: str
    shape: shapely.Geometry
    outlined: bool


def named_area(name: str, service: str, hit: int | None = None) -> Area:
    """The area of a name.

    Args:
        name: Such as ``Durham, North Carolina``.
        service: Address of the search service.
        hit: Which of several places of that name is meant, from 1; None where there is one.

    Returns:
        The area.

    Raises:
        SettingsError: If there is none of that name, or several.
        NetworkError: If the service cannot be asked.
    """
    hits = _hits(name, service)
    if not hits:
        raise SettingsError(
            found=f"no place {name!r} is known to {hidden(service)}",
            expected="the name of a place",
            fix="write it otherwise, such as 'Durham, North Carolina, USA', or give --bbox",
        )
    if hit is not None and not 1 <= hit <= len(hits):
        raise SettingsError(
            found=f"hit is {hit}, and there are {len(hits)} places {name!r}",
            expected=f"1 to {len(hits)}",
            fix=_listed(hits),
        )
    if hit is None and len(hits) > 1:
        raise SettingsError(
            found=f"{len(hits)} places {name!r}: {_listed(hits)}",
            expected="one",
            fix="write more of its name, or say by --hit which of them is meant",
        )
    found = hits[0 if hit is None else hit - 1]
    return Area(found.name, narrow(found.shape, found.name), box=not found.outlined)


def _hits(name: str, service: str) -> list[Hit]:
    """Places of a name; of several those with an outline alone, each ground once."""
    query = urlencode(
        {"q": name, "format": "jsonv2", "polygon_geojson": 1, "limit": MOST_HITS, "dedupe": 1}
    )
    text = text_at(f"{service}{'&' if '?' in service else '?'}{query}")
    try:
        content = json.loads(text)
        hits = [_hit(entry) for entry in content]
    except (ValueError, KeyError, TypeError, AttributeError, GEOSException) as error:
        raise NetworkError(
            found=f"{hidden(service)} answers what is no list of places: {error}",
            expected="a service such as Nominatim, with the format jsonv2",
            fix="correct geocoder, or give --bbox",
        ) from error
    chosen = [hit for hit in hits if hit.outlined] or hits
    once: list[Hit] = []
    for hit in chosen:
        if not any(hit.shape.equals(other.shape) for other in once):
            once.append(hit)
    return once


def _hit(entry: dict[str, Any]) -> Hit:
    south, north, west, east = map(float, entry["boundingbox"])
    shape, outlined = shapely.box(west, south, east, north), False
    drawn = entry.get("geojson") or {}
    if drawn.get("type") in ("Polygon", "MultiPolygon"):
        shape, outlined = shapely.make_valid(shapely.geometry.shape(drawn)), True
    if not shape.area > 0:
        raise ValueError(f"{entry.get('display_name')} has no surface")
    return Hit(" ".join(str(entry["display_name"]).split()), shape, outlined)


def _listed(hits: list[Hit]) -> str:
    return "; ".join(f"{number} {hit.name}" for number, hit in enumerate(hits, start=1))
