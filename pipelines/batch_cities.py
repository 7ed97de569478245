"""Many cities, one run folder each; a city that cannot be mapped does not stop the others.

The same as `landcover batch`, as a script. Usage:

    python pipelines/batch_cities.py OUT CITY.yaml [CITY.yaml ...]
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from landcover_pnp.pipeline.batch import map_cities
from landcover_pnp.pipeline.settings import BatchSettings


def main(out: Path, cities: list[Path]) -> int:
    """Maps every city; returns 0 if all are whole, 3 if some are, 1 if none is."""
    summary = map_cities(BatchSettings(cities, out))
    for city in summary.cities:
        print(
            f"{city.city}: {city.area_km2:.2f} km2, {city.done} tiles done, {city.kept} kept, "
            f"{city.failed} failed, {city.seconds:.0f} s: {city.landcover or city.reason}"
        )
    print(summary.table)
    return summary.exit_code


if __name__ == "__main__":  # worker processes import this file too
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the runs and of the table")
    parser.add_argument("city", type=Path, nargs="+", help="configuration of a map")
    words = parser.parse_args()
    sys.exit(main(words.out, words.city))
