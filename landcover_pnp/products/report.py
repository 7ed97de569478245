"""The report of a run: one HTML file with the map to swipe over the image, and all figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from landcover_pnp.config.texts import require_text
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import WORKING, LandClass, recoded
from landcover_pnp.products.areas import ClassArea, SampledAreas
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.ground import TITLE, UNSEEN, ground_hectares, hatched
from landcover_pnp.products.page import data_uri, render
from landcover_pnp.products.pictures import (
    RGBA,
    at_pixels,
    class_picture,
    error_labels,
    image_picture,
    ramp_picture,
    thinned,
    truth_labels,
)
from landcover_pnp.products.rasters import CONFIDENCE_RAMP, DOUBT_RAMP, ERRORS
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.georeference import system_name
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DOUBT, RunFolder

SIDE_PX = 1400
"""Longest side of the report's pictures; larger maps are thinned out."""

ROWS = 200
"""Most tiles the report lists; those without a result come first."""


def write_report(run: FinishedRun, rasters: Path, path: Path, title: str) -> Path:
    """Writes the report.

    Args:
        run: The run.
        rasters: Folder of its products.
        path: The HTML file.
        title: Title of the report.

    Returns:
        The file.

    Raises:
        SettingsError: If the title has control characters.
    """
    require_text("the title", title)
    summary = run.summary
    # Beside the baselines of a run folder, the newest map.
    finals = run.newest if rasters == run.folder else RunFolder(rasters)
    pictures = _pictures(run, rasters, finals)
    height, width = next(iter(pictures.values())).shape[:2]
    said, tiles = _tiles(run)
    sampled = SampledAreas.read(summary)
    column = sampled if run.legend.is_working else None
    text = render(
        "report.html",
        title=title,
        facts=_facts(run),
        warnings=_warnings(run),
        pictures={name: data_uri(picture) for name, picture in pictures.items()},
        ratio=f"{width} / {height}",
        scale=_scale(run),
        classes=run.legend.legend.classes,
        ramps=[
            (name, ramp.stops)
            for name, ramp in (("confidence", CONFIDENCE_RAMP), (DOUBT, DOUBT_RAMP))
            if name in pictures
        ],
        areas=class_rows(finals.landcover, finals.confidence, column),
        sampled=sampled,
        sampled_column=column is not None,
        sampled_areas=[(c, _interval(sampled.classes[c.name])) for c in WORKING.classes]
        if sampled
        else [],
        scores=[
            (name, f"{score['accuracy']:.3f}", f"{score['mean_iou']:.3f}")
            for name, score in (summary["scores"] or {}).items()
        ],
        doubt=_doubt(run),
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
    classes: Path, confidence: Path, sampled: SampledAreas | None = None
) -> list[tuple[object, ...]]:
    """Class, hectares, share, mean confidence of each class of a map, read in blocks.

    Args:
        classes: The map.
        confidence: Its confidence.
        sampled: Areas with intervals, which become a fifth column.
    """
    with open_raster(classes, "class map") as labels, open_raster(confidence, "confidence") as sure:
        legend = legend_of(labels).legend
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


def _doubt(run: FinishedRun) -> dict[str, Any] | None:
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
            (
                *(p["rank"], f"{p['x']:.0f}", f"{p['y']:.0f}", f"{p['doubt']:.0f} %"),
                *(p["mapped_class"], p["reason"]),
            )
            for p in doubt.get("places", ())
        ],
        "by_reason": [
            (name, f"{100 * share:.1f} %")
            for name, share in sorted(doubt["by_reason"].items(), key=lambda item: -item[1])
        ],
    }


def _scale(run: FinishedRun) -> dict[str, str]:
    """The scale bar: at most a quarter of the width, 1, 2 or 5 times a power of ten in metres."""
    left, _, right, _ = run.bounds(run.scene.extent)
    most_m = (right - left) / 4
    power = 10.0 ** np.floor(np.log10(most_m))
    length_m = power * max(step for step in (1, 2, 5) if step * power <= most_m)
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    return {"text": text, "percent": f"{100 * length_m / (right - left):.3f}"}


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


def _pictures(run: FinishedRun, rasters: Path, finals: RunFolder) -> dict[str, RGBA]:
    legend = run.legend.legend
    labels = thinned(finals.landcover, SIDE_PX)[0]
    percent = thinned(finals.confidence, SIDE_PX)[0]
    pictures = {
        "image": image_picture(run.scene, SIDE_PX),
        "land cover": class_picture(labels, legend),
        "confidence": ramp_picture(percent, CONFIDENCE_RAMP),
    }
    if _ground_rows(run) and run.ground is not None:
        ground = at_pixels(thinned(run.ground, SIDE_PX)[0], labels.shape)
        pictures[TITLE.lower()] = hatched(pictures["land cover"], ground)
    doubt = finals.raster(DOUBT)
    if doubt.is_file():
        pictures[DOUBT] = ramp_picture(thinned(doubt, SIDE_PX)[0], DOUBT_RAMP)
    for stem in ("evidence", "weak_labels"):
        name = stem.replace("_", " ") + " alone"
        pictures[name] = class_picture(thinned(rasters / f"{stem}.tif", SIDE_PX)[0], legend)
    truth = truth_labels(run.scene, SIDE_PX)
    if truth is not None:
        shared = run.truth_legend
        truth = recoded(truth, shared.second)
        pictures["truth"] = class_picture(truth, shared.legend)
        wrong = error_labels(recoded(labels, shared.first), truth)
        pictures["right and wrong"] = class_picture(wrong, ERRORS)
    return pictures


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
