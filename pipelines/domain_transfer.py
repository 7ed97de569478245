"""Several cities mapped with one city's labels: what p(class | NLCD) of the source is worth.

Maps each configuration three times, with the co-occurrence of the source cities, with that of
the target's own truth where there is any, and with the NLCD legend's definitions.

Usage: python pipelines/domain_transfer.py SOURCE.yaml TARGET.yaml [TARGET.yaml ...]
"""

import dataclasses
import sys
from pathlib import Path

from landcover_pnp.configuration import load_settings
from landcover_pnp.evaluation import short_table
from landcover_pnp.mapping import map_city
from landcover_pnp.settings import MapSettings, WeakLabelSettings
from landcover_pnp.sources.enviroatlas import scene_files


def main(source: Path, targets: list[Path], out: Path = Path("runs/transfer")) -> int:
    """Maps every target by every protocol; returns the worst exit code."""
    worst = 0
    for target in targets:
        settings = load_settings(MapSettings, target)
        protocols = {
            "source": WeakLabelSettings("source", [source]),
            "definitions": WeakLabelSettings("definitions"),
        }
        if scene_files(settings.scene).truth is not None:
            protocols["target"] = WeakLabelSettings("target")
        for name, weak_labels in protocols.items():
            chosen = dataclasses.replace(settings, weak_labels=weak_labels)
            summary = map_city(chosen, out / target.stem / name)
            print(f"\n{target.stem}, protocol {name}: {summary.products[0]}")
            if summary.scores:
                print(short_table(summary.scores))
            worst = max(worst, summary.exit_code)
    return worst


if __name__ == "__main__":  # worker processes import this file too
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    source_city, *target_cities = map(Path, sys.argv[1:])
    sys.exit(main(source_city, target_cities))
