"""The assess stage: a labelled sample in, area-adjusted accuracy and areas with intervals out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from landcover_pnp.errors import LegendError, RasterError, SampleError, nearest
from landcover_pnp.evaluation.area_estimation import Estimate, estimate_areas
from landcover_pnp.legend import Legend
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.sample import CLASS, POINT, SamplePoints, map_hash
from landcover_pnp.products.sampled_ground import SampledGround
from landcover_pnp.products.tables import write_csv
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.newest import is_corrected
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Assessment:
    """Accuracy of a map and areas on the ground, estimated from a labelled sample.

    Attributes:
        run: The run folder.
        sample: The labelled sample.
        points: Number of its points that count.
        left_out: Points that do not, since their ground was corrected by hand.
        left_out_ha: Hectares of such ground, of which nothing is estimated.
        classes: Names of rows and columns.
        counts: (map class, reference class) points of the sample.
        proportions: (map class, reference class) estimated shares of the ground.
        overall_accuracy: Share of the ground that is mapped right, 0..1.
        users_accuracy: By class, share of what is mapped as it that is it.
        producers_accuracy: By class, share of what is it that is mapped as it.
        mapped_ha: By class, hectares of the map.
        area_ha: By class, hectares on the ground.
    """

    run: Path
    sample: Path
    points: int
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    proportions: NDArray[np.float64]
    overall_accuracy: Estimate
    users_accuracy: dict[str, Estimate]
    producers_accuracy: dict[str, Estimate]
    mapped_ha: dict[str, float]
    area_ha: dict[str, Estimate]
    left_out: int = 0
    left_out_ha: float = 0.0

    @property
    def table(self) -> pd.DataFrame:
        """A row a class: accuracies and areas with the ends of their 95 % intervals."""
        rows = []
        for name in self.classes:
            row: dict[str, Any] = {"class": name, "mapped_ha": self.mapped_ha[name]}
            for key, estimates in (
                ("area_ha", self.area_ha),
                ("users_accuracy", self.users_accuracy),
                ("producers_accuracy", self.producers_accuracy),
            ):
                estimate = estimates[name]
                row[key], row[f"{key}_se"] = estimate.value, estimate.standard_error
                row[f"{key}_low"], row[f"{key}_high"] = estimate.low, estimate.high
            rows.append(row)
        return pd.DataFrame(rows)


def assess_run(run: Path, sample: Path, table: Path | None = None) -> Assessment:
    """Estimates accuracy and areas from a sample of ``landcover sample`` that was labelled.

    Args:
        run: Folder of the run that it was drawn of.
        sample: The GeoPackage, its column ``class`` filled in: names or codes of the classes.
        table: CSV file to write the table of classes to; must not be there.

    Returns:
        The estimates, by the equations of Olofsson et al. 2014.

    Raises:
        RasterError: If the run is not finished or the sample cannot be read.
        SampleError: If the sample was drawn of another map, is not labelled, or has points that
            were not drawn.
        LegendError: If a label is no class; names the nearest.
    """
    if table is not None and table.exists():
        raise RasterError(
            found=f"{table} is there already",
            expected="a free name for the table",
            fix="name another file by --csv, or move this one",
        )
    finished = FinishedRun.open(run)
    legend = finished.legend.legend
    points = SamplePoints.read(sample)
    if points.map != map_hash(run):
        corrected = ", which has been corrected since" * is_corrected(RunFolder(run))
        raise SampleError(
            found=f"{sample} was drawn of another map: {points.map} of the run {points.run}, "
            f"not {map_hash(run)} of {run}{corrected}",
            expected="a sample of this map: its strata and their areas are this map's",
            fix="name the run that it was drawn of, or draw a sample of this one by "
            f"`landcover sample {run}`",
        )
    with open_raster(finished.newest.landcover, "class map") as source:
        numbers = _require_drawn(points, _pixels_of(points, source), sample)
        ground = SampledGround.of(source, points, finished.newest.edits, sample, legend)
        pixel_ha = abs(source.res[0] * source.res[1]) / 1e4
    labels = _labels(points.frame, sample, legend)
    _require_labelled(labels, numbers, ground.strata, legend.names, points.drawn, sample)
    counts, kept = np.zeros((len(ground.pixels),) * 2, np.int64), ~ground.corrected
    np.add.at(counts, (ground.strata[kept], labels[kept] - 1), 1)
    assessment = dataclasses.replace(
        _assessment(run, sample, legend.names, counts, ground.pixels, pixel_ha),
        left_out=int(ground.corrected.sum()),
        left_out_ha=ground.corrected_px * pixel_ha,
    )
    if table is not None:
        with completed(table) as partial:
            write_csv(assessment.table, partial)
    return assessment


def _assessment(
    run: Path,
    sample: Path,
    names: tuple[str, ...],
    counts: NDArray[np.int64],
    pixels: NDArray[np.int64],
    pixel_ha: float,
) -> Assessment:
    estimates = estimate_areas(counts, pixels)
    total = float(pixels.sum()) * pixel_ha
    areas = (
        # eqs. 11 and 12: areas are shares of the mapped ground
        Estimate.of(share.value * total, (share.standard_error * total) ** 2, total)
        for share in estimates.shares
    )
    return Assessment(
        run,
        sample,
        int(counts.sum()),
        names,
        counts,
        estimates.proportions,
        estimates.overall,
        dict(zip(names, estimates.users, strict=True)),
        dict(zip(names, estimates.producers, strict=True)),
        {name: float(n) * pixel_ha for name, n in zip(names, pixels, strict=True)},
        dict(zip(names, areas, strict=True)),
    )


def _pixels_of(points: SamplePoints, source: DatasetReader) -> NDArray[np.int64]:
    """Row and column of the pixel that each point lies in, (point, 2)."""
    local = points.frame.geometry.to_crs(source.crs.to_wkt())
    columns, rows = ~source.transform * (local.x.to_numpy(), local.y.to_numpy())
    return np.asarray(np.floor(np.stack([rows, columns], axis=1)), np.int64)


def _require_drawn(points: SamplePoints, found: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
    """Numbers of the points, from 1, if they are those that were drawn.

    Args:
        points: The points.
        found: (point, 2) row and column of the pixels that they lie in.
        path: Their file.

    Raises:
        SampleError: If points were added, copied or moved, or lie outside of the map.
    """
    named = points.frame[POINT]
    given = pd.to_numeric(named, errors="coerce").to_numpy(float, na_value=np.nan)
    known = (given >= 1) & (given <= points.drawn) & (given == np.floor(given))
    numbers = np.where(known, given, 0).astype(np.int64)
    counted = np.bincount(numbers, minlength=points.drawn + 1)
    twice = known & (counted[numbers] > 1)
    moved = (found != points.pixels).any(axis=1)
    for wrong, what in (
        (~known, "were not drawn"),
        (twice, "are there more than once"),
        (moved, "have been moved, or lie outside of the map"),
    ):
        if wrong.any():
            raise _not_drawn(int(wrong.sum()), path, what, ": " + _listed(named[wrong].astype(str)))
    return numbers


def _not_drawn(count: int, path: Path, what: str, which: str) -> SampleError:
    return SampleError(
        found=f"{count} points of {path} {what}{which}",
        expected="the points that were drawn at random, each where it was",
        fix="put them back, or take the sample as it was drawn: points chosen by hand would make "
        "the estimates wrong",
    )


def _labels(points: geopandas.GeoDataFrame, path: Path, legend: Legend) -> NDArray[np.int64]:
    """Number of the class of each point's label, from 1; 0 where there is none.

    Raises:
        LegendError: If a label is neither name nor code of a class.
    """
    numbers = {_key(name): i for i, name in enumerate(legend.names, start=1)}
    numbers |= {str(code): i for i, code in enumerate(legend.codes, start=1)} | {"": 0}
    texts = ["" if pd.isna(v) else _text(v) for v in points[CLASS]]
    unknown = [text for text in texts if _key(text) not in numbers]
    if unknown:
        first = unknown[0]
        raise LegendError(
            found=f"{len(unknown)} labels in {path} that are no classes: "
            f"{_listed(map(repr, dict.fromkeys(unknown)))}",
            expected="one of "
            + ", ".join(legend.names)
            + ", or their codes "
            + ", ".join(map(str, legend.codes)),
            fix=f"{first!r}: {nearest(first.lower(), legend.names)}",
        )
    return np.array([numbers[_key(text)] for text in texts], np.int64)


def _require_labelled(
    labels: NDArray[np.int64],
    numbers: NDArray[np.int64],
    strata: NDArray[np.int64],
    names: Sequence[str],
    drawn: int,
    path: Path,
) -> None:
    """Refuses a sample some of whose points have no label or are gone.

    Raises:
        SampleError: Says how many, and which.
    """
    without = labels == 0
    gone = sorted(set(range(1, drawn + 1)) - set(numbers.tolist()))
    if not without.any() and not gone:
        return
    counts = np.bincount(strata[without], minlength=len(names))
    by_class = ", ".join(f"{n} of {c}" for n, c in zip(counts, names, strict=True) if n)
    raise SampleError(
        found=f"of {drawn} points of {path}, {int(without.sum())} have no class"
        + (f"; by what is mapped there: {by_class}" if by_class else "")
        + (f"; {len(gone)} are gone: {_listed(map(str, gone))}" if gone else ""),
        expected="a class for each point that was drawn: the hard ones too, or the estimates "
        "would flatter the map",
        fix=f"fill in the column {CLASS!r}, for example in QGIS, which offers the names",
    )


def _text(value: Any) -> str:
    number = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return " ".join(str(int(value) if number else value).split())


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _listed(names: Iterable[str], most: int = 10) -> str:
    texts = list(names)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
