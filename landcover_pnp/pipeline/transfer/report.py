"""The report of a transfer run: one HTML file to look at, and its table as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from landcover_pnp.evaluation.intervals import Interval
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline.transfer.cities import City
from landcover_pnp.pipeline.transfer.methods import TITLES
from landcover_pnp.pipeline.transfer.pictures import (
    WRONG,
    bars,
    details,
    maps_over_image,
    maps_side_by_side,
)
from landcover_pnp.pipeline.transfer.scores import Results, Row
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.products.page import render
from landcover_pnp.storage.atomic import write_text

TABLE, REPORT = "table.md", "report.html"
"""What is written of a transfer run's scores."""

DOUBTFUL_DISAGREEMENT = 0.25
"""Share of pixels on which two matrix sources differ above which the report warns."""

_NO_MAP = "No map: all matrix sources and methods asked for need truth, and there is none."

_ABLATION = (
    ("everything", "student"),
    ("without spectral indices", "student_no_indices"),
    ("without clusters", "student_no_clusters"),
    ("without weak labels: source labels instead", "source_forest"),
)

_BELOW = {
    "map": (("without student and prior", "evidence"), ("weak labels alone", "weak_labels")),
    "evidence": (("weak labels alone", "weak_labels"),),
    "weak_labels": (),
}
"""What a student's teacher itself is made of: a student of the evidence has no prior in it."""


def write_report(run: Path, results: Results, settings: TransferSettings) -> tuple[Path, Path]:
    """Writes ``table.md`` and ``report.html``.

    Args:
        run: Folder of the transfer run.
        results: Its scores.
        settings: Its settings, for the conditions.

    Returns:
        The two files.
    """
    markdown, path = run / TABLE, run / REPORT
    lines = ["\n\n".join(_markdown(city, results) for city in results.cities)]
    write_text(markdown, "\n".join([*lines, "", *_conditions(settings, results), ""]))
    text = render(
        "transfer.html",
        "landcover_pnp.pipeline.transfer",
        title="Domain transfer",
        conditions=_conditions(settings, results),
        warnings=warnings_of(results),
        classes=WORKING.classes,
        wrong=WRONG,
        no_map=_NO_MAP,
        head=_HEAD,
        cities=[
            _city(city, results, settings.student.teacher, is_source=number == 0)
            for number, city in enumerate(results.cities)
        ],
    )
    write_text(path, text)
    return markdown, path


def warnings_of(results: Results) -> list[str]:
    """What speaks against the maps without any truth: matrix sources that disagree."""
    found = []
    for (city, method), pairs in results.disagreement.items():
        for (a, b), share in pairs.items():
            if method in ("evidence", "student") and share > DOUBTFUL_DISAGREEMENT:
                found.append(
                    f"{city}, {TITLES[method]}: {a} and {b} disagree on "  # type: ignore[index]
                    f"{share:.0%} of the pixels, so at least one p(class | code) is wrong here. "
                    "Look at both."
                )
    return found


def _conditions(settings: TransferSettings, results: Results) -> list[str]:
    source, *targets = (city.name for city in results.cities)
    engine = settings.inference.engine_or_default
    return [
        f"Labels of {source} only; targets {', '.join(targets)}. Scores at the truth's own "
        f"resolution, matrix source {settings.scores}; classes that the truth does not have are "
        "absent from the means. Intervals: 95 %, bootstrap over cells of 30 m; they know nothing "
        "of errors that reach further than a cell. Calibration error before and after a "
        f"temperature fitted on {source}. Cost: processor time of the method on top of the map "
        f"run, what is learned once for all cities counted in the first, {source}; memory: peak of "
        f"the whole process so far. Engine of the map: {engine}; students learn "
        f"from {settings.student.teacher.replace('_', ' ')}; seeds "
        f"{', '.join(map(str, settings.seeds))}.",
        "Matrix sources, where p(class | code) comes from: source, the source city's labels; "
        "definitions, the legends' own texts; target, the city's own truth (a leak, as "
        "published); refined, re-estimated from the city's own colours, no labels; any: not used.",
    ]


def _rows(city: City, results: Results) -> list[Row]:
    return [row for row in results.rows if row.made.city == city.name]


def _city(city: City, results: Results, teacher: str, *, is_source: bool) -> dict[str, object]:
    """What the page tells of a city."""
    rows = _rows(city, results)
    scored = [row for row in rows if row.cell_scores is not None]
    best = [row for row in scored if row.made.method in ("evidence", "student")]
    inputs, maps = maps_side_by_side(city, [row.made for row in rows]) if rows else ([], {})
    ablation_head, ablation = _ablation(scored, teacher)
    return {
        "title": city.name + (" (source: its labels were used)" if is_source else ""),
        "viewer": maps_over_image(city, [row.made for row in rows]) if rows else None,
        "inputs": inputs,
        "maps": maps,
        "bars": bars(scored) if scored else None,
        "scores": [_cells(row) for row in scored],
        "ablation_head": ablation_head,
        "ablation": ablation,
        "details": details(best) if best else None,
    }


_HEAD = (
    "matrix_source",
    "method",
    "accuracy",
    "mean IoU",
    "not mapped",
    "gain on evidence",
    "gain on weak labels",
    "mean F1",
    "ECE",
    "ECE tempered",
    "cost",
    "memory",
)


def _cells(row: Row) -> list[str]:
    made, cell_scores = row.made, row.cell_scores
    if cell_scores is None:
        raise ValueError(f"{made.city} was not scored")
    gains = [
        " / ".join(_gain(row.gains[other][name]) for name in ("accuracy", "mean_iou"))
        if other in row.gains
        else "-"
        for other in ("evidence", "weak_labels")
    ]
    return [
        made.matrix_source,
        made.title,
        _with_range(row.measures["accuracy"]),
        _with_range(row.measures["mean_iou"]),
        f"{cell_scores.scores.unmapped:.1%}",
        *gains,
        f"{np.nanmean(cell_scores.scores.f1):.3f}",
        f"{cell_scores.reliability.error:.3f}",
        f"{cell_scores.tempered.error:.3f}",
        f"{made.seconds:.1f} s",
        f"{made.memory_mb:.0f} MB",
    ]


def _with_range(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _gain(interval: Interval) -> str:
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _markdown(city: City, results: Results) -> str:
    rows = _rows(city, results)
    scored = [row for row in rows if row.cell_scores is not None]
    if not scored:
        return f"## {city.name}\n\n{'No truth: maps only.' if rows else _NO_MAP}"
    lines = [f"## {city.name}", "", " | ".join(["| " + _HEAD[0], *_HEAD[1:]]) + " |"]
    lines.append("|---|---|" + "---:|" * (len(_HEAD) - 2))
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in scored]
    over = [
        f"Over seeds, {method}, {matrix_source}: "
        + ", ".join(f"{name} {_with_range(i)}" for name, i in values.items())
        for (name_, matrix_source, method), values in results.over_seeds.items()
        if name_ == city.name
    ]
    return "\n".join([*lines, *([""] if over else []), *over])


def _ablation(scored: Sequence[Row], teacher: str) -> tuple[list[str], list[list[str]]]:
    """What is lost without each part, under the matrix sources that have all parts.

    Returns:
        Head and rows of a table; no rows where no part was left out.
    """
    methods = {row.made.method for row in scored}
    if not methods & {"student_no_indices", "student_no_clusters"}:
        return [], []
    matrix_sources = dict.fromkeys(
        row.made.matrix_source for row in scored if row.made.method == "student"
    )
    lines = []
    for title, method in (*_ABLATION, ("without student", teacher), *_BELOW[teacher]):
        cells = []
        for matrix_source in matrix_sources:
            row = next(
                (
                    r
                    for r in scored
                    if r.made.method == method and r.made.matrix_source in (matrix_source, "any")
                ),
                None,
            )
            pair = [row.measures[n].value for n in ("accuracy", "mean_iou")] if row else []
            cells.append(" / ".join(f"{v:.3f}" for v in pair) or "-")
        lines.append([title, *cells])
    return ["", *matrix_sources], lines
