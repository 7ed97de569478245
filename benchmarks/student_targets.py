"""How a U-Net student learns targets coarser than its image: pooling or upsampling them.

Three ways: its probabilities pooled over each working pixel, its logits pooled (the package's), and
the targets upsampled to the image's pixels. Accuracy / mean IoU at the image's resolution and
processor seconds of training, by seed, on the real window of Pittsburgh (where the folder ../shared
is there; its own p(class | NLCD)) and on two synthetic cities of 512 m, seed 21 (NLCD definitions,
refined). Students learn from `evidence`.

Usage: python benchmarks/student_targets.py [CITY ...]
"""

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from student_scenes import REFINED, TARGET, evidence_of, mapped, pittsburgh, scored, synthetic
from torch import Tensor
from torch.nn import functional
from words import parser

from landcover_pnp.student import unet
from landcover_pnp.student.image_models import TrainingWindow
from landcover_pnp.student.mapped_scene import MappedScene
from landcover_pnp.student.settings import StudentSettings, UNetSettings
from landcover_pnp.student.training import train
from landcover_pnp.student.unet import UNet

SEEDS = (0, 1)


class PooledProbabilities(unet._Training):
    """Training whose probabilities are averaged over a working pixel, not the logits."""

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Loss of a batch."""
        image, target, weight = batch
        k = image.shape[-1] // weight.shape[-1]
        return self.loss(functional.avg_pool2d(self.net(image).softmax(dim=1), k), target, weight)


class Upsampled(UNet):
    """A U-Net whose targets are those of the working pixel, at each of the image's pixels."""

    def fit(self, training_windows: Sequence[TrainingWindow], seed: int) -> None:
        """Trains on the same crops, each target repeated."""
        k = training_windows[0].factor
        fine = [
            TrainingWindow(
                x.image, x.target.repeat(k, -2).repeat(k, -1), x.weight.repeat(k, 0).repeat(k, 1), k
            )
            for x in training_windows
        ]
        super().fit(fine, seed)


class Pooled(UNet):
    """A U-Net trained with ``PooledProbabilities``."""

    def fit(self, training_windows: Sequence[TrainingWindow], seed: int) -> None:
        """Trains on the same crops."""
        with patch.object(unet, "_Training", PooledProbabilities):
            super().fit(training_windows, seed)


WAYS: dict[str, Callable[[UNetSettings, int], UNet]] = {
    "probabilities pooled": Pooled,
    "logits pooled": UNet,
    "targets upsampled": Upsampled,
}


def cell(mapped_scene: MappedScene, way: Callable[[UNetSettings, int], UNet], seed: int) -> str:
    """Scores and cost of one student."""
    settings = StudentSettings(model="unet", teacher="evidence", seed=seed)
    start = time.process_time()
    trained = train([mapped_scene], way(settings.unet, mapped_scene.scene.image_bands), settings)
    cost = time.process_time() - start
    s = scored(mapped_scene, trained.predict(mapped_scene), trained.model.reach_px)
    return f"{s.accuracy:.3f} / {s.mean_iou:.3f} ({cost:.0f} s)"


def main(wanted: list[str]) -> None:
    """Prints the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"| city | seed | `evidence` | {' | '.join(WAYS)} |\n|---|---:|" + "---:|" * 4)
    with TemporaryDirectory() as name:
        folder, real = Path(name), pittsburgh()
        files = {"hill_country": (synthetic("hill_country", 21, folder), REFINED)}
        files["humid_east"] = synthetic("humid_east", 21, folder), REFINED
        if real is not None:
            files["Pittsburgh"] = real, TARGET
        for city, (given, weak_labels) in files.items():
            if wanted and city not in wanted:
                continue
            mapped_scene = mapped(given, weak_labels, folder / city)
            s = scored(mapped_scene, evidence_of(mapped_scene), 0)
            for seed in SEEDS:
                cells = " | ".join(cell(mapped_scene, way, seed) for way in WAYS.values())
                row = f"| {city} | {seed} | {s.accuracy:.3f} / {s.mean_iou:.3f} | {cells} |"
                print(row, flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("city", nargs="*")
    main(options.parse_args().city)
