"""Self-contained HTML pages in one house style: light, readable, printable, without a network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Html(str):
    """Text that is HTML already; everything else is escaped where it enters a page."""

    __slots__ = ()


def escaped(value: object) -> Html:
    """A value as HTML: ``Html`` as it is, anything else as text with ``& < > " '`` escaped."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def page(title: str, body: str) -> str:
    """A whole HTML document that needs no other file and no network.

    Its content security policy allows inline styles, inline scripts and ``data:`` pictures, and
    nothing from anywhere else: a page that would call home does not work, so it is noticed.

    Args:
        title: Title of the document; text.
        body: Inner HTML of ``<main>``, its parts escaped by ``escaped``, ``table``, ``picture``.

    Returns:
        The document, UTF-8 when it is written.
    """
    return _DOCUMENT.format(title=escaped(title), style=_STYLE, body=body)


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table; columns whose cells are all numbers (``12``, ``3.4 %``, ``-``) stand right.

    Args:
        head: Texts of the head row, one a column.
        rows: Cells of each row, one a column; ``Html`` or text.

    Returns:
        ``<table>``.
    """
    cells = [[escaped(cell) for cell in row] for row in rows]
    numeric = [
        bool(cells) and all(_is_number(row[column]) for row in cells) for column in range(len(head))
    ]

    def line(tag: str, row: Iterable[Html]) -> str:
        marked = zip(row, numeric, strict=True)
        return "".join(f"<{tag}{' class=number' * right}>{c}</{tag}>" for c, right in marked)

    body = "".join(f"<tr>{line('td', row)}</tr>\n" for row in cells)
    top = line("th", map(escaped, head))
    return Html(f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n")


def picture(source: NDArray[np.uint8] | Path, text: str) -> Html:
    """An ``<img>`` that carries its pixels.

    Args:
        source: See ``data_uri``.
        text: What is to be seen, for those who cannot see it.
    """
    return Html(f'<img src="{data_uri(source)}" alt="{escaped(text)}">')


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


def swatch(colour: Sequence[int]) -> Html:
    """A small square of a colour (red, green, blue, 0 to 255), also when printed."""
    return Html(f'<span class="swatch" style="background: {hex_colour(colour)}"></span>')


def hex_colour(colour: Sequence[int]) -> str:
    """``#rrggbb`` of red, green, blue, each 0 to 255."""
    return "#{:02x}{:02x}{:02x}".format(*colour[:3])


def _is_number(text: Any) -> bool:
    digits = str(text).strip(" %+-").replace(",", "").replace(".", "", 1)
    return digits.isdigit() or not digits


_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """\
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #222; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ddd; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: #07509e; }
img { max-width: 100%; height: auto; image-rendering: pixelated; }
figure { margin: 1rem 0; }
.map img { width: 40rem; }
figcaption, .quiet { color: #666; font-size: .9rem; }
code, pre { font: .85em/1.4 ui-monospace, monospace; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .93rem; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; font-weight: 600; }
td { border-bottom: 1px solid #e5e5e5; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.wide { position: relative; left: 50%; transform: translateX(-50%); width: max-content;
  max-width: 97vw; overflow-x: auto; font-size: .85rem; }
.wide td { white-space: nowrap; }
.warning { background: #fff4d6; border-left: 4px solid #d90; padding: .5rem .8rem; }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .5em;
  vertical-align: -.12em; border: 1px solid #888; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
@media print {
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  table, figure { break-inside: avoid; }
}
"""
