"""Transfer to four EnviroAtlas patches of 256 m whose weak labels are given, not made of NLCD.

Labels of Pittsburgh's real window only. The patches have no CRS and no NLCD; their weak labels are
those of the program released with the paper, made with p(class | NLCD) of the patch's own city:
matrix source `target`. Methods without NLCD, as in `landcover transfer`, by the same functions and
with
the same intervals, bootstrap over cells of 30 m; `all` are the four patches together. Needs the
folder ../shared.

Usage: python benchmarks/patches.py
"""

import dataclasses
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from affine import Affine
from engine_scenes import REAL, ROOT, patch
from numpy.typing import NDArray
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.evaluation.cell_scores import CellScores, score_cells
from landcover_pnp.evaluation.intervals import bootstrap
from landcover_pnp.inference.engine import infer_each
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.legend import ENVIROATLAS
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.transfer.methods import FROM_RUN, TITLES, Work, predictor
from landcover_pnp.pipeline.transfer.scores import measures
from landcover_pnp.pipeline.transfer.settings import TransferMethod
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.scenes.settings import RasterFiles, SceneSettings, TruthFile
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND, PROBABILITY_ONE
from landcover_pnp.student.mapped_scene import MappedScene, map_with_model
from landcover_pnp.student.settings import StudentSettings

PATCHES = ("austin_tx_dp0", "austin_tx_dp1", "unknown_dp2", "unknown_dp3")
METHODS: tuple[TransferMethod, ...] = (
    "majority",
    "source_forest",
    "source_unet",
    "weak_labels",
    "evidence",
    "map",
    "student",
    "student_unet",
    "student_finetuned",
    "half_city",
)
SOMEWHERE = Affine(1, 0, 620_000, 0, -1, 3_350_000)


def write(path: Path, pixels: NDArray[np.uint8], pixel_m: float) -> Path:
    """A raster (band, y, x) of a place that is only where it is so that it has a CRS."""
    count, height, width = pixels.shape
    grid = {"crs": "EPSG:26914", "transform": SOMEWHERE * Affine.scale(pixel_m)}
    shape = {"count": count, "height": height, "width": width, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **grid, **shape) as target:
        target.write(pixels)
    return path


def patch_site(name: str, folder: Path) -> MappedScene:
    """A patch as a finished map run; NLCD is a dummy, and what was made of it is replaced."""
    folder.mkdir(parents=True)
    with rasterio.open(REAL / "ea-patches" / f"{name}_naip_256.tif") as source:
        image = write(folder / "image.tif", source.read(), 1)
    with rasterio.open(REAL / "ea-patches" / f"{name}_ea_64.tif") as source:
        truth = write(folder / "truth.tif", source.read(), 4)
    nlcd = write(folder / "nlcd.tif", np.full((1, 64, 64), 22, np.uint8), 4)
    files = RasterFiles(image, nlcd, truth=TruthFile(truth))
    map_city(MapSettings(SceneSettings(rasters=files), student=None, workers=0), folder / "run")
    mapped_scene = open_mapped_scene(folder / "run")
    observations = patch(REAL / "ea-patches", name).observations
    engines = ("evidence", "denoise")
    settings = InferenceSettings(engine="denoise")
    found = infer_each(engines, observations, settings, Prior.load(), seed=0)
    maps = {
        "weak_labels": observations.weak_labels,
        "evidence": found["evidence"],
        "map": found["denoise"],
    }
    box, geobox = mapped_scene.scene.extent, mapped_scene.scene.geobox
    for method, p in maps.items():
        stored = np.rint(p * PROBABILITY_ONE).astype(np.uint16)
        path = mapped_scene.run / "probabilities" / f"{method}.tif"
        write_raster(path, geobox, BAND, [(box, stored)])
    return mapped_scene


def scored_cells(mapped_scene: MappedScene, probabilities: Path) -> CellScores:
    """Scores of a patch."""
    truth = mapped_scene.fine.files.truth
    if truth is None:
        raise ValueError("a patch without truth")
    return score_cells(probabilities, truth.path, ENVIROATLAS, "five_classes", overlap=True)


def main() -> None:
    """Prints the table."""
    warnings.simplefilter("ignore")
    print(f"| method | {' | '.join(PATCHES)} | accuracy, all | mean IoU, all | s |")
    print("|---|" + "---:|" * (len(PATCHES) + 3))
    with TemporaryDirectory() as name:
        folder = Path(name)
        city = load_settings(MapSettings, ROOT / "configs/cities/ea_mini_pittsburgh_pa.yaml")
        map_city(dataclasses.replace(city, workers=0), folder / "pittsburgh")
        source = {"": open_mapped_scene(folder / "pittsburgh")}
        mapped_scenes = {name: patch_site(name, folder / name) for name in PATCHES}
        for method in METHODS:
            start, parts = time.process_time(), []
            for mapped_scene in mapped_scenes.values():
                path = mapped_scene.run / "probabilities" / f"{method}.tif"
                if method not in FROM_RUN:
                    work = Work(method, 0, source, {"": mapped_scene}, StudentSettings())
                    map_with_model(
                        mapped_scene,
                        *predictor(work)(mapped_scene),
                        folder / mapped_scene.run.parent.name,
                        method,
                    )
                    path = folder / mapped_scene.run.parent.name / "probabilities" / f"{method}.tif"
                parts.append(scored_cells(mapped_scene, path))
            seconds = time.process_time() - start
            cells = [f"{e.scores.accuracy:.3f} / {e.scores.mean_iou:.3f}" for e in parts]
            found = bootstrap(measures, sum(parts[1:], start=parts[0]).cells, seed=0)
            intervals = (found["accuracy"], found["mean_iou"])
            cells += ["{:.3f} [{:.3f}, {:.3f}]".format(*interval) for interval in intervals]
            print(f"| {TITLES[method]} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    parser(__doc__).parse_args()
    main()
