"""The report of a run: one HTML file with the map over the image, and all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from landcover_pnp.config.texts import require_text
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import LandClass
from landcover_pnp.legends.palettes import Palette, coloured
from landcover_pnp.legends.result_legend import FIVE
from landcover_pnp.products.areas import ClassArea, SampledAreas
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.ground import UNSEEN, ground_hectares
from landcover_pnp.products.original_image import OriginalImage
from landcover_pnp.products.page import render
from landcover_pnp.products.report_layers import doubtful_places, report_pictures
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.georeference import system_name
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import RunFolder

ROWS = 200
"""Most tiles the report lists; those without a result come first."""


def write_report(
    run: FinishedRun, rasters: Path, path: Path, title: str, image: OriginalImage | None = None
) -> Path:
    """Writes the report.

    Args:
        run: The run.
        rasters: Folder of its products.
        path: The HTML file.
        title: Title of the report.
        image: Its image, where that has been looked for already.

    Returns:
        The file.

    Raises:
        SettingsError: If the title has control characters.
    """
    require_text("the title", title)
    summary = run.summary
    # Beside the baselines of a run folder, the newest map.
    finals = run.newest if rasters == run.folder else RunFolder(rasters)
    pictures = report_pictures(run, rasters, finals, image or OriginalImage.of(run))
    said, tiles = _tiles(run)
    sampled = SampledAreas.read(summary)
    column = sampled if run.legend.is_working else None
    text = render(
        "report.html",
        title=title,
        facts=_facts(run),
        warnings=_warnings(run),
        viewer=pictures.viewer,
        shown=pictures.note,
        areas=class_rows(finals.landcover, finals.confidence, column, run.palette),
        sampled=sampled,
        sampled_column=column is not None,
        sampled_areas=[
            (c, _interval(sampled.classes[c.name]))
            for c in coloured(FIVE, run.palette).legend.classes
        ]
        if sampled
        else [],
        scores=[
            (name, f"{score['accuracy']:.3f}", f"{score['mean_iou']:.3f}")
            for name, score in (summary["scores"] or {}).items()
        ],
        doubt=_doubt(run, pictures.chips),
        ground=_ground_rows(run),
        tiles_said=said,
        tiles=tiles,
        stages=[(stage, f"{seconds:.1f}") for stage, seconds in run.stages.items()],
        notes=run.notes,
        attribution=run.attribution,
        settings=[
            (Markup("<code>{}</code>").format(name), "-" if value is None else value)
            for name, value in {**run.settings, **run.provenance}.items()
        ],
    )
    write_text(path, text)
    return path


def class_rows(
    classes: Path,
    confidence: Path,
    sampled: SampledAreas | None = None,
    palette: Palette = "standard",
) -> list[tuple[object, ...]]:
    """Class, hectares, share, mean confidence of each class of a map, read in blocks.

    Args:
        classes: The map.
        confidence: Its confidence.
        sampled: Areas with intervals, which become a fifth column.
        palette: Colours of the classes.
    """
    with open_raster(classes, "class map") as labels, open_raster(confidence, "confidence") as sure:
        legend = coloured(legend_of(labels), palette).legend
        size = len(legend.classes) + 1
        counts, sums = np.zeros(size), np.zeros(size)
        hectare_px = 1e4 / abs(labels.res[0] * labels.res[1])
        for box in blocks(Box(0, labels.height, 0, labels.width)):
            numbers = legend.numbers(read(labels, 1, box)).ravel()
            counts += np.bincount(numbers, minlength=size)
            sums += np.bincount(numbers, weights=read(sure, 1, box).ravel(), minlength=size)
    mapped = counts[1:].sum()
    rows: list[tuple[object, ...]] = []
    for number, c in enumerate(legend.classes, start=1):
        n = counts[number]
        rows.append(
            (
                c,
                f"{n / hectare_px:,.2f}",
                f"{100 * n / mapped:.1f} %" if mapped else "-",
                f"{sums[number] / n:.0f} %" if n else "-",
                *([_interval(sampled.classes[c.name])] if sampled else []),
            )
        )
    empty = ("",) * (3 if sampled else 2)
    return [*rows, ("together", f"{mapped / hectare_px:,.2f}", *empty)]


def _interval(area: ClassArea) -> str:
    return f"{area.low_ha:,.2f} to {area.high_ha:,.2f} ha"


def _doubt(run: FinishedRun, chips: Sequence[Mapping[str, str]]) -> dict[str, Any] | None:
    """What is said of doubtful ground; nothing of a run of an earlier version."""
    doubt = run.summary.get("doubt")
    if not isinstance(doubt, dict):
        return None
    return {
        "share": f"{100 * doubt['share']:.1f} %",
        "hectares": f"{doubt['hectares']:,.2f}",
        "by_class": [
            (c, f"{100 * doubt['by_class'][c.name]:.1f} %") for c in run.legend.legend.classes
        ],
        "places": [
            {
                **{key: place[key] for key in ("rank", "mapped_class", "reason")},
                **{key: f"{place[key]:.0f}" for key in ("x", "y")},
                "doubt": f"{place['doubt']:.0f}\N{NO-BREAK SPACE}%",
                "chip": chip,
            }
            for place, chip in zip(doubtful_places(run), chips, strict=True)
        ],
        "by_reason": [
            (name, f"{100 * share:.1f} %")
            for name, share in sorted(doubt["by_reason"].items(), key=lambda item: -item[1])
        ],
    }


def _ground_rows(run: FinishedRun) -> list[tuple[LandClass, str, str]]:
    """Class, hectares and share of filled and corrected ground; empty where all was seen."""
    hectares = ground_hectares(run.ground) if run.ground else {}
    whole = run.summary["area_km2"] * 100
    return [
        (c, f"{hectares[c.code]:,.2f}", f"{100 * hectares[c.code] / whole:.1f} %")
        for c in UNSEEN.classes
        if hectares.get(c.code)
    ]


def _facts(run: FinishedRun) -> list[str]:
    edits = sum((run.summary.get("edits") or {}).values())
    with open_raster(run.probabilities, "probabilities") as source:
        pixels = f"{source.width} x {source.height} px of {abs(source.res[0]):g} m"
    return [
        f"{run.summary['area_km2']:.2f} km2",
        pixels,
        system_name(run.scene.geobox.crs),
        f"{run.summary['total']} tile{'s' * (run.summary['total'] != 1)}",
        f"engine {run.engine}",
        *([f"drawn by a student ({run.settings['student.model']})"] if run.student else []),
        *([f"{edits} edits by hand"] if edits else []),
        f"mapped in {run.summary['seconds']:.0f} s",
        f"finished {run.finished:%Y-%m-%d %H:%M} UTC",
    ]


def _warnings(run: FinishedRun) -> list[str]:
    texts = []
    if run.failed:
        texts.append(
            f"{len(run.failed)} of {run.summary['total']} tiles could not be inferred and are no "
            "data in the map: " + ", ".join(run.failed) + ". The same map command tries them again."
        )
    if not run.scene.valid_px:
        texts.append("The map is empty: the image has no data in this area.")
    return texts


def _tiles(run: FinishedRun) -> tuple[str, list[tuple[str, str, str, str, str]]]:
    """What is said of all tiles, and a row for each of those listed."""
    failed = run.failed
    order = sorted(run.records, key=lambda name: (name not in failed, name))
    rows = []
    for name in order[:ROWS]:
        record = run.records[name]
        status = "no result" if name in failed else "done"
        valid = record.figures.get("valid_px", 0)
        rows.append((name, status, f"{record.seconds:.1f}", f"{valid:.0f}", failed.get(name, "")))
    seconds = [r.seconds for n, r in run.records.items() if n not in failed]
    told = f"{run.summary['done']} inferred, {run.summary['kept']} kept from before, "
    told += f"{len(failed)} without result"
    if seconds:
        told += f"; {sum(seconds):.0f} s of work, {np.median(seconds):.1f} s a tile (median)"
    if len(order) > ROWS:
        told += f"; the first {ROWS} are listed"
    return told, rows
