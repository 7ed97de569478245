"""The report of a transfer run: one HTML file to look at, and its table as Markdown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling

from landcover_pnp.geotiff import write_text
from landcover_pnp.grid import Box
from landcover_pnp.intervals import Interval
from landcover_pnp.legend import LEGENDS, WORKING, to_working
from landcover_pnp.publish.page import Html, escaped, hex_colour, page, picture, swatch, table
from landcover_pnp.publish.pictures import class_picture, error_labels
from landcover_pnp.raster import image_bands, on_grid, open_image, open_raster, read
from landcover_pnp.settings import RasterFiles, TransferSettings
from landcover_pnp.transfer_methods import TITLES
from landcover_pnp.transfer_scores import City, MethodMap, Results, Row

PANEL_PX = 280
"""Longest side of a map's picture; larger maps are thinned out."""

DOUBTFUL_DISAGREEMENT = 0.25
"""Share of pixels on which two protocols differ above which the report warns."""

_ABLATION = (
    ("everything", "student"),
    ("without greenness", "student_no_greenness"),
    ("without clusters", "student_no_clusters"),
    ("without weak labels: source labels instead", "source_forest"),
    ("without student", "map"),
    ("without student and prior", "evidence"),
    ("weak labels alone", "weak_labels"),
)
_ERRORS = np.array([(255, 255, 255, 0), (226, 226, 226, 255), (200, 30, 30, 255)], np.uint8)


def write_report(run: Path, results: Results, settings: TransferSettings) -> tuple[Path, Path]:
    """Writes ``table.md`` and ``report.html``.

    Args:
        run: Folder of the transfer run.
        results: Its scores.
        settings: Its settings, for the conditions.

    Returns:
        The two files.
    """
    markdown, path = run / "table.md", run / "report.html"
    lines = ["\n\n".join(_markdown(city, results) for city in results.cities)]
    write_text(markdown, "\n".join([*lines, "", *_conditions(settings, results), ""]))
    parts = [
        Html("<h1>Domain transfer</h1>"),
        *(Html(f'<p class="quiet">{escaped(line)}</p>') for line in _conditions(settings, results)),
        *map(_warning, warnings_of(results)),
        _key(),
    ]
    for number, city in enumerate(results.cities):
        parts += _city(city, results, is_source=number == 0)
    write_text(path, page("Domain transfer", "\n".join(parts)))
    return markdown, path


def warnings_of(results: Results) -> list[str]:
    """What speaks against the maps without any truth: protocols that disagree."""
    found = []
    for (city, method), pairs in results.disagreement.items():
        for (a, b), share in pairs.items():
            if method in ("evidence", "student") and share > DOUBTFUL_DISAGREEMENT:
                found.append(
                    f"{city}, {TITLES[method]}: the protocols {a} and {b} disagree on {share:.0%} "  # type: ignore[index]
                    "of the pixels, so at least one p(class | NLCD) is wrong here. Look at both."
                )
    return found


def _conditions(settings: TransferSettings, results: Results) -> list[str]:
    source, *targets = (city.name for city in results.cities)
    return [
        f"Labels of {source} only; targets {', '.join(targets)}. Scores at the truth's own "
        f"resolution, protocol {settings.scores}; classes that the truth does not have are "
        "absent from the means. Intervals: 95 %, bootstrap over cells of 30 m; they know nothing "
        "of errors that reach further than a cell. Calibration error before and after a "
        f"temperature fitted on {source}. Cost: processor time of the method on top of the map "
        f"run. Engine of the map: {settings.inference.engine}; seeds "
        f"{', '.join(map(str, settings.seeds))}.",
        "Protocols, where p(class | NLCD) comes from: source, the source city's labels; "
        "definitions, the NLCD legend's texts; target, the city's own truth (a leak, as "
        "published); repaired, re-estimated from the city's own colours, no labels; any: not used.",
    ]


def _warning(text: str) -> Html:
    return Html(f'<p class="warning">{escaped(text)}</p>')


def _key() -> Html:
    classes = " ".join(f"{swatch(c.colour)}{escaped(c.name)} &nbsp;" for c in WORKING.classes)
    return Html(f"<p>{classes} {swatch((200, 30, 30))}wrong</p>")


def _rows(city: City, results: Results) -> list[Row]:
    return [row for row in results.rows if row.made.city == city.name]


def _city(city: City, results: Results, *, is_source: bool) -> list[Html]:
    rows = _rows(city, results)
    note = " (source: its labels were used)" if is_source else ""
    parts = [Html(f"<h2>{escaped(city.name + note)}</h2>")]
    scored = [row for row in rows if row.examination is not None]
    parts.append(_maps(city, [row.made for row in rows]))
    if scored:
        parts.append(_figure(_bars(scored), "accuracy and mean IoU with 95 % intervals"))
        scores = table(_HEAD, [_cells(row) for row in scored])
        parts.append(Html(f'<div class="wide">{scores}</div>'))
        parts += _ablation(scored)
    else:
        parts.append(Html("<p>No truth here: maps only.</p>"))
    best = [row for row in scored if row.made.method in ("evidence", "student")]
    if best:
        parts.append(_figure(_details(best), "IoU by class, confusion and reliability"))
    return parts


_HEAD = (
    "protocol",
    "method",
    "accuracy",
    "mean IoU",
    "gain on evidence",
    "gain on weak labels",
    "mean F1",
    "ECE",
    "ECE tempered",
    "cost",
    "memory",
)


def _cells(row: Row) -> list[str]:
    made, examination = row.made, row.examination
    if examination is None:
        raise ValueError(f"{made.city} was not scored")
    gains = [
        " / ".join(_gain(row.gains[other][name]) for name in ("accuracy", "mean_iou"))
        if other in row.gains
        else "-"
        for other in ("evidence", "weak_labels")
    ]
    return [
        made.protocol,
        _title(made),
        _with_range(row.measures["accuracy"]),
        _with_range(row.measures["mean_iou"]),
        *gains,
        f"{np.nanmean(examination.scores.f1):.3f}",
        f"{examination.reliability.error:.3f}",
        f"{examination.tempered.error:.3f}",
        f"{made.seconds:.1f} s",
        f"{made.memory_mb:.0f} MB",
    ]


def _title(made: MethodMap) -> str:
    return TITLES[made.method] + (f", seed {made.seed}" if made.seed else "")


def _with_range(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _gain(interval: Interval) -> str:
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _markdown(city: City, results: Results) -> str:
    scored = [row for row in _rows(city, results) if row.examination is not None]
    if not scored:
        return f"## {city.name}\n\nNo truth: maps only."
    lines = [f"## {city.name}", "", " | ".join(["| " + _HEAD[0], *_HEAD[1:]]) + " |"]
    lines.append("|---|---|" + "---:|" * (len(_HEAD) - 2))
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in scored]
    over = [
        f"Over seeds, {method}, {protocol}: "
        + ", ".join(f"{name} {_with_range(i)}" for name, i in values.items())
        for (name_, protocol, method), values in results.over_seeds.items()
        if name_ == city.name
    ]
    return "\n".join([*lines, *([""] if over else []), *over])


def _ablation(scored: Sequence[Row]) -> list[Html]:
    """What is lost without each part, under the protocols that have all parts."""
    methods = {row.made.method for row in scored}
    if not methods & {"student_no_greenness", "student_no_clusters"}:
        return []
    protocols = dict.fromkeys(row.made.protocol for row in scored if row.made.method == "student")
    lines = []
    for title, method in _ABLATION:
        cells = []
        for protocol in protocols:
            row = next(
                (
                    r
                    for r in scored
                    if r.made.method == method and r.made.protocol in (protocol, "any")
                ),
                None,
            )
            pair = [row.measures[n].value for n in ("accuracy", "mean_iou")] if row else []
            cells.append(" / ".join(f"{v:.3f}" for v in pair) or "-")
        lines.append([title, *cells])
    return [Html("<h3>Ablation: accuracy / mean IoU</h3>"), table(["", *protocols], lines)]


def _maps(city: City, made: Sequence[MethodMap]) -> Html:
    """Image and truth, then a row of maps for each protocol, each with its errors below."""
    tile, files = next(iter(city.tiles.items()))
    geobox = _display_grid([m.maps[tile] for m in made])
    truth = _truth(files, geobox)
    panels = [("image", _image(files, geobox))]
    if truth is not None:
        panels.append(("truth", class_picture(truth, WORKING)))
    parts = [_panels(panels)]
    for protocol in dict.fromkeys(m.protocol for m in made):
        panels = []
        for m in made:
            if m.protocol == protocol:
                labels = _labels(m.maps[tile], geobox)
                stacked = [class_picture(labels, WORKING)]
                if truth is not None:
                    stacked.append(_ERRORS[error_labels(labels, truth)])
                panels.append((_title(m), np.concatenate(stacked)))
        parts += [Html(f"<h3>protocol {escaped(protocol)}</h3>"), _panels(panels)]
    return Html("".join(parts))


def _display_grid(maps: Sequence[Path]) -> GeoBox:
    grids = []
    for path in maps:
        with open_raster(path, "map") as source:
            grids.append(GeoBox.from_rio(source))
    finest = max(grids, key=lambda grid: grid.shape[0])
    return finest.zoom_out(max(1.0, max(finest.shape) / PANEL_PX))


def _whole(geobox: GeoBox) -> Box:
    return Box(0, geobox.shape[0], 0, geobox.shape[1])


def _labels(path: Path, geobox: GeoBox) -> NDArray[np.uint8]:
    with (
        open_raster(path, "map") as source,
        on_grid(source, geobox, Resampling.nearest) as view,
    ):
        return np.asarray(read(view, 1, _whole(geobox)))


def _truth(files: RasterFiles, geobox: GeoBox) -> NDArray[np.uint8] | None:
    if files.truth is None:
        return None
    return to_working(_labels(files.truth.path, geobox), LEGENDS[files.truth.legend], "truth")


def _image(files: RasterFiles, geobox: GeoBox) -> NDArray[np.uint8]:
    with open_image(files.image) as source:
        bands = image_bands(source)[:3]
        with on_grid(source, geobox, Resampling.average) as view:
            values = read(view, bands, _whole(geobox)).astype(np.float64)
    top = 255.0 if source.dtypes[0] == "uint8" else max(float(np.quantile(values, 0.995)), 1.0)
    return np.asarray(np.moveaxis(np.clip(255 * values / top, 0, 255), 0, -1), np.uint8)


def _panels(panels: Sequence[tuple[str, NDArray[np.uint8]]]) -> Html:
    figures = "".join(
        f'<figure style="display:inline-block;width:15rem;margin:.3rem">{picture(pixels, title)}'
        f"<figcaption>{escaped(title)}</figcaption></figure>"
        for title, pixels in panels
    )
    return Html(f"<div>{figures}</div>")


def _figure(figure: Figure, text: str) -> Html:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Html(f"<figure>{picture(np.asarray(Image.open(buffer).convert('RGB')), text)}</figure>")


def _bars(scored: Sequence[Row]) -> Figure:
    figure = Figure(figsize=(9.5, 0.8 + 0.24 * len(scored)), layout="constrained", dpi=90)
    protocols = list(dict.fromkeys(row.made.protocol for row in scored))
    panels = figure.subplots(1, 2, sharey=True)
    for axis, (name, title) in zip(
        panels, (("accuracy", "accuracy"), ("mean_iou", "mean IoU")), strict=True
    ):
        for position, row in enumerate(scored):
            interval = row.measures[name]
            colour = f"C{protocols.index(row.made.protocol)}"
            axis.barh(position, interval.value, color=colour, alpha=0.55)
            axis.plot([interval.low, interval.high], [position] * 2, color="0.2", linewidth=1.6)
        axis.set_title(title)
        axis.invert_yaxis() if axis is panels[0] else None
        axis.grid(axis="x", alpha=0.3)
    labels = [f"{_title(row.made)} ({row.made.protocol})" for row in scored]
    panels[0].set_yticks(range(len(scored)), labels, fontsize=8)
    return figure


def _details(rows: Sequence[Row]) -> Figure:
    """IoU by class with intervals, confusion and reliability: a line of panels a row."""
    figure = Figure(figsize=(9.5, 2.7 * len(rows)), layout="constrained", dpi=90)
    axes: Any = figure.subplots(len(rows), 3, squeeze=False)
    for (left, middle, right), row in zip(axes, rows, strict=True):
        examination = row.examination
        if examination is None:
            continue
        for c in WORKING.classes:
            interval = row.measures[f"iou_{c.code}"]
            left.bar(c.code, np.nan_to_num(interval.value), color=hex_colour(c.colour))
            left.plot([c.code] * 2, [interval.low, interval.high], color="0.2")
        left.set_xticks(WORKING.codes, [name.split()[0] for name in WORKING.names], fontsize=7)
        left.set_ylim(0, 1)
        left.set_title(f"{_title(row.made)}, {row.made.protocol}: IoU", fontsize=9)
        counts = examination.scores.confusion[1:, 1:].astype(np.float64)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        middle.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for y, x in np.ndindex(share.shape):
            colour = "white" if share[y, x] > 0.6 else "0.2"
            middle.text(
                x, y, f"{share[y, x]:.2f}", ha="center", va="center", fontsize=6, color=colour
            )
        short = [name.split()[0] for name in WORKING.names]
        middle.set_xticks(range(5), short, fontsize=6)
        middle.set_yticks(range(5), short, fontsize=6)
        middle.set_title("truth (rows) mapped as", fontsize=9)
        right.plot([0, 1], [0, 1], color="0.7")
        for part, name in ((examination.reliability, "as is"), (examination.tempered, "tempered")):
            seen = part.pixels > 0
            right.plot(
                part.confidence[seen] / part.pixels[seen],
                part.hits[seen] / part.pixels[seen],
                marker=".",
                label=f"{name}, error {part.error:.3f}",
            )
        right.legend(fontsize=7)
        right.set_title("right, by confidence", fontsize=9)
    return figure
