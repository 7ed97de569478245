"""The report of a run: one HTML file with the map to swipe over the image, and all figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from landcover_pnp.config.texts import require_text
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import WORKING
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.page import Html, data_uri, escaped, page, swatch, table
from landcover_pnp.products.pictures import (
    RGBA,
    class_picture,
    error_labels,
    image_picture,
    ramp_picture,
    thinned,
    truth_labels,
)
from landcover_pnp.products.rasters import CONFIDENCE_RAMP, ERRORS
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.georeference import system_name
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import RunFolder

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
    parts = [
        Html(f"<h1>{escaped(title)}</h1>"),
        Html(f'<p class="quiet">{escaped(_facts(run))}</p>'),
        _warning(run),
        _viewer(_pictures(run, rasters)),
        Html("<h2>Classes</h2>"),
        table(
            ["class", "hectares", "share", "mean confidence"],
            class_rows(RunFolder(rasters).landcover, RunFolder(rasters).confidence),
        ),
    ]
    if summary["scores"]:
        parts += [Html("<h2>Against the truth</h2>"), _scores(run)]
    parts += [Html("<h2>Tiles</h2>"), _tiles(run)]
    if run.stages:
        rows = [(stage, f"{seconds:.1f}") for stage, seconds in run.stages.items()]
        parts += [Html("<h2>Time</h2>"), table(["stage", "seconds"], rows)]
    if run.notes:
        parts += [Html("<h2>Notes</h2>"), _items(run.notes)]
    settings = {**run.settings, **run.provenance}
    parts += [
        Html("<h2>Settings and provenance</h2>"),
        table(
            ["", ""],
            [
                (Html(f"<code>{escaped(name)}</code>"), "-" if value is None else value)
                for name, value in settings.items()
            ],
        ),
    ]
    write_text(path, page(title, "\n".join(parts)))
    return path


def class_rows(classes: Path, confidence: Path) -> list[tuple[object, ...]]:
    """Name, hectares, share and mean confidence of each class of a map, read in blocks."""
    size = WORKING.codes[-1] + 1
    counts, sums = np.zeros(size), np.zeros(size)
    with open_raster(classes, "class map") as labels, open_raster(confidence, "confidence") as sure:
        hectare_px = 1e4 / abs(labels.res[0] * labels.res[1])
        for box in blocks(Box(0, labels.height, 0, labels.width)):
            codes, percent = read(labels, 1, box).ravel(), read(sure, 1, box).ravel()
            counts += np.bincount(codes, minlength=size)
            sums += np.bincount(codes, weights=percent, minlength=size)
    mapped = counts[1:].sum()
    rows: list[tuple[object, ...]] = []
    for c in WORKING.classes:
        n = counts[c.code]
        rows.append(
            (
                Html(swatch(c.colour) + escaped(c.name)),
                f"{n / hectare_px:,.2f}",
                f"{100 * n / mapped:.1f} %" if mapped else "-",
                f"{sums[c.code] / n:.0f} %" if n else "-",
            )
        )
    return [*rows, ("together", f"{mapped / hectare_px:,.2f}", "", "")]


def _facts(run: FinishedRun) -> str:
    with open_raster(run.probabilities, "probabilities") as source:
        pixels = f"{source.width} x {source.height} px of {abs(source.res[0]):g} m"
    facts = [
        f"{run.summary['area_km2']:.2f} km2",
        pixels,
        system_name(run.scene.geobox.crs),
        f"{run.summary['total']} tile{'s' * (run.summary['total'] != 1)}",
        f"engine {run.engine}",
        *([f"drawn by a student ({run.settings['student.model']})"] if run.student else []),
        f"mapped in {run.summary['seconds']:.0f} s",
        f"finished {run.finished:%Y-%m-%d %H:%M} UTC",
    ]
    return " · ".join(facts)


def _warning(run: FinishedRun) -> Html:
    texts = []
    if run.failed:
        texts.append(
            f"{len(run.failed)} of {run.summary['total']} tiles could not be inferred and are no "
            "data in the map: " + ", ".join(run.failed) + ". The same map command tries them again."
        )
    if not run.scene.valid_px:
        texts.append("The map is empty: the image has no data in this area.")
    return Html("".join(f'<p class="warning">{escaped(text)}</p>' for text in texts))


def _pictures(run: FinishedRun, rasters: Path) -> dict[str, RGBA]:
    labels = thinned(RunFolder(rasters).landcover, SIDE_PX)[0]
    percent = thinned(RunFolder(rasters).confidence, SIDE_PX)[0]
    pictures = {
        "image": image_picture(run.scene, SIDE_PX),
        "land cover": class_picture(labels, WORKING),
        "confidence": ramp_picture(percent, CONFIDENCE_RAMP),
    }
    for stem in ("evidence", "weak_labels"):
        name = stem.replace("_", " ") + " alone"
        pictures[name] = class_picture(thinned(rasters / f"{stem}.tif", SIDE_PX)[0], WORKING)
    truth = truth_labels(run.scene, SIDE_PX)
    if truth is not None:
        pictures["truth"] = class_picture(truth, WORKING)
        pictures["right and wrong"] = class_picture(error_labels(labels, truth), ERRORS)
    return pictures


def _viewer(pictures: dict[str, RGBA]) -> Html:
    height, width = next(iter(pictures.values())).shape[:2]
    options = [f"<option>{escaped(name)}</option>" for name in pictures]
    chosen = ["<option selected>land cover</option>" if "land cover" in o else o for o in options]
    legend = "".join(f"<span>{swatch(c.colour)}{escaped(c.name)}</span> " for c in WORKING.classes)
    ramp = "".join(
        f"<span>{swatch(colour)}{value:g} %</span> " for value, colour in CONFIDENCE_RAMP.stops
    )
    sources = {name: data_uri(picture) for name, picture in pictures.items()}
    return Html(
        _VIEWER.replace("@left@", "".join(options))
        .replace("@right@", "".join(chosen))
        .replace("@ratio@", f"{width} / {height}")
        .replace("@legend@", legend)
        .replace("@ramp@", ramp)
        .replace("@sources@", json.dumps(sources).replace("<", "\\u003c"))
    )


def _scores(run: FinishedRun) -> Html:
    rows = [
        (name, f"{s['accuracy']:.3f}", f"{s['mean_iou']:.3f}")
        for name, s in run.summary["scores"].items()
    ]
    return table(["method", "accuracy", "mean IoU"], rows)


def _tiles(run: FinishedRun) -> Html:
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
    head = ["tile", "status", "seconds", "pixels with data", "reason"]
    return Html(f"<p>{escaped(told)}.</p>\n" + table(head, rows))


def _items(texts: Sequence[str]) -> Html:
    return Html("<ul>" + "".join(f"<li>{escaped(text)}</li>" for text in texts) + "</ul>")


_VIEWER = """\
<style>
#bar { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center;
  margin: 1rem 0 .4rem; }
#frame { overflow: auto; max-height: 62rem; border: 1px solid #ccc; }
#stack { position: relative; aspect-ratio: @ratio@; width: 100%; cursor: ew-resize;
  background: #f3f3f3; }
#stack img { position: absolute; inset: 0; width: 100%; height: 100%; user-select: none; }
#edge { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #fff;
  box-shadow: 0 0 0 1px #222; pointer-events: none; }
#swipe { width: 100%; margin: .3rem 0; }
.legend { max-width: none; font-size: .9rem; }
.legend > span { margin-right: 1rem; white-space: nowrap; }
@media print { #bar, #swipe { display: none; } #frame { overflow: visible; max-height: none; } }
</style>
<div id="bar">
<label>left <select id="left">@left@</select></label>
<label>right <select id="right">@right@</select></label>
<label>zoom <select id="zoom"><option value="1">1</option><option value="2">2</option>
<option value="4">4</option><option value="8">8</option></select></label>
<label><input type="checkbox" id="flicker"> flicker</label>
</div>
<div id="frame"><div id="stack"><img id="below" alt="left picture"><img id="above" \
alt="right picture"><div id="edge"></div></div></div>
<input type="range" id="swipe" min="0" max="100" step="0.1" value="50" \
aria-label="where the left picture ends">
<p class="legend">@legend@</p>
<p class="legend">confidence: @ramp@</p>
<script>
"use strict";
const pictures = @sources@;
const part = id => document.getElementById(id);
let timer = null;
function show() {
  part("below").src = pictures[part("left").value];
  part("above").src = pictures[part("right").value];
}
function swipe(percent) {
  part("swipe").value = percent;
  part("above").style.clipPath = `inset(0 0 0 ${percent}%)`;
  part("edge").style.left = `${percent}%`;
}
function follow(event) {
  const box = part("stack").getBoundingClientRect();
  swipe(Math.min(100, Math.max(0, 100 * (event.clientX - box.left) / box.width)));
}
function flicker() {
  clearInterval(timer);
  let on = true;
  if (part("flicker").checked) timer = setInterval(() => swipe((on = !on) ? 0 : 100), 700);
  else swipe(50);
}
part("left").onchange = part("right").onchange = show;
part("swipe").oninput = () => swipe(part("swipe").value);
part("zoom").onchange = () => { part("stack").style.width = `${100 * part("zoom").value}%`; };
part("flicker").onchange = flicker;
part("stack").onpointerdown = event => { event.preventDefault(); follow(event); };
part("stack").onpointermove = event => { if (event.buttons) follow(event); };
show();
swipe(50);
</script>
"""
