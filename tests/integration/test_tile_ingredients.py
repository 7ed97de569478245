"""A tile is made again when anything that it depends on changed under the same name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from inputs import two_halves, write_scene, write_tif

from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

TINY = DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4)
SIZE = 96


def train_prior(folder: Path, seed: int) -> None:
    network = build_network(TINY, seed)
    Prior(network, NoiseSchedule(), TINY.resolution_m, TINY.crop_px).save(folder / "prior")


def label_source(folder: Path, seed: int) -> None:
    """A source city, and truth of it that says something else about the same NLCD."""
    source = write_scene(folder / "source", nlcd=two_halves(41, 24))
    truth = two_halves(40, 20) if seed == 0 else two_halves(70, 30)
    write_tif(source.parent / "truth.tif", truth)


CHANGES: dict[str, tuple[Callable[[Path, int], None], list[str]]] = {
    "the prior's weights": (
        train_prior,
        ["--inference.engine", "denoise", "--inference.prior", "{}/prior"],
    ),
    "the truth behind p(class | NLCD)": (
        label_source,
        [
            *("--weak_labels.matrix_source", "source"),
            *("--weak_labels.source_scenes", "[{}/source/scene.yaml]"),
        ],
    ),
}


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::landcover_pnp.errors.WeakLabelsWarning"
)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_under_the_same_name_makes_every_tile_again(name: str, tmp_path: Path) -> None:
    change, words = CHANGES[name]
    layers = {"nlcd": two_halves(41, 24, SIZE), "truth": two_halves(40, 20, SIZE)}
    image = np.random.default_rng(0).integers(1, 254, (3, SIZE, SIZE), np.uint8)
    config = write_scene(tmp_path / "city", image=image, **layers)
    change(tmp_path, 0)
    quick = ["--tiles.core_px", "12", "--tiles.halo_px", "4", "--workers", "0"]
    placed = [word.format(tmp_path) for word in words]
    settings = load_settings(MapSettings, config, [*quick, *placed])
    first = map_city(settings, tmp_path / "run")
    assert map_city(settings, tmp_path / "run").progress.done == 0
    change(tmp_path, 1)
    again = map_city(settings, tmp_path / "run")
    assert (again.progress.kept, again.progress.done) == (0, first.progress.done)
    map_city(settings, tmp_path / "fresh")
    for product in ("landcover.tif", "confidence.tif", "evidence.tif", "weak_labels.tif"):
        made = (tmp_path / "run" / product).read_bytes()
        assert made == (tmp_path / "fresh" / product).read_bytes(), product
