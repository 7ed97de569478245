"""What a student learns from: the run's own map, and nothing that only truth knows."""

from collections.abc import Sequence

import numpy as np
import pytest
from inputs import colours, write_scene
from numpy.typing import NDArray

from landcover_pnp.config import load_settings
from landcover_pnp.grid import Box
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.student.image_models import TrainingWindow
from landcover_pnp.student.mapped_scene import MappedScene
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import train


class Listener:
    """An image model that keeps what it was taught, and knows nothing."""

    reach_px = 0

    def __init__(self) -> None:
        self.lessons: list[Sequence[TrainingWindow]] = []

    def fit(self, training_windows: Sequence[TrainingWindow], seed: int) -> None:
        self.lessons.append(training_windows)

    def predict(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full((5, *image.shape[1:]), 0.2, np.float32)


@pytest.fixture(scope="module")
def without_truth(tmp_path_factory: pytest.TempPathFactory) -> MappedScene:
    """A scene mapped beside its truth, which is gone since; a corner of the image is no data."""
    folder = tmp_path_factory.mktemp("scene")
    image = colours()
    image[1, :, :120] += 20
    image[:, :40, :40] = 0
    words = ["--scene.rasters.black_is_no_data", "true", "--workers", "0"]
    settings = load_settings(MapSettings, write_scene(folder, image=image), words)
    map_city(settings, folder / "run")
    opened = open_mapped_scene(folder / "run")
    assert opened.scene.truth(opened.scene.extent) is not None
    for truth in folder.rglob("truth*"):
        truth.unlink()
    return opened


@pytest.mark.parametrize("teacher", ["map", "evidence", "weak_labels"])
def test_the_student_learns_from_its_teacher_and_not_from_truth(
    without_truth: MappedScene, teacher: str
) -> None:
    model = Listener()
    settings = StudentSettings(teacher=teacher, rounds=2, settled=0)  # type: ignore[arg-type]
    train([without_truth], model, settings)  # type: ignore[arg-type]
    [window] = model.lessons[0]
    taught = without_truth.probabilities(teacher, without_truth.scene.extent)
    np.testing.assert_allclose(window.target, taught, atol=1e-6)
    assert not window.weight[:10, :10].any()


def test_a_student_draws_nothing_where_there_is_no_data(without_truth: MappedScene) -> None:
    drawn = without_truth.predicted(
        lambda image, _: Listener().predict(image), Box(0, 30, 0, 30), 3
    )
    assert drawn.shape == (5, 120, 120)
    np.testing.assert_array_equal(drawn.any(axis=0), np.add.outer(*[np.arange(120) >= 40] * 2))
