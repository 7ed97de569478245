"""A small U-Net that learns from soft targets coarser than its image."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from landcover_pnp.interruption import undone_by_lightning
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.student.image_models import TrainingWindow, require_pixels
from landcover_pnp.student.settings import UNetSettings

_TINY = 1e-6


@contextmanager
def _one_thread() -> Iterator[None]:
    """The order of floating-point sums depends on the number of threads, and with it the bytes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class UNet:
    """A small U-Net (Ronneberger et al. 2015), trained with Lightning.

    It learns and predicts in one thread, so the same seed gives the same bytes on any machine's
    number of cores.

    Args:
        settings: Channels, steps, learning rate.
        bands: Bands of the image, further input channels included.
        loss: From (batch, class, y, x) probabilities, targets and (batch, y, x) weights to a
            scalar; None is the weighted cross entropy with the soft targets.
    """

    def __init__(
        self,
        settings: UNetSettings,
        bands: int,
        loss: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.settings = settings
        self.loss = loss or cross_entropy
        self._bands = bands
        self._net: _Network | None = None

    @property
    def reach_px(self) -> int:
        """Fine pixels around a pixel that its prediction mostly depends on."""
        return int(6 * 2 ** (len(self.settings.channels) - 1))

    def fit(self, training_windows: Sequence[TrainingWindow], seed: int) -> None:
        """Trains, from scratch at first and from what it knows afterwards.

        Args:
            training_windows: Windows to learn from.
            seed: Seed of weights, crops and augmentation.

        Raises:
            RasterError: As ``require_pixels``.
        """
        require_pixels(training_windows)
        fresh = self._net is None
        self._net = copy.deepcopy(self._net)  # what was copied of this model stays as it was
        with torch.random.fork_rng(), _one_thread():
            torch.manual_seed(seed)
            if self._net is None:
                self._net = _Network(
                    self.settings.channels, self._bands, *_colour_range(training_windows)
                )
            steps = self.settings.steps if fresh else self.settings.steps_more
            task = _Training(self._net, self.settings, self.loss, steps)
            data = _Crops(training_windows, self.settings, seed, steps)
            _train(task, DataLoader(data, batch_size=None), steps)
        self._net.eval()

    def predict(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(band, y, x) -> (class, y, x) float32 probabilities, sum to 1; any size.

        Raises:
            RuntimeError: Before the first fit.
        """
        if self._net is None:
            raise RuntimeError("an image model that has learned nothing predicts nothing")
        with torch.inference_mode(), _one_thread():
            p = self._net(torch.from_numpy(np.ascontiguousarray(image))[None]).softmax(dim=1)[0]
        return np.asarray(p.numpy(), np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its weights, with mean and deviation of the colours it has learned from.

        Raises:
            RuntimeError: Before the first fit.
        """
        if self._net is None:
            raise RuntimeError("an image model that has learned nothing has nothing to store")
        return {name: value.numpy() for name, value in self._net.state_dict().items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over weights.

        Raises:
            ValueError: If names, types or shapes are not those of the settings, or a value is
                not finite, or a deviation not above 0.
        """
        with torch.device("meta"):  # draws no weights only to be overwritten
            blank = torch.zeros(self._bands)
            net = _Network(self.settings.channels, self._bands, blank, blank)
        wanted = {name: tuple(value.shape) for name, value in net.state_dict().items()}
        for name in sorted(wanted.keys() | arrays.keys()):
            array = arrays.get(name)
            if name not in wanted or array is None:
                raise ValueError(f"{'no' if name in wanted else 'unknown'} array {name}")
            if array.dtype != np.float32 or array.shape != wanted[name]:
                raise ValueError(
                    f"{name} is {array.dtype} {array.shape}, expected float32 {wanted[name]}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds values that are not finite")
        if not (arrays["deviation"] > 0).all():
            raise ValueError("a band without a deviation above 0")
        weights = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        net.load_state_dict(weights, assign=True)
        self._net = net.eval()


def cross_entropy(p: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean of -sum_l target log p over pixels by their weight.

    Args:
        p: (batch, class, y, x) probabilities.
        target: (batch, class, y, x), sums to 1.
        weight: (batch, y, x).
    """
    losses = -(target * p.clamp_min(_TINY).log()).sum(dim=1)
    return (losses * weight).sum() / weight.sum().clamp_min(_TINY)


def _colour_range(training_windows: Sequence[TrainingWindow]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each band over the pixels that count."""
    seen = [
        training_window.image[
            :, _enlarged(training_window.weight > 0, training_window.factor)
        ].astype(np.float64)
        for training_window in training_windows
    ]
    pixels = np.concatenate(seen, axis=1)
    mean, deviation = pixels.mean(axis=1), pixels.std(axis=1) + 1e-3
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def _enlarged(mask: NDArray[Any], factor: int) -> NDArray[Any]:
    return mask.repeat(factor, axis=-2).repeat(factor, axis=-1)


class _Block(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers += [
                nn.Conv2d(width, outputs, 3, padding=1, bias=False),
                nn.GroupNorm(outputs // 8, outputs),
                nn.SiLU(),
            ]
        super().__init__(*layers)


class _Network(nn.Module):
    """(batch, band, y, x) in 0..1 -> (batch, class, y, x) logits."""

    def __init__(self, channels: Sequence[int], bands: int, mean: Tensor, deviation: Tensor):
        super().__init__()
        self.mean, self.deviation = nn.Buffer(mean), nn.Buffer(deviation)
        widths = [bands, *channels]
        self.down = nn.ModuleList(map(_Block, widths, channels))
        self.up = nn.ModuleList(
            _Block(below + level, level)
            for level, below in zip(channels[-2::-1], channels[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], CLASS_COUNT, 1)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        x = (image - self.mean[:, None, None]) / self.deviation[:, None, None]
        step = 2 ** (len(self.down) - 1)
        x = functional.pad(x, (0, -width % step, 0, -height % step), mode="replicate")
        levels = []
        for number, block in enumerate(self.down):
            x = block(functional.avg_pool2d(x, 2) if number else x)
            levels.append(x)
        for block, level in zip(self.up, levels[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = block(torch.cat([x, level], dim=1))
        logits: Tensor = self.head(x)[..., :height, :width]
        return logits


class _Crops(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Batches of random crops, turned, mirrored and changed in brightness."""

    def __init__(
        self,
        training_windows: Sequence[TrainingWindow],
        settings: UNetSettings,
        seed: int,
        steps: int,
    ) -> None:
        self.training_windows = [
            training_window for training_window in training_windows if training_window.weight.any()
        ]
        self.settings, self.seed, self.steps = settings, seed, steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rng = np.random.default_rng(self.seed)
        alike = self._by_detail()
        mass = np.array([sum(float(w.weight.sum()) for w in windows) for windows in alike])
        for _ in range(self.steps):
            # A batch holds targets of one size: some of the time those that are finer.
            which = int(rng.choice(len(alike), p=mass / mass.sum())) if len(alike) > 1 else 0
            crops = [self._crop(alike[which], rng) for _ in range(self.settings.batch_size)]
            image, target, weight = (np.stack(part) for part in zip(*crops, strict=True))
            yield torch.from_numpy(image), torch.from_numpy(target), torch.from_numpy(weight)

    def _by_detail(self) -> list[list[TrainingWindow]]:
        """The windows, those with targets of one size together."""
        details = sorted({window.detail for window in self.training_windows})
        return [[w for w in self.training_windows if w.detail == d] for d in details]

    def _crop(
        self, windows: Sequence[TrainingWindow], rng: np.random.Generator
    ) -> tuple[NDArray[Any], ...]:
        training_window = windows[int(rng.integers(len(windows)))]
        # The same ground for all: what learns from truth sees no less around a pixel.
        side = self.settings.crop_px * training_window.detail
        height, width = training_window.weight.shape
        y, x = rng.integers(max(height - side, 0) + 1), rng.integers(max(width - side, 0) + 1)
        k = training_window.factor
        # Windows smaller than a crop are padded by pixels that do not count.
        pad = ((0, max(side - height, 0)), (0, max(side - width, 0)))
        image = training_window.image[:, y * k : (y + side) * k, x * k : (x + side) * k]
        image = np.pad(image, ((0, 0), *((0, after * k) for _, after in pad)), mode="reflect")
        target = np.pad(training_window.target[:, y : y + side, x : x + side], ((0, 0), *pad))
        weight = np.pad(training_window.weight[y : y + side, x : x + side], pad)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        gain = rng.normal(1, self.settings.jitter, (len(image), 1, 1)).astype(np.float32)

        def turned(part: NDArray[Any]) -> NDArray[Any]:
            part = np.rot90(part, turns, axes=(-2, -1))
            return np.ascontiguousarray(part[..., ::-1] if mirrored else part)

        return turned(image) * gain, turned(target), turned(weight)


class _Training(lightning.LightningModule):
    def __init__(
        self,
        net: _Network,
        settings: UNetSettings,
        loss: Callable[[Tensor, Tensor, Tensor], Tensor],
        steps: int,
    ) -> None:
        super().__init__()
        self.net, self.settings, self.loss, self.steps = net, settings, loss, steps

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        image, target, weight = batch
        # Targets say what a working pixel is as a whole, so its fine pixels answer together: by
        # mean logits, which train more than mean probabilities (benchmarks/student_targets.py).
        k = image.shape[-1] // weight.shape[-1]
        p = functional.avg_pool2d(self.net(image), k).softmax(dim=1)
        return self.loss(p, target, weight)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(self.net.parameters(), self.settings.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self.settings.learning_rate, total_steps=self.steps
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _train(task: _Training, batches: DataLoader[Any], steps: int) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and accelerators
        trainer = lightning.Trainer(
            max_steps=steps,
            accelerator="cpu",
            # One process, also inside a Slurm job of several tasks, which Lightning would join.
            plugins=LightningEnvironment(),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=1.0,
        )
        with undone_by_lightning():
            trainer.fit(task, batches)
