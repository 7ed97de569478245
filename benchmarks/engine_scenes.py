"""Scenes of the engine benchmark: evidence and truth on the working grid, by name.

Synthetic cities in the four looks; where ../shared is there, also a real EnviroAtlas window of
Pittsburgh and four EnviroAtlas patches of 256 m. p(class | NLCD) of cities and window is by the
NLCD legend's definitions, so no label of any kind is used. The patches come with the weak labels
of the program that was released with the paper, as a picture: each pixel's class colours, mixed.
They have neither roads nor NLCD, so spectral indices count as far as the image tells two kinds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy.optimize import nnls

from landcover_pnp.config import load_settings
from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.index_borders import Ground, class_given_image, find_borders
from landcover_pnp.evidence.matrix_sources import matrices_from_source
from landcover_pnp.evidence.scene_borders import scene_borders
from landcover_pnp.evidence.scene_labels import labels_of
from landcover_pnp.evidence.settings import ClusterSettings, WeakLabelSettings
from landcover_pnp.inference.observations import Observations
from landcover_pnp.legend import ENVIROATLAS, WORKING, to_working
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import EnviroAtlasTile, Look, SceneSettings, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data"
PIXEL_M = 4.0


@dataclass(frozen=True, eq=False)
class Case:
    """A scene as the engines see it.

    Attributes:
        observations: Clusters and weak labels.
        truth: (y, x) uint8 of the working legend.
    """

    observations: Observations
    truth: NDArray[np.uint8]

    @property
    def km2(self) -> float:
        """Area with data."""
        return float(self.observations.valid.sum()) * PIXEL_M**2 / 1e6

    def window(self, side: int) -> "Case":
        """The upper left corner of this scene."""
        e = self.observations
        cut = (..., slice(side), slice(side))
        indices = None if e.spectral_indices is None else e.spectral_indices[cut]
        observations = Observations(
            e.clusters[cut], e.weak_labels[cut], e.valid[cut], e.origin, indices
        )
        return Case(observations, self.truth[cut])


def cases(folder: Path, seed: int, width_m: int) -> dict[str, Case]:
    """All scenes that are there.

    Args:
        folder: Folder for what is drawn and prepared.
        seed: Seed of the synthetic cities.
        width_m: Their side.
    """
    found = {}
    for look in get_args(Look):
        city = write_city(SyntheticSettings(look, width_m=width_m, seed=seed), folder / "cities")
        tile = EnviroAtlasTile(folder / "cities", city.city, "test", city.tile)
        found[look] = _case(SceneSettings(enviroatlas=tile), folder / look)
    if REAL.is_dir():
        config = ROOT / "configs" / "cities" / "ea_mini_pittsburgh_pa.yaml"
        found["pittsburgh"] = _case(load_settings(MapSettings, config).scene, folder / "pittsburgh")
        for labels in sorted((REAL / "ea-patches").glob("*_ea_64.tif")):
            name = labels.name.removesuffix("_ea_64.tif")
            if labels.with_name(f"{name}_prior_rgb_64.tif").is_file():
                found[name.split("_")[-1]] = patch(labels.parent, name)
    return found


def _case(scene_settings: SceneSettings, folder: Path) -> Case:
    scene = prepare_scene(plan_scene(scene_files(scene_settings), PIXEL_M), folder)
    box, options = scene.extent, WeakLabelSettings()
    valid, truth = scene.valid(box), scene.truth(box)
    assert truth is not None  # noqa: S101
    matrices = matrices_from_source(options, scene, {}, folder)
    weak = labels_of(scene, box, matrices, options).probabilities
    image = scene.image(box)
    indices = class_given_image(image, scene_borders([scene]))
    return Case(Observations(_clusters(image, valid), weak, valid, (0, 0), indices), truth)


def patch(folder: Path, name: str) -> Case:
    """A patch of the folder ea-patches: its image, its given weak labels, its truth."""
    image = _pixels(folder / f"{name}_naip_256.tif").reshape(3, 64, 4, 64, 4).mean((2, 4)) / 255
    truth = to_working(_pixels(folder / f"{name}_ea_64.tif")[0], ENVIROATLAS)
    valid = np.ones(truth.shape, np.bool_)
    weak = _unmixed(_pixels(folder / f"{name}_prior_rgb_64.tif"))
    image = image.astype(np.float32)
    unknown = np.full(truth.size, Ground.UNKNOWN, np.uint8)
    borders = find_borders(image.reshape(3, -1), ("red", "green", "blue"), unknown)
    indices = class_given_image(image, borders)
    return Case(Observations(_clusters(image, valid), weak, valid, (0, 0), indices), truth)


def _clusters(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    options = ClusterSettings()
    centres = sample_centres(image[:, valid].T, options, seed=0)
    return responsibilities(image, valid, centres, options, seed=0)


def _pixels(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as source:
        pixels: NDArray[np.uint8] = source.read()
    return pixels


def _unmixed(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The most even class shares (class, y, x) whose mixed colours are the picture (3, y, x)."""
    colours = np.array([c.colour for c in WORKING.classes]) / 255
    evenly = 0.01 * np.eye(len(colours))
    equations = np.vstack([colours.T, np.ones(len(colours)), evenly])
    pixels = picture.reshape(3, -1).T / 255
    shares = [nnls(equations, np.concatenate([p, [1], np.zeros(5)]))[0] for p in pixels]
    weak = np.array(shares, np.float32).T.reshape(-1, *picture.shape[1:])
    return np.asarray(weak / weak.sum(axis=0), np.float32)
