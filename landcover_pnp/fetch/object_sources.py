"""Where roads, buildings and water are from: an OpenStreetMap extract, or Overture Maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config.addresses import WEB, address_of, is_address
from landcover_pnp.errors import SettingsError
from landcover_pnp.fetch.area import Area
from landcover_pnp.fetch.coarse import around
from landcover_pnp.fetch.memory import Memory
from landcover_pnp.fetch.objects import Objects
from landcover_pnp.fetch.osm import ATTRIBUTION, read_osm
from landcover_pnp.fetch.reader import size_of
from landcover_pnp.fetch.settings import ObjectSource

EXTRACT = "extract"
"""Beginning of the name under which an extract at an address is kept."""


@dataclass(frozen=True)
class ObjectsPlan:
    """What is fetched of roads, buildings and water.

    Attributes:
        version: Which files, in which version: another one for others.
        bytes: Estimate of the bytes that are read.
        note: What is fetched, in a sentence.
        attribution: Makers and licence.
        extract: Address of an extract that is downloaded whole; None for none.
        read: Reads the objects, given the extract's file.
    """

    version: dict[str, str]
    bytes: int
    note: str
    attribution: str
    extract: str | None
    read: Callable[[Path | None], Objects]


def plan_objects(source: ObjectSource, area: Area, memory: Memory) -> ObjectsPlan | None:
    """Looks at the source of the objects.

    Args:
        source: The source.
        area: The area.
        memory: Knows the versions of files.

    Returns:
        The plan; None without a source.

    Raises:
        RequestError: If it cannot be used.
        RunError: If a server does not answer.
    """
    if source.osm is not None:
        return _of_extract(source.osm, area, memory)
    if source.overture is not None:
        from landcover_pnp.fetch.overture import plan_overture

        return plan_overture(source, area, memory)
    return None


def _of_extract(path: Path, area: Area, memory: Memory) -> ObjectsPlan:
    bounds = around(area).bounds

    def read(fetched: Path | None) -> Objects:
        return read_osm(path if fetched is None else fetched, bounds)

    attribution = ATTRIBUTION.format("roads, buildings, water")
    address = address_of(path) if is_address(path) else None
    if address is None:
        note = f"roads, buildings and water from {path.name}"
        return ObjectsPlan({"osm": memory.version(path)}, 0, note, attribution, None, read)
    if address.partition(":")[0] not in WEB:
        raise SettingsError(
            found=f"objects.osm is {path}",
            expected="an extract on disk, or at an address with https: it is read as a whole",
            fix="copy it first, for example with the client of the store",
        )
    size = size_of(path)
    note = f"roads, buildings and water from {path.name}, downloaded whole ({_mb(size)})"
    version = {"osm": memory.version(path)}
    return ObjectsPlan(version, size, note, attribution, address, read)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
