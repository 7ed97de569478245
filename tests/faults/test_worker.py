"""A whole map on a cluster that exists already, one tile of which kills every worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rasterio
from inputs import write_scene

from landcover_pnp.cli import main
from landcover_pnp.storage.failpoints import PATTERN


@pytest.mark.slow
def test_a_poison_tile_is_quarantined_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run, file = write_scene(tmp_path), tmp_path / "run", tmp_path / "scheduler.json"
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        PATTERN: "part-written:r0001c0001_evidence.tif",
    }
    dask = [sys.executable, "-m", "dask"]
    place = ["--no-dashboard", "--scheduler-file", str(file)]
    common = {"env": environment, "cwd": tmp_path, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *place],
                         **common, start_new_session=True),
        subprocess.Popen([*dask, "worker", "--nworkers", "1", "--nthreads", "1", *place],
                         **common, start_new_session=True),
    ]  # fmt: skip
    try:
        from distributed import Client

        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with Client(scheduler_file=str(file), timeout=60) as client:
            address = client.scheduler.address
        tiles = ["--tiles.core_px", "20", "--tiles.halo_px", "8"]
        words = ["map", str(config), *tiles, "--run", str(run), "--scheduler", address]
        assert main(words) == 3
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait(30)
    said = capsys.readouterr()
    assert "9 tiles (0 kept, 1 failed)" in said.out
    assert "dask dashboard: http" in said.out
    assert "was lost with r0001c0001 in hand" in said.out
    assert "tile r0001c0001 is no data in the map: 3 workers died of it" in said.err
    with rasterio.open(run / "landcover.tif") as source:
        assert (source.read(1) == 0).sum() == 400
    # without the poison, the same run becomes whole
    assert main(["resume", str(run), "--scheduler", "null", "--workers", "0"]) == 0
    assert "(8 kept, 0 failed)" in capsys.readouterr().out
