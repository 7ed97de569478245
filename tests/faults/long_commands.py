"""Every command that works for hours, at its smallest, and what happens to it at a failpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import geopandas as gpd
import numpy as np
import shapely
import yaml
from inputs import ORIGIN, UTM, write_scene, write_tif
from stac_place import bbox, write_place

from landcover_pnp.cli import main
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.masked_network import MaskedNetworkSettings, MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings
from landcover_pnp.storage import failpoints

TINY = {"crop_px": 8, "channels": [8, 16], "head_channels": 8, "norm_groups": 4}
FOREST = ["--student.model", "forest", "--student.forest.trees", "3"]
FEW = ["--student.rounds", "1", "--student.forest.sample_px", "500"]
TILES = ["--tiles.core_px", "30", "--tiles.halo_px", "8", "--workers", "0"]


def _map(folder: Path) -> list[str]:
    config = write_scene(folder / "in")
    return ["map", str(config), "--run", str(folder / "out"), *TILES, *FOREST, *FEW]


def _resume(folder: Path) -> list[str]:
    assert main(_map(folder)) == 0
    return ["resume", str(folder / "out"), "--seed", "1"]


def _batch(folder: Path) -> list[str]:
    for name in ("a", "b"):
        write_scene(folder / name).rename(folder / name / f"{name}.yaml")
    config = folder / "batch.yaml"
    config.write_text("cities: [a/a.yaml, b/b.yaml]\nout: out\nworkers: 0\n")
    return ["batch", str(config)]


def _demo(folder: Path) -> list[str]:
    engine = ["--inference.engine", "evidence", "--student", "null"]
    city = ["--city.width_m", "256", "--workers", "0"]
    return ["demo", "--out", str(folder / "out"), *city, *engine]


def _transfer(folder: Path) -> list[str]:
    city = {"image": "image.tif", "nlcd": "nlcd.tif", "truth": {"path": "truth.tif"}}
    cities = []
    for name in ("source", "target"):
        write_scene(folder / name)
        rasters = {key: f"{name}/{file}" for key, file in city.items() if key != "truth"}
        rasters["truth"] = {"path": f"{name}/truth.tif"}
        cities.append({"name": name, "rasters": rasters})
    settings = {
        "source": cities[0],
        "targets": cities[1:],
        "matrix_sources": ["source"],
        "methods": ["majority", "weak_labels", "evidence", "student"],
        "inference": {"engine": "evidence"},
        "student": {"rounds": 1, "forest": {"trees": 3, "sample_px": 500}},
        "workers": 0,
    }
    config = folder / "transfer.yaml"
    config.write_text(yaml.safe_dump(settings))
    return ["transfer", str(config), "--run", str(folder / "out")]


def _train_student(folder: Path) -> list[str]:
    config = write_scene(folder / "in")
    run = ["--run", str(folder / "out"), *TILES, "--student", "null"]
    assert main(["map", str(config), *run]) == 0
    few = ["--rounds", "1", "--forest.trees", "3", "--forest.sample_px", "500"]
    return ["train-student", str(folder / "out"), "--model", "forest", *few]


def _labels(folder: Path) -> Path:
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for i in range(3):
        codes = np.kron(np.random.default_rng(i).integers(1, 6, (4, 4)), np.ones((6, 6)))
        write_tif(folder / "labels" / f"{i}.tif", codes.astype(np.uint8), 4.0)
    return folder / "labels"


def _train_prior(folder: Path) -> list[str]:
    settings = {
        "out": "out",
        "labels": [{"path": str(_labels(folder)), "legend": "working"}],
        "denoiser": TINY,
        "steps": 6,
        "save_every": 3,
        "batch_size": 4,
    }
    config = folder / "prior.yaml"
    config.write_text(yaml.safe_dump(settings))
    return ["train-prior", str(config)]


def _judge_prior(folder: Path) -> list[str]:
    tiny = DenoiserSettings(**TINY)
    network = build_network(tiny, 0)
    Prior(network, NoiseSchedule(), tiny.resolution_m, tiny.crop_px).save(folder / "prior")
    labels = ["--labels", str(_labels(folder)), "--legend", "working"]
    few = ["--crops", "8", "--samples", "4", "--steps", "2"]
    return ["judge-prior", str(folder / "prior"), "--out", str(folder / "out"), *labels, *few]


def _publish(folder: Path) -> list[str]:
    assert main(_map(folder)) == 0
    return ["publish", str(folder / "out")]


def _fetch_place(folder: Path) -> list[str]:
    place = write_place(folder / "place")
    sources = ["--images.catalogue", str(place / "catalog.json")]
    sources += ["--coarse.file", str(place / "nlcd.tif")]
    sources += ["--objects.osm", str(place / "city.osm.pbf")]
    area = f"--bbox={bbox(20, 20, 300, 140)}"
    return ["fetch", "place", area, "--out", str(folder / "out"), "--profile", "fast", *sources]


def _correct(folder: Path) -> list[str]:
    assert main(_map(folder)) == 0
    x, y = ORIGIN
    frame = gpd.GeoDataFrame(
        {"class": ["water"]}, geometry=[shapely.box(x + 20, y - 60, x + 40, y)]
    )
    frame.set_crs(UTM).to_file(folder / "edits.gpkg", engine="pyogrio")
    words = ["correct", str(folder / "out"), str(folder / "edits.gpkg")]
    return [*words, "--workers", "0"]


def _fill(folder: Path) -> list[str]:
    network = MaskedUNet(MaskedNetworkSettings(channels=[8, 16], blocks=[1, 1], head_channels=8))
    MaskedPrior(network, resolution_m=4.0, crop_px=16).save(folder / "prior")
    codes = np.kron(np.random.default_rng(0).integers(1, 6, (6, 6)), np.ones((8, 8)))
    path = write_tif(folder / "map.tif", codes.astype(np.uint8), 4.0)
    mask = np.zeros((48, 48), np.uint8)
    mask[8:30, 8:30] = 1
    words = ["--mask", str(write_tif(folder / "mask.tif", mask, 4.0)), "--prior"]
    words += [str(folder / "prior"), "--window_px", "24", "--halo_px", "8"]
    return ["fill", str(path), *words, "--out", str(folder / "out")]


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "map": _map,
    "resume": _resume,
    "batch": _batch,
    "demo": _demo,
    "transfer": _transfer,
    "train-student": _train_student,
    "train-prior": _train_prior,
    "judge-prior": _judge_prior,
    "publish": _publish,
    "fetch place": _fetch_place,
    "correct": _correct,
    "fill": _fill,
}
"""Makes a command's inputs in a folder and gives its words; it writes to ``out`` there."""


@contextmanager
def at_failpoint(number: int, act: Callable[[], object]) -> Iterator[list[str]]:
    """Does something at a failpoint of this process, counted from 1; yields those passed."""
    passed: list[str] = []

    def look(name: str, _: str) -> bool:
        passed.append(name)
        if len(passed) == number:
            act()
        return False

    pattern = {failpoints.PATTERN: "none"}
    with mock.patch.dict(os.environ, pattern), mock.patch.object(failpoints, "fnmatchcase", look):
        yield passed


def chosen_failpoints(words: list[str]) -> list[int]:
    """Carries a command out; the first and the last failpoint of each kind, counted from 1."""
    with at_failpoint(0, list) as passed:
        assert main(words) == 0
    kinds = [name.partition(":")[0] for name in passed]
    first = {kind: kinds.index(kind) for kind in kinds}
    last = {kind: number for number, kind in enumerate(kinds)}
    return sorted({number + 1 for number in [*first.values(), *last.values()]})


@contextmanager
def process_of(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The program with these words, head of a process group of which nothing is left."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "landcover_pnp", *words]
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
