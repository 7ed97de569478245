from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import colours, two_halves, write_scene
from torch import Tensor

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import RasterError, SettingsError, WeakLabelsWarning
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.train_student import train_student
from landcover_pnp.pipeline.transfer.baselines import truth_windows, weak_windows
from landcover_pnp.storage.records import file_hash
from landcover_pnp.student.fusion import fuse
from landcover_pnp.student.mapped_scene import PART_PX, chosen_places
from landcover_pnp.student.settings import ForestSettings, StudentSettings, UNetSettings
from landcover_pnp.student.training import confidence_weight
from landcover_pnp.student.unet import UNet, cross_entropy

QUICK = StudentSettings(rounds=2, forest=ForestSettings(trees=6, sample_px=2000))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map run of a scene, half forest, half developed; a corner of the image is black."""
    folder = tmp_path_factory.mktemp("scene")
    image = colours()
    image[1, :, :120] += 20  # trees are green
    image[:, :40, :40] = 0
    config = write_scene(folder, image=image)
    words = ["--scene.rasters.black_is_no_data", "true", "--inference.engine", "evidence"]
    map_city(load_settings(MapSettings, config, [*words, "--workers", "0"]), folder / "run")
    return folder / "run"


def test_recombination_is_bayes_rule() -> None:
    p, weak = np.random.default_rng(0).dirichlet(np.ones(5), (2, 3, 4)).transpose(0, 3, 1, 2)
    p, weak = p.astype(np.float32), weak.astype(np.float32)
    share, water = p.mean(axis=(1, 2)), weak[0]
    q = fuse(p, weak, share, water)
    np.testing.assert_allclose(q.sum(axis=0), 1, rtol=1e-5)
    expected = (p * weak / share[:, None, None])[1:]
    np.testing.assert_allclose(q[1:] / q[1:].sum(0), expected / expected.sum(0), rtol=1e-4)
    # An image model that knows only class shares leaves the weak labels as they are.
    flat = np.broadcast_to(share[:, None, None], p.shape).astype(np.float32)
    np.testing.assert_allclose(fuse(flat, weak, share, water), weak, rtol=1e-4)
    assert not fuse(p, np.zeros_like(weak), share, water).any()


def test_dark_pixels_make_no_water_that_the_teacher_has_not_mapped() -> None:
    p, weak = np.full((2, 5, 3, 4), 0.2, np.float32)
    p[0] = 0.9  # as sure as can be
    water = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    q = fuse(p, weak, np.full(5, 0.2, np.float32), water)
    np.testing.assert_allclose(q[0], water, atol=1e-6)


def test_certain_pixels_weigh_one_and_uniform_ones_nothing() -> None:
    q = np.stack([[1, 0.2, 0], [0, 0.2, 0], [0, 0.2, 0], [0, 0.2, 0], [0, 0.2, 0]])[..., None]
    weight = confidence_weight(q.astype(np.float32))[:, 0]
    np.testing.assert_allclose(weight, [1, 0, 0], atol=1e-4)


def test_a_student_maps_at_the_images_resolution_and_only_where_there_is_data(run: Path) -> None:
    summary = train_student(QUICK, [run])
    with (
        rasterio.open(run / "student.tif") as student,
        rasterio.open(run / "landcover.tif") as mapped,
    ):
        labels, coarse = student.read(1), mapped.read(1)
        assert student.res == (1, 1)
        assert mapped.res == (4, 4)
        assert student.bounds == mapped.bounds
    np.testing.assert_array_equal(labels == 0, (coarse == 0).repeat(4, 0).repeat(4, 1))
    truth = two_halves(4, 2)
    known = labels > 0
    assert (labels == truth)[known].mean() > 0.97
    assert len(summary.agreement) == len(summary.changed) <= QUICK.rounds
    assert summary.area_km2 == pytest.approx((240**2 - 40**2) / 1e6)


def test_the_same_seed_gives_the_same_bytes(run: Path) -> None:
    hashes = set()
    for _ in range(2):
        train_student(QUICK, [run])
        hashes.add(file_hash(run / "student.tif"))
    assert len(hashes) == 1


def test_a_network_as_student(run: Path) -> None:
    unet = UNetSettings(channels=[8, 16], steps=30, steps_more=10, crop_px=16)
    settings = StudentSettings(model="unet", rounds=2, settled=0, unet=unet)
    train_student(settings, [run])
    with rasterio.open(run / "student.tif") as student:
        labels = student.read(1)
    assert (labels == two_halves(4, 2))[labels > 0].mean() > 0.95


def test_crops_of_truth_show_as_much_ground_as_those_of_maps(run: Path) -> None:
    places, sides_px = chosen_places([open_mapped_scene(run)], 100, seed=0), []
    for training_windows in (truth_windows(places), weak_windows(places)):
        k = training_windows[0].factor

        def seen(p: Tensor, target: Tensor, weight: Tensor, k: int = k) -> Tensor:
            sides_px.append(weight.shape[-1] * k)
            return cross_entropy(p, target, weight)

        UNet(UNetSettings(channels=[8], steps=1, crop_px=16), bands=3, loss=seen).fit(
            training_windows, 0
        )
    assert sides_px == [64, 64]  # pixels of the image, of which four lie along a working pixel


def test_truth_teaches_only_where_the_image_has_data(run: Path) -> None:
    (training_window,) = truth_windows(chosen_places([open_mapped_scene(run)], 100, seed=0))
    assert not training_window.weight[:40, :40].any()
    assert training_window.weight.sum() == 240**2 - 40**2


def test_tones_do_not_count_where_the_image_has_no_colour(tmp_path: Path) -> None:
    config = write_scene(tmp_path, image=np.repeat(colours(bands=1), 3, axis=0))
    settings = load_settings(MapSettings, config, ["--weak_labels.refinement.keep", "0.5"])
    with pytest.warns(WeakLabelsWarning, match="no colour"):
        map_city(settings, tmp_path / "run")
    with pytest.warns(WeakLabelsWarning, match="no colour"):
        train_student(QUICK, [tmp_path / "run"])
    with rasterio.open(tmp_path / "run" / "student.tif") as student:
        labels = student.read(1)
    assert (labels == two_halves(4, 2)).mean() > 0.95  # the forest is not suppressed


def test_a_large_city_is_sampled(run: Path) -> None:
    mapped_scenes = [open_mapped_scene(run)] * 3
    assert len(chosen_places(mapped_scenes, 100, seed=0)) == 3
    some = chosen_places(mapped_scenes, 2, seed=0)
    assert [box.shape for _, box in some] == [(PART_PX, PART_PX)] * 2
    assert all(box.clip(scene.scene.extent) == box for scene, box in some)
    assert (
        some == chosen_places(mapped_scenes, 2, seed=0) != chosen_places(mapped_scenes, 2, seed=1)
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--rounds", "0"],
        ["--windows", "0"],
        ["--settled", "-0.1"],
        ["--seed", "-1"],
        ["--forest.trees", "0"],
        ["--forest.sample_px", "0"],
        ["--forest.features_share", "1.5"],
        ["--forest.radii_m", "[]"],
        ["--unet.channels", "[12]"],
        ["--unet.channels", "[]"],
        ["--unet.steps", "0"],
        ["--unet.learning_rate", "0"],
    ],
)
def test_a_student_that_cannot_learn_is_refused(words: list[str]) -> None:
    with pytest.raises(SettingsError, match=words[0].rpartition(".")[2].strip("-")):
        load_settings(StudentSettings, overrides=words)


def test_a_folder_without_a_map_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="is missing"):
        train_student(QUICK, [tmp_path])
    assert main(["train-student", str(tmp_path)]) == 2
