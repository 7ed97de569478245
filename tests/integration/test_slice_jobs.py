"""A batch as an array of jobs, by the scripts of docs/batch.md, and all of its maps gathered."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from inputs import colours, two_halves, write_tif

from landcover_pnp.cli import main
from landcover_pnp.errors import RasterError, RunLockedError
from landcover_pnp.pipeline import gather, slices
from landcover_pnp.pipeline.gather import gather_maps
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.storage.lock import owner
from landcover_pnp.storage.marker import Marker
from landcover_pnp.storage.owned_folder import OwnedFolder

PAGE = Path(__file__).parents[2] / "docs" / "batch.md"

CITIES = {
    "akron": ("EPSG:26917", 586_000.0),
    "boise": ("EPSG:26917", 586_040.0),  # overlaps akron
    "chico": ("EPSG:26918", 74_900.0),
}


def script(name: str) -> str:
    """A job script of the page."""
    scripts = re.findall(r"```sh\n(#!/bin/bash\n.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    (found,) = [text for text in scripts if f"job-name={name} " in text]
    return str(found)


def write_city(folder: Path, name: str) -> None:
    crs, east = CITIES[name]
    place = {"crs": crs, "origin": (east, 4_476_000.0)}
    write_tif(folder / f"{name}.tif", colours(size=64, seed=len(name)), **place)  # type: ignore[arg-type]
    write_tif(folder / f"{name}_nlcd.tif", two_halves(41, 24, 64), **place)  # type: ignore[arg-type]
    (folder / f"{name}.yaml").write_text(
        f"scene: {{rasters: {{image: {name}.tif, coarse: {name}_nlcd.tif}}}}\n"
        "weak_labels: {refinement: null}\nprofile: fast\nclusters: {clusters: 3}\n"
        "inference: {engine: evidence, evidence: {spectral_indices: false}}\n"
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a cluster's users see: the package under .venv, cities, and jobs that have ended."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "cities").mkdir()
    for name in CITIES:
        write_city(folder / "cities", name)
    listed = ", ".join(f"cities/{name}.yaml" for name in CITIES)
    (folder / "cities.yaml").write_text(f"cities: [{listed}]\nout: runs/batch\n")
    program = folder / ".venv" / "bin" / "landcover"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m landcover_pnp "$@"\n')
    program.chmod(0o755)
    jobs = [sbatch(folder, "landcover", SLURM_ARRAY_TASK_ID=str(number)) for number in (1, 2)]
    for job in jobs:
        said, _ = job.communicate(timeout=200)
        assert job.returncode == 0, said
    gathered = sbatch(folder, "landcover-gather")
    said, _ = gathered.communicate(timeout=100)
    assert gathered.returncode == 0, said
    return folder


def sbatch(folder: Path, name: str, **variables: str) -> "subprocess.Popen[str]":
    """Starts a job as Slurm would, in the folder that it was handed in from."""
    (folder / f"{name}.sbatch").write_text(script(name))
    slurm = {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "0", **variables}
    return subprocess.Popen(
        ["bash", f"{name}.sbatch"],
        cwd=folder,
        env={**os.environ, **slurm},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_jobs_of_an_array_fill_one_table(cluster: Path) -> None:
    rows = table(cluster / "runs" / "batch" / "cities.csv")
    assert [(row["city"], row["exit_code"]) for row in rows] == [(name, "0") for name in CITIES]
    assert not list((cluster / "runs" / "batch").glob(".slice*"))


def test_maps_are_gathered_by_their_crs(cluster: Path) -> None:
    out = cluster / "runs" / "batch"
    assert sorted(path.name for path in out.glob("*.vrt")) == [
        "landcover-epsg_26917.vrt",
        "landcover-epsg_26918.vrt",
    ]
    with (
        rasterio.open(out / "landcover-epsg_26917.vrt") as mosaic,
        rasterio.open(out / "akron" / "landcover.tif") as akron,
        rasterio.open(out / "boise" / "landcover.tif") as boise,
    ):
        pixels = mosaic.read(1)
        assert pixels.shape == (16, 26)  # 64 m and 40 m more, of 4 m
        assert mosaic.crs == akron.crs
        assert mosaic.bounds[:2] == akron.bounds[:2]
        np.testing.assert_array_equal(pixels[:, :10], akron.read(1)[:, :10])
        np.testing.assert_array_equal(pixels[:, 10:], boise.read(1))
        assert mosaic.colormap(1)[2] == akron.colormap(1)[2]
        assert mosaic.nodata == 0
    text = (out / "landcover-epsg_26917.vrt").read_text()
    assert "<Category>trees and forest</Category>" in text
    assert "relativeToVRT" in text
    assert str(cluster) not in text


def test_areas_by_city_add_up(cluster: Path) -> None:
    rows = table(cluster / "runs" / "batch" / "areas.csv")
    assert [row["city"] for row in rows] == list(CITIES)
    assert [row["crs"] for row in rows] == [crs for crs, _ in CITIES.values()]
    for row in rows:
        hectares = [float(v) for k, v in row.items() if k.endswith(", ha")]
        assert sum(hectares) == pytest.approx(float(row["mapped_ha"]))
        assert float(row["mapped_ha"]) + float(row["no_data_ha"]) == pytest.approx(64**2 / 1e4)
        assert sum(float(v) for k, v in row.items() if k.endswith(", %")) == pytest.approx(100, 0.1)


def test_a_slice_and_a_gathering_claim_one_after_the_other(
    cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, make_owned, seen = cluster / "runs" / "batch", gather.make_owned, []

    def watched(*args: Any, **options: Any) -> OwnedFolder:
        seen.append(owner(out) is not None)
        return make_owned(*args, **options)

    monkeypatch.setattr(gather, "make_owned", watched)
    gather_maps(out)
    assert seen == [True]
    marked = Marker.read(out)
    assert marked is not None
    assert marked.kind == slices.BATCH
    assert {"areas.csv", "cities.csv"} <= set(marked.names)
    monkeypatch.setattr(slices, "WAIT_S", 0.1)
    with slices.table_held(out), pytest.raises(RunLockedError):
        gather_maps(out)


def test_what_is_not_there_is_said(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = cluster / "runs" / "batch"
    assert main(["gather", str(out)]) == 0
    assert "none of the maps is published" in capsys.readouterr().out
    (out / "denver").mkdir()
    (out / "denver" / "settings.json").write_text("{}")
    publish_run(out / "akron")
    summary = gather_maps(out)
    assert summary.cities == 3
    assert any(note.startswith("denver is left out: ") for note in summary.notes)
    assert any("not published: boise, chico" in note for note in summary.notes)
    assert summary.collection is not None
    links = json.loads(summary.collection.read_text())["links"]
    assert sum(link["rel"] == "item" for link in links) == 1
    # of maps that are no more, nothing stays
    (out / "chico" / "settings.json").unlink()
    assert [path.name for path in gather_maps(out).mosaics] == ["landcover-epsg_26917.vrt"]
    assert not (out / "landcover-epsg_26918.vrt").exists()
    with pytest.raises(RasterError, match="no finished map in"):
        gather_maps(out / "akron")


def test_a_file_of_somebody_else_s_is_not_replaced(
    cluster: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = cluster / "other"
    other.mkdir()
    (other / "boise").symlink_to(cluster / "runs" / "batch" / "boise")
    (other / "areas.csv").write_text("mine")
    assert main(["gather", str(other)]) == 2
    assert "areas.csv is there already" in capsys.readouterr().err
    assert (other / "areas.csv").read_text() == "mine"
    assert not list(other.glob("*.vrt"))
