"""What a second worker gains: the same city mapped by one and by two worker processes.

Usage: python benchmarks/workers.py [SIDE_PX [ENGINE ...]]

A synthetic city of 1 km2 is laid side by side until the image has SIDE_PX x SIDE_PX pixels of 1 m,
then `landcover map` is run on it as a command of its own, first with one worker, then with two.
Prints a Markdown table of wall seconds by stage, start-up of processes included, and exits with 1
if the two maps differ in a byte.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from city_memory import city_of
from words import parser

from landcover_pnp.config import plain
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.settings import SceneSettings
from landcover_pnp.storage.records import write_json

STAGES = ("scene", "tiles", "mosaic", "products")


def mapped(config: Path, run: Path, engine: str, workers: int) -> dict[str, float]:
    """Runs the command; wall seconds of the stages and, as ``all``, of the whole."""
    words = [sys.executable, "-m", "landcover_pnp", "map", str(config), "--run", str(run)]
    words += ["--workers", str(workers), "--inference.engine", engine]
    start = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    lines = map(json.loads, (run / "journal.jsonl").read_text().splitlines())
    stages = {x["stage"]: x["seconds"] for x in lines if x["event"] == "stage"}
    return {**stages, "all": seconds}


def main(side: int, engines: list[str]) -> int:
    """Prints a row an engine and number of workers; 0 if the maps are the same."""
    names = (*STAGES, "all")
    print(f"| engine | workers | {', s | '.join(names)}, s |\n|---|{'---:|' * (len(names) + 1)}")
    same = True
    with TemporaryDirectory() as name:
        settings = MapSettings(SceneSettings(rasters=city_of(side, Path(name))), student=None)
        config = Path(name) / "city.json"
        write_json(config, plain(settings))
        for engine in engines:
            runs = {n: Path(name) / f"{engine}{n}" for n in (1, 2)}
            one, two = (mapped(config, run, engine, n) for n, run in runs.items())
            for n, row in ((1, one), (2, two)):
                cells = " | ".join(f"{row[x]:.1f}" for x in names)
                print(f"| `{engine}` | {n} | {cells} |")
            gain = " | ".join(f"{one[x] / two[x]:.2f} x" for x in names)
            print(f"| | | {gain} |", flush=True)
            maps = {(run / "landcover.tif").read_bytes() for run in runs.values()}
            same &= len(maps) == 1
    return 0 if same else 1


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("side", type=int, nargs="?", default=3072)
    options.add_argument("engine", nargs="*", default=["evidence", "denoise"])
    words = options.parse_args()
    sys.exit(main(words.side, words.engine))
