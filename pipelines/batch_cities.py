"""Many cities, one run folder each; a city that cannot be mapped does not stop the others.

Usage: python pipelines/batch_cities.py OUT CITY.yaml [CITY.yaml ...]
"""

import sys
from pathlib import Path

from landcover_pnp.configuration import load_settings
from landcover_pnp.errors import LandcoverError
from landcover_pnp.mapping import map_city
from landcover_pnp.settings import MapSettings


def main(out: Path, cities: list[Path]) -> int:
    """Maps every city; returns 0 if all are whole, 3 if some are, 1 if none is."""
    codes = []
    for city in cities:
        try:
            summary = map_city(load_settings(MapSettings, city), out / city.stem)
        except LandcoverError as error:
            print(f"{city.stem}: {error}", file=sys.stderr)
            codes.append(error.exit_code)
            continue
        done = summary.progress
        print(
            f"{city.stem}: {summary.area_km2:.2f} km2, {done.done} tiles done, {done.kept} kept, "
            f"{done.failed} failed, {summary.seconds:.0f} s: {summary.products[0]}"
        )
        codes.append(summary.exit_code)
    if not any(codes):
        return 0
    return 3 if any(code in (0, 3) for code in codes) else 1


if __name__ == "__main__":  # worker processes import this file too
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), list(map(Path, sys.argv[2:]))))
