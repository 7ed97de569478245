"""`check` and `map` agree: about random requests, right ones and wrong ones, both say the same."""

import random
import shutil
from collections import Counter
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_tif

from landcover_pnp.cli import main
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

SAMPLE = range(40)
CASES = 1500
LEFT, UP = ORIGIN
SIZE = 96
"""Image pixels along a side."""


class ReachedError(Exception):
    """A map has come to its tiles: nothing has refused it."""


# What a request is made of: first what is right, then what is wrong or leads to a refusal.
IMAGES = {"plain": 1.0, "coarse": 6.0, "black": 1.0, "cut": 1.0, "missing": 1.0}
NLCD = ("plain", "elsewhere", "unknown code", "no data", "missing")
TRUTH = ("none", "plain", "unlabelled", "unknown code", "smaller")
AREAS = ("none", "inside", "outside", "small", "sliver", "empty")
ROADS = ("none", "vectors", "raster", "elsewhere", "missing")
SOURCES = ("plain", "without truth", "unlabelled", "missing", "empty")
RESOLUTIONS = ("4", "4.3", "8", "2", "1000", "0")
ENGINES = (None, "evidence", "denoise", "guided", "algorithm1", "fill", "denoize")
PRIORS = (None, "8 m", "missing")
RECIPES = (None, "single_patch", "double_patch")
STUDENTS = (None, "forest", "unet", "tree")
MATRICES = ("definitions", "target", "source")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that requests are made of."""
    shelf = tmp_path_factory.mktemp("shelf")
    for name, pixel_m in IMAGES.items():
        pixels = colours(size=SIZE) if name != "black" else np.zeros((3, SIZE, SIZE), np.uint8)
        if name != "missing":
            path = write_tif(shelf / f"image {name}.tif", pixels, pixel_m)
        if name == "cut":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    side, here = 6 * SIZE, shapely.box(LEFT + 8, UP - 88, LEFT + 88, UP - 8)
    far = {"origin": (1e5, 5e6)}
    for name, (left, right) in {
        "plain": (41, 24),
        "elsewhere": (41, 24),
        "unknown code": (41, 99),
        "no data": (0, 0),
    }.items():
        pixels = two_halves(left, right, SIZE if right else side)
        pixels[:, 48:] = right
        write_tif(shelf / f"nlcd {name}.tif", pixels, 6.0, **(far if name == "elsewhere" else {}))
    for pixel_m in (1, 6):
        for name, (left, right) in {
            "plain": (40, 20),
            "unlabelled": (0, 0),
            "unknown code": (40, 21),
        }.items():
            truth = two_halves(left, right, SIZE)
            write_tif(shelf / f"truth {name} {pixel_m}.tif", truth, float(pixel_m))
        write_tif(shelf / f"truth smaller {pixel_m}.tif", two_halves(40, 20, 50), float(pixel_m))
    write_tif(shelf / "roads raster.tif", two_halves(0, 1, SIZE))
    street = shapely.LineString([(LEFT + 40, UP), (LEFT + 40, UP - 90)])
    shapes = {
        "area inside": here,
        "area outside": shapely.box(LEFT + 1e5, UP, LEFT + 2e5, UP + 1e5),
        "area small": shapely.box(LEFT + 8, UP - 16, LEFT + 16, UP - 8),
        "area sliver": shapely.box(LEFT + 8, UP - 88, LEFT + 8.2, UP - 8),
        "roads vectors": street,
        "roads elsewhere": shapely.transform(street, lambda c: c + 1e5),
    }
    for name, shape in shapes.items():
        gpd.GeoDataFrame(geometry=[shape], crs=UTM).to_file(shelf / f"{name}.gpkg")
    (shelf / "area empty.gpkg").write_text("")
    tiny = DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4)
    Prior(build_network(tiny, 0), NoiseSchedule(), 8.0, 8).save(shelf / "prior 8 m")
    for name, truth in {"plain": "plain", "unlabelled": "unlabelled", "without truth": ""}.items():
        layer = f", truth: {{path: truth {truth} 1.tif}}" if truth else ""
        files = f"{{image: image plain.tif, nlcd: nlcd plain.tif{layer}}}"
        (shelf / f"source {name}.yaml").write_text(f"scene: {{rasters: {files}}}\n")
    return shelf


def drawn(case: int, shelf: Path) -> list[str]:
    """A request as words of the command line; the first choice of each kind is the likeliest."""
    draw = random.Random(case)

    def one(choices: tuple[str | None, ...], right: float = 0.75) -> str | None:
        return choices[0] if draw.random() < right else draw.choice(choices)

    image = one(tuple(IMAGES)) or ""
    words = ["--scene.rasters.image", str(shelf / f"image {image}.tif")]
    words += ["--scene.rasters.coarse", str(shelf / f"nlcd {one(NLCD)}.tif")]
    truth, area, roads = one(TRUTH, 0.3), one(AREAS, 0.6), one(ROADS, 0.5)
    if truth != "none":
        path = shelf / f"truth {truth} {IMAGES[image]:.0f}.tif"
        words += ["--scene.rasters.truth.path", str(path)]
    if area != "none":
        words += ["--scene.rasters.area", str(shelf / f"area {area}.gpkg")]
    if roads != "none":
        path = shelf / f"roads {roads}.{'tif' if roads == 'raster' else 'gpkg'}"
        words += ["--scene.rasters.roads.path", str(path)]
    words += ["--scene.resolution_m", str(one(RESOLUTIONS, 0.4))]
    matrix = one(MATRICES, 0.5)
    words += ["--weak_labels.matrix_source", str(matrix)]
    source = one(SOURCES, 0.6)
    if matrix == "source" and source != "empty":
        words += ["--weak_labels.source_scenes", f"['{shelf / f'source {source}.yaml'}']"]
    for key, value in {
        "inference.engine": one(ENGINES, 0.3),
        "inference.algorithm1.recipe": one(RECIPES),
        "student.model": one(STUDENTS, 0.6),
    }.items():
        words += [f"--{key}", value] if value else []
    prior = one(PRIORS)
    words += ["--inference.prior", str(shelf / f"prior {prior}")] if prior else []
    words += ["--clusters.clusters", "12"] if draw.random() < 0.1 else []
    words += ["--tiles.core_px", "20"] if draw.random() < 0.1 else []
    return words


def agreed(
    case: int, shelf: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """What both commands say of a request: exit code and, of a refusal, its first line."""
    config = folder / "city.yaml"
    config.write_text("workers: 0\n")
    words, run = drawn(case, shelf), folder / "run"
    capsys.readouterr()
    code = main(["check", str(config), *words])
    said = capsys.readouterr().err
    try:
        made = main(["map", str(config), "--run", str(run), *words])
    except ReachedError:
        made = 0
    refused = capsys.readouterr().err
    shutil.rmtree(run, ignore_errors=True)
    assert (code, said.replace("landcover check:", "landcover map:")) == (made, refused), words
    assert code in (0, 2), words
    return code, said.partition("found: ")[2].partition("\n")[0] if code else ""


def reached(*_: object) -> None:
    raise ReachedError


@pytest.fixture(autouse=True)
def _no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landcover_pnp.pipeline.map._infer", reached)


@pytest.mark.parametrize("case", SAMPLE)
def test_check_and_map_agree(
    case: int, shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agreed(case, shelf, tmp_path, capsys)


@pytest.mark.laws
def test_check_and_map_agree_in_every_case(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table: Counter[str] = Counter()
    for case in range(CASES):
        code, found = agreed(case, shelf, tmp_path, capsys)
        reason = found.replace(str(shelf), "").replace(str(tmp_path), "")
        table[f"{code} {reason[:60]}"] += 1
    with capsys.disabled():
        print(f"\n{CASES} requests, check and map agree; exit code and why:")
        for outcome, count in table.most_common():
            print(f"  {count:5} x {outcome}")
