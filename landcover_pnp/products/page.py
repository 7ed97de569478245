"""Self-contained HTML pages in one house style: light, readable, printable, without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

OWN = "landcover_pnp.products"
"""Package of the templates that all pages share."""


def render(template: str, package: str = OWN, **content: object) -> str:
    """A whole HTML document that needs no other file and no network.

    Its content security policy (``page.html``) allows inline styles, inline scripts and ``data:``
    pictures, and nothing from anywhere else.

    Args:
        template: Name of a template that extends ``page.html`` and may use ``macros.html``.
        package: Package whose folder ``templates`` holds it.
        **content: What the template names; texts are escaped wherever they enter the page.

    Returns:
        The document, UTF-8 when it is written.
    """
    return environment(package).get_template(template).render(content)


@cache
def environment(package: str) -> Environment:
    """Where the templates of a package are found and how they are filled."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(OWN)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {}  # the order of a mapping is kept
    environment.globals["leaflet"] = leaflet
    environment.filters.update(data_uri=data_uri, hex_colour=hex_colour, numeric=numeric_columns)
    return environment


@cache
def leaflet(name: str) -> Markup:
    """A file of Leaflet, the viewer's library, without the names of files beside it.

    Args:
        name: ``leaflet.js``, ``leaflet.css`` or ``LICENSE``, which goes into every page with them.
    """
    text = (Path(__file__).parent / "leaflet" / name).read_text(encoding="utf-8")
    beside = "url(" if name.endswith(".css") else "sourceMappingURL"
    lines = [line for line in text.splitlines() if beside not in line]
    return Markup("\n".join(lines))  # noqa: S704 a file of this package


def data_uri(source: NDArray[np.uint8] | Path) -> str:
    """A picture as a ``data:`` address.

    Args:
        source: (y, x) grey, (y, x, 3) RGB or (y, x, 4) RGBA uint8, or a PNG file.

    Returns:
        ``data:image/png;base64,...``; the same pixels give the same text.
    """
    if isinstance(source, Path):
        png = source.read_bytes()
    else:
        buffer = io.BytesIO()
        Image.fromarray(source).save(buffer, "png", optimize=True)
        png = buffer.getvalue()
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def hex_colour(colour: Sequence[int]) -> str:
    """``#rrggbb`` of red, green, blue, each 0 to 255."""
    return "#{:02x}{:02x}{:02x}".format(*colour[:3])


def numeric_columns(rows: Sequence[Sequence[object]], count: int) -> list[bool]:
    """Which columns of a table hold numbers alone (``12``, ``3.4 %``, ``-``); none of no rows."""
    return [bool(rows) and all(_is_number(str(row[i])) for row in rows) for i in range(count)]


def _is_number(text: str) -> bool:
    digits = text.strip(" %+-").replace(",", "").replace(".", "", 1)
    return digits.isdigit() or not digits
