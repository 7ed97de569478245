"""Accuracy and mean IoU of every engine beside the weak labels, scene by scene, with its cost.

Scenes are synthetic cities of 640 m in the four looks (seed 11) and, where the folder ../shared is
there, a real EnviroAtlas window of Pittsburgh; the co-occurrence is by the NLCD definitions, so no
label of any kind is used. Cost is worker time relative to `evidence`, in the same run.

Usage: python benchmarks/engines.py [ENGINE ...]
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from landcover_pnp.configuration import load_settings
from landcover_pnp.mapping import MapSummary, map_city
from landcover_pnp.runs import Record
from landcover_pnp.settings import (
    EnviroAtlasTile,
    InferenceSettings,
    MapSettings,
    SceneSettings,
    SyntheticSettings,
)
from landcover_pnp.sources.synthetic import write_city
from landcover_pnp.sources.synthetic.style import Look

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "ea-mini" / "pittsburgh_pa"


def scenes(folder: Path) -> dict[str, SceneSettings]:
    """The scenes by name."""
    found = {}
    for look in get_args(Look):
        city = write_city(SyntheticSettings(look, width_m=640, seed=11), folder / "cities")
        tile = EnviroAtlasTile(folder / "cities", city.city, "test", city.tile)
        found[look] = SceneSettings(enviroatlas=tile)
    if REAL.is_dir():
        config = ROOT / "configs" / "cities" / "ea_mini_pittsburgh_pa.yaml"
        found["Pittsburgh (real)"] = load_settings(MapSettings, config).scene
    return found


def worker_seconds(summary: MapSummary) -> float:
    """Time the workers spent on a run's tiles."""
    records = [Record.read(path) for path in (summary.run / "tiles").glob("*.json")]
    return sum(record.seconds for record in records if record)


def main(engines: list[str]) -> None:
    """Prints the table."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        named = scenes(folder)
        print("accuracy / mean IoU\n")
        print("| | " + " | ".join(named) + " | cost |\n|---|" + "---:|" * (len(named) + 1))
        unit = 0.0
        for engine in ["evidence", *engines]:
            runs = {
                place: map_city(
                    MapSettings(scene, inference=InferenceSettings(engine=engine)),
                    folder / engine / place,
                )
                for place, scene in named.items()
            }
            seconds = sum(map(worker_seconds, runs.values()))
            unit = unit or seconds
            rows = {engine: ("map", f"{seconds / unit:.1f}")}
            if engine == "evidence":
                rows = {"weak labels": ("weak labels", "-"), **rows}
            for row, (method, cost) in rows.items():
                scores = [run.scores[method] for run in runs.values()]
                cells = [f"{s.accuracy:.3f} / {s.mean_iou:.3f}" for s in scores]
                print(" | ".join([f"| {row}", *cells, cost]) + " |", flush=True)


if __name__ == "__main__":  # worker processes import this file too
    main(sys.argv[1:] or ["denoise", "algorithm1"])
