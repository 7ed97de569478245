"""One city's labels, other cities' maps: every method, every matrix source, scored and reported.

Usage: python pipelines/domain_transfer.py CONFIG.yaml [RUN_FOLDER]
"""

import sys
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
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    chosen = Path(sys.argv[1])
    main(chosen, Path(sys.argv[2] if len(sys.argv) > 2 else f"runs/transfer_{chosen.stem}"))
