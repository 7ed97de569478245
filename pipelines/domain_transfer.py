"""One city's labels, other cities' maps: every method, every matrix source, scored and reported.

Usage: python pipelines/domain_transfer.py CONFIG.yaml [RUN_FOLDER]
"""

from argparse import ArgumentParser
from pathlib import Path

from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.pipeline.transfer.stage import run_transfer


def main(config: Path, run: Path) -> None:
    """Runs the transfer of a configuration; the same call again resumes."""
    summary = run_transfer(load_settings(TransferSettings, config), run, print)
    print(summary.table.read_text(encoding="utf-8"))
    print(f"{summary.maps} maps, {summary.kept} kept, {summary.seconds:.0f} s: {summary.report}")


if __name__ == "__main__":  # worker processes import this file too
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("run", type=Path, nargs="?", help="default: runs/transfer_<name of CONFIG>")
    words = parser.parse_args()
    main(words.config, words.run or Path(f"runs/transfer_{words.config.stem}"))
