"""Scores of a transfer run: the one place where truth of target cities is opened."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import RasterError
from landcover_pnp.evaluation.calibration import fit_temperature
from landcover_pnp.evaluation.cell_scores import CellScores, sample_map, score_cells
from landcover_pnp.evaluation.intervals import Interval, bootstrap, over_seeds, paired_differences
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import LEGENDS, WORKING
from landcover_pnp.pipeline.transfer.cities import City
from landcover_pnp.pipeline.transfer.maps import MethodMap
from landcover_pnp.pipeline.transfer.settings import TransferMethod, TransferSettings
from landcover_pnp.storage.raster import open_raster, read


def measures(scores: Scores) -> dict[str, float]:
    """What the table gives with intervals; IoU is NaN for classes that the truth does not have."""
    iou = scores.iou
    present = iou[~np.isnan(iou)]
    by_class = {f"iou_{code}": float(v) for code, v in zip(WORKING.codes, iou, strict=True)}
    mean = float(present.mean()) if present.size else float("nan")
    return {"accuracy": scores.accuracy, "mean_iou": mean, **by_class}


COMPARED_WITH: tuple[TransferMethod, ...] = ("weak_labels", "evidence")
"""Methods that every other is compared with, on the same resampled cells."""

_SAMPLE_PX = 200_000


@dataclass(frozen=True, eq=False)
class Row:
    """One method's scores in one city.

    Attributes:
        made: The maps.
        cell_scores: Confusion by cell and reliability; None for a city without truth.
        measures: Interval of each of ``measures``.
        gains: By method compared with, the interval of each measure's difference.
        temperature: Fitted on the source city's map by the same method and matrix source.
    """

    made: MethodMap
    cell_scores: CellScores | None
    measures: Mapping[str, Interval]
    gains: Mapping[TransferMethod, Mapping[str, Interval]]
    temperature: float

    def content(self) -> dict[str, Any]:
        """The row as JSON values; NaN becomes null."""
        made = self.made
        row: dict[str, Any] = {
            "city": made.city,
            "matrix_source": made.matrix_source,
            "method": made.method,
            "seed": made.seed,
            "maps": {tile: str(path) for tile, path in made.maps.items()},
            "seconds": round(made.seconds, 2),
            "memory_mb": round(made.memory_mb),
        }
        if self.cell_scores is not None:
            scores = self.cell_scores.scores
            row |= {
                "pixels": scores.pixels,
                "unmapped": round(scores.unmapped, 4),
                "iou": _by_class(scores.iou),
                "f1": _by_class(scores.f1),
                "calibration_error": _plain(self.cell_scores.reliability.error),
                "calibration_error_tempered": _plain(self.cell_scores.tempered.error),
                "temperature": round(self.temperature, 3),
                "confusion": scores.confusion.tolist(),
                "intervals": {name: _listed(i) for name, i in self.measures.items()},
                "gains": {
                    other: {name: _listed(i) for name, i in gain.items()}
                    for other, gain in self.gains.items()
                },
            }
        return row


@dataclass(frozen=True, eq=False)
class Results:
    """All scores of a transfer run.

    Attributes:
        rows: One a city, matrix source, method and seed.
        cities: The cities, the source first.
        over_seeds: Interval over seeds by (city, matrix source, method) and measure; empty unless
            asked for.
        disagreement: By city and method, the share of pixels on which two matrix sources differ:
            needs no truth.
    """

    rows: tuple[Row, ...]
    cities: tuple[City, ...]
    over_seeds: Mapping[tuple[str, str, str], Mapping[str, Interval]]
    disagreement: Mapping[tuple[str, str], Mapping[tuple[str, str], float]]

    def content(self) -> dict[str, Any]:
        """The results as JSON values."""
        return {
            "rows": [row.content() for row in self.rows],
            "over_seeds": {
                "/".join(key): {name: _listed(i) for name, i in value.items()}
                for key, value in self.over_seeds.items()
            },
            "disagreement": {
                "/".join(key): {" | ".join(pair): round(v, 4) for pair, v in pairs.items()}
                for key, pairs in self.disagreement.items()
            },
        }


def score_maps(
    maps: Sequence[MethodMap], cities: Sequence[City], settings: TransferSettings
) -> Results:
    """Scores maps where there is truth.

    Args:
        maps: All maps of a run.
        cities: The cities, the source first.
        settings: Protocol of the scores, seeds.

    Returns:
        Rows in the order of the maps.

    Raises:
        LandcoverError: If truth cannot be read, covers other ground or has unknown codes.
    """
    by_name = {city.name: city for city in cities}
    temperatures = {
        (m.matrix_source, m.method, m.seed): _temperature(m, cities[0], settings)
        for m in maps
        if m.city == cities[0].name
    }
    scored_cells = {}
    for made in maps:
        if by_name[made.city].truth is not None:
            temperature = temperatures[made.matrix_source, made.method, made.seed]
            scored_cells[_key(made)] = _scored_cells(
                made, by_name[made.city], temperature, settings
            )
    rows = []
    for made in maps:
        cell_scores = scored_cells.get(_key(made))
        temperature = temperatures[made.matrix_source, made.method, made.seed]
        if cell_scores is None:
            rows.append(Row(made, None, {}, {}, temperature))
            continue
        intervals = bootstrap(measures, cell_scores.cells, made.seed)
        gains: dict[TransferMethod, Mapping[str, Interval]] = {}
        for other in COMPARED_WITH:
            reference = scored_cells.get((made.city, made.matrix_source, other, settings.seeds[0]))
            # Half a city's truth is no comparison with all of it.
            if reference is not None and made.method not in (other, "half_city"):
                gains[other] = paired_differences(
                    measures, cell_scores.cells, reference.cells, made.seed
                )
        rows.append(Row(made, cell_scores, intervals, gains, temperature))
    seeds = _over_seeds(rows) if settings.interval_over_seeds else {}
    return Results(tuple(rows), tuple(cities), seeds, _disagreement(maps))


def _key(made: MethodMap) -> tuple[str, str, str, int]:
    return made.city, made.matrix_source, made.method, made.seed


def _scored_cells(
    made: MethodMap, city: City, temperature: float, settings: TransferSettings
) -> CellScores:
    parts = []
    for tile, files in city.tiles.items():
        if files.truth is None:
            raise ValueError(f"{city.name} {tile} has no truth")
        legend = LEGENDS[files.truth.legend]
        parts.append(
            score_cells(
                made.probabilities(tile),
                files.truth.path,
                legend,
                settings.scores,
                temperature=temperature,
                overlap=True,
            )
        )
    whole = sum(parts[1:], start=parts[0])
    if not whole.scores.confusion[1:].any():
        paths = (str(files.truth.path) for files in city.tiles.values() if files.truth)
        raise RasterError(
            found=f"the truth of {city.name} has no class anywhere: {', '.join(paths)}",
            expected="truth to score the maps with",
            fix="correct the file or its legend, or leave it out: the maps are finished and kept",
        )
    return whole


def _temperature(made: MethodMap, source: City, settings: TransferSettings) -> float:
    parts = [
        sample_map(
            made.probabilities(tile),
            files.truth.path,
            LEGENDS[files.truth.legend],
            settings.scores,
            _SAMPLE_PX // len(source.tiles),
        )
        for tile, files in source.tiles.items()
        if files.truth is not None
    ]
    p = np.concatenate([part[0] for part in parts], axis=1)
    return fit_temperature(p, np.concatenate([part[1] for part in parts]))


def _over_seeds(rows: Sequence[Row]) -> dict[tuple[str, str, str], dict[str, Interval]]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.cell_scores is not None:
            groups.setdefault(_key(row.made)[:3], []).append(row)
    return {
        key: {
            name: over_seeds(np.array([row.measures[name].value for row in group]))
            for name in group[0].measures
        }
        for key, group in groups.items()
        if len(group) > 1
    }


def _disagreement(
    maps: Sequence[MethodMap],
) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
    """Share of pixels on which the same method differs between two matrix sources."""
    groups: dict[tuple[str, str, int], list[MethodMap]] = {}
    for made in maps:
        groups.setdefault((made.city, made.method, made.seed), []).append(made)
    first = {key[:2]: group for key, group in reversed(groups.items()) if len(group) > 1}
    return {
        key: {
            (a.matrix_source, b.matrix_source): differing_share(a.maps, b.maps)
            for a, b in itertools.combinations(group, 2)
        }
        for key, group in first.items()
    }


def differing_share(a: Mapping[str, Path], b: Mapping[str, Path]) -> float:
    """Share of the pixels with data in both of two maps whose classes differ, 0..1.

    Args:
        a: File of working classes by tile.
        b: Those of the other map, of the same tiles.
    """
    differ = known = 0
    for tile in a:
        with open_raster(a[tile], "map") as one, open_raster(b[tile], "map") as other:
            for box in blocks(Box(0, one.height, 0, one.width)):
                first, second = read(one, 1, box), read(other, 1, box)
                both = (first > 0) & (second > 0)
                known += int(both.sum())
                differ += int((first != second)[both].sum())
    return differ / max(known, 1)


def _by_class(values: NDArray[np.float64]) -> dict[str, float | None]:
    return {name: _plain(v) for name, v in zip(WORKING.names, values, strict=True)}


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _listed(interval: Interval) -> list[float | None]:
    return [_plain(v) for v in interval]
