"""The demo as a script: a synthetic desert city, drawn, mapped with the shipped prior, scored.

Usage: python pipelines/demo.py [FOLDER]
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rich.console import Console

from landcover_pnp.evaluation.scores import short_table
from landcover_pnp.pipeline.demo import run_demo
from landcover_pnp.pipeline.progress import TileProgress
from landcover_pnp.pipeline.settings import DemoSettings


def main(out: Path) -> int:
    """Runs the demo in a folder; returns the exit code."""
    with TileProgress(Console()) as progress:
        summary = run_demo(DemoSettings(out=out), progress)
    print(short_table(summary.scores), summary.table(), sep="\n\n")
    print(*summary.products, sep="\n")
    return summary.exit_code


if __name__ == "__main__":  # worker processes import this file too
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    sys.exit(main(parser.parse_args().folder))
