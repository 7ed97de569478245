"""Items of a STAC catalogue that touch an area: an API is searched, a static one is walked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

import pystac
import shapely
from pystac.errors import STACError, STACTypeError
from pystac.stac_io import DefaultStacIO
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from rasterio.crs import CRS
from rasterio.errors import CRSError

from landcover_pnp.errors import AddressError, GridError, RunError, SettingsError, nearest
from landcover_pnp.fetch.area import Area
from landcover_pnp.storage.bands import BandName, described
from landcover_pnp.storage.georeference import listed

MOST_ITEMS = 20_000
"""Items that are looked at; a catalogue with more of one small area is none of imagery."""


class Reader(Protocol):
    """What a catalogue is read by."""

    def text(self, address: str) -> str:
        """The text at an address that the catalogue names."""


@dataclass(frozen=True)
class Found:
    """An item of a catalogue.

    Attributes:
        name: Its identifier, as the catalogue writes it.
        date: When it was recorded.
        footprint: Where it has data, in degrees.
        address: Address of its file.
        crs: Its CRS such as EPSG:26917; empty where the item does not say it.
        size: Size of the file in bytes; None where the item does not say it.
        bands: What its bands are; None where the item does not say it.
    """

    name: str
    date: datetime
    footprint: shapely.Geometry
    address: str
    crs: str
    size: int | None
    bands: tuple[BandName, ...] | None = None

    @property
    def year(self) -> int:
        """Year of its date."""
        return self.date.year


@dataclass(frozen=True)
class Listing:
    """What a catalogue has of an area.

    Attributes:
        items: The items, in no order.
        attribution: Licence and makers, as the collection names them.
    """

    items: tuple[Found, ...]
    attribution: str


def items_of(
    catalogue: str,
    collection: str | None,
    assets: Sequence[str],
    area: Area,
    reader: Reader,
    what: str,
) -> Listing:
    """Items that touch an area.

    Args:
        catalogue: Address of a STAC API, or address or file of a static catalogue.
        collection: Its collection; None takes all items of a static catalogue.
        assets: Keys of the asset that is wanted, the first that an item has.
        area: The area.
        reader: Reads the catalogue.
        what: What is looked for, named in messages.

    Returns:
        At least one item.

    Raises:
        RunError: If the catalogue cannot be read, or is none.
        SettingsError: If it has no such collection or asset.
        GridError: If it has no item of the area.
    """
    with _readable(catalogue):
        root = _object(reader.text(catalogue), catalogue)
        if root.get("conformsTo"):
            found, holder = _searched(catalogue, collection, area, _Requests(reader))
        else:
            found, holder = _walked(root, catalogue, collection, area, _Files(reader))
        items, seen = [], set[str]()
        for item in found:
            if len(seen) == MOST_ITEMS:
                raise ValueError(f"it has more than {MOST_ITEMS} items of this area")
            if item.id not in seen:
                seen.add(item.id)
                items.append(_found(item, assets))
    touching = [item for item in items if item.footprint.intersects(area.shape)]
    if not touching:
        raise GridError(
            found=f"{catalogue} has no {what}"
            + (f" ({collection})" if collection else "")
            + f" of {area.name}, {listed(area.bounds)} in degrees",
            expected="an area that the catalogue covers",
            fix="check that longitude comes first, or name another catalogue or collection",
        )
    return Listing(tuple(touching), _attribution(holder, what))


class _Files(DefaultStacIO):
    """pystac's reading of a static catalogue by a reader of ours."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    def read_text_from_href(self, href: str, *_: Any, **__: Any) -> str:
        """The text at an address."""
        return self._reader.text(str(href))


class _Requests(StacApiIO):
    """The requests of a client of an API by a reader of ours."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(max_retries=None)
        self._reader = reader

    def request(
        self,
        href: str,
        method: str | None = "GET",
        headers: dict[str, str] | None = None,  # noqa: ARG002
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The answer to a request, always one that reads."""
        if method not in (None, "GET"):
            raise ValueError(f"it wants to be asked by {method}")
        query = urlencode(parameters or {}, doseq=True)
        return self._reader.text(href + (("&" if "?" in href else "?") + query if query else ""))


def _searched(
    catalogue: str, collection: str | None, area: Area, io: _Requests
) -> tuple[Iterator[pystac.Item], pystac.Collection | None]:
    client = Client.open(catalogue, stac_io=io)
    if collection is None:
        raise _no_collection(catalogue, collection, [c.id for c in client.get_collections()])
    try:
        holder = client.get_collection(collection)
    except AddressError as error:
        known = [c.id for c in client.get_collections()]
        if collection in known:
            raise
        raise _no_collection(catalogue, collection, known) from error
    wanted: dict[str, Any] = {"collections": [collection], "bbox": list(area.bounds)}
    search = client.search(method="GET", limit=200, max_items=None, **wanted)
    return search.items(), holder


def _walked(
    root: dict[str, Any], catalogue: str, collection: str | None, area: Area, io: _Files
) -> tuple[Iterator[pystac.Item], pystac.Collection | None]:
    kind = pystac.Collection if root.get("type") == "Collection" else pystac.Catalog
    top = kind.from_dict(root, href=catalogue, preserve_dict=False)
    top._stac_io = io
    holder: pystac.Catalog | None = top
    if collection is not None and top.id != collection:
        holder = next((c for c in _below(top, area) if c.id == collection), None)
    if holder is None:
        known = [child.id for child in _below(top, area) if isinstance(child, pystac.Collection)]
        raise _no_collection(catalogue, collection, known)

    def items() -> Iterator[pystac.Item]:
        for part in (holder, *_below(holder, area)):
            yield from part.get_items()

    return items(), holder if isinstance(holder, pystac.Collection) else None


def _below(catalogue: pystac.Catalog, area: Area) -> Iterator[pystac.Catalog]:
    """Catalogues below one, but for collections that lie elsewhere."""
    for child in catalogue.get_children():
        if not isinstance(child, pystac.Collection) or _touches(child, area):
            yield child
            yield from _below(child, area)


def _touches(collection: pystac.Collection, area: Area) -> bool:
    boxes = [box for box in collection.extent.spatial.bboxes if len(box) in (4, 6)]
    wanted = shapely.box(*area.bounds)
    flat = [(box[0], box[1], box[len(box) // 2], box[len(box) // 2 + 1]) for box in boxes]
    return not flat or any(shapely.box(*box).intersects(wanted) for box in flat)


def _found(item: pystac.Item, assets: Sequence[str]) -> Found:
    key = next((key for key in assets if key in item.assets), None)
    if key is None:
        raise SettingsError(
            found=f"the item {item.id!r} has the assets {', '.join(item.assets) or 'none'}",
            expected="the asset " + " or ".join(assets),
            fix="name the asset that holds the data, such as --images.asset image",
        )
    asset = item.assets[key]
    date = item.datetime or item.common_metadata.start_datetime
    if date is None:
        raise ValueError(f"the item {item.id!r} has no date")
    if item.geometry is not None:
        footprint = shapely.geometry.shape(item.geometry)
    else:
        box = list(item.bbox or ())
        footprint = shapely.box(box[0], box[1], box[len(box) // 2], box[len(box) // 2 + 1])
    said = {**item.properties, **asset.extra_fields}
    code = said.get("proj:code") or said.get("proj:epsg")
    size = said.get("file:size")
    return Found(
        item.id,
        date,
        shapely.make_valid(footprint),
        str(asset.get_absolute_href() or asset.href),
        _system(code),
        int(size) if isinstance(size, int) and size > 0 else None,
        _bands(asset.extra_fields),
    )


def _bands(asset: dict[str, Any]) -> tuple[BandName, ...] | None:
    """What the bands of an asset are, by the names that an item gives them."""
    told = asset.get("bands") or asset.get("eo:bands") or ()
    names = [
        described(str(band.get("eo:common_name") or band.get("common_name") or band.get("name")))
        for band in told
    ]
    known = [name for name in names if name is not None]
    return tuple(known) if names and len(known) == len(names) else None


def _system(code: Any) -> str:
    """A CRS by the code of an item; empty where there is none, or one that nobody knows."""
    if code is None:
        return ""
    try:
        return str(CRS.from_user_input(f"EPSG:{code}" if isinstance(code, int) else code))
    except CRSError:
        return ""


def _attribution(collection: pystac.Collection | None, what: str) -> str:
    """Licence and makers of a collection, in one line."""
    if collection is None:
        return f"{what}: licence not stated"
    makers = [
        provider.name
        for provider in collection.providers or ()
        if set(provider.roles or ()) & {"producer", "licensor"}
    ]
    makers = makers or [provider.name for provider in collection.providers or ()]
    said = ", ".join([collection.title or collection.id, *dict.fromkeys(makers)])
    return " ".join(f"{what}: {said}, licence {collection.license}".split())


@contextmanager
def _readable(catalogue: str) -> Iterator[None]:
    """What reading an odd catalogue ends in becomes an error of ours."""
    try:
        yield
    except (
        APIError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        STACError,
        STACTypeError,
        TypeError,
        ValueError,
        shapely.GEOSException,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(
            found=f"{catalogue} cannot be read as a STAC catalogue: {reason}",
            expected="a STAC API, or a static catalogue or collection",
            fix="correct the address; if it is right, the service may be out of order",
        ) from error


def _object(text: str, catalogue: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"{catalogue} is no JSON object")
    return content


def _no_collection(catalogue: str, name: str | None, known: Sequence[str]) -> SettingsError:
    return SettingsError(
        found=f"{catalogue} has no collection {name!r}" if name else "no collection",
        expected="one of " + (", ".join(known) or "none: it has no collections of this area"),
        fix=nearest(name or "", known),
    )
