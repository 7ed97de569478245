"""Label maps drawn from a prior, and a picture of them beside real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from landcover_pnp.errors import RequestError
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.label_maps import draw_label_maps, read_label_maps
from landcover_pnp.prior.loading import AnyPrior, load_prior
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.noise import noise_field
from landcover_pnp.prior.settings import SamplePriorSettings
from landcover_pnp.prior.unmasking import UnmaskSettings, unmask
from landcover_pnp.storage.atomic import completed, make_folder

_NO_DATA_COLOUR = (255, 255, 255)
TEMPERATURE = 0.85
"""Temperature of a masked prior's samples: their shapes are nearest then to those of Pittsburgh and
of synthetic cities (benchmarks/unmasking.py); at 1 they have the prior's class shares, and more
specks."""

_SYNTHETIC_MAPS, _SYNTHETIC_WIDTH_M = 8, 800


SOFTWARE = "landcover-pnp samples"
"""What a picture of samples says of its maker: only such a one is replaced."""


@dataclass(frozen=True)
class SamplePriorSummary:
    """What was drawn.

    Attributes:
        out: PNG file.
        fingerprint: Fingerprint of the prior.
        sample_shares: Share of each class in the samples, by class name.
        real_shares: The same in the real crops.
    """

    out: Path
    fingerprint: str
    sample_shares: dict[str, float]
    real_shares: dict[str, float]


def sample_maps(prior: AnyPrior, count: int, steps: int, seed: int) -> NDArray[np.uint8]:
    """Draws label maps from a prior in a few random steps.

    Args:
        prior: The prior, of either kind.
        count: Number of maps.
        steps: Steps: of denoising, spread evenly over t = T..0, clean maps kept in [0, 1], or of
            revealing hidden pixels, whose classes are drawn at ``TEMPERATURE``.
        seed: Seed of the noise; a map does not depend on how many are drawn with it.

    Returns:
        (sample, y, x) uint8 of the prior's legend, 0 = no data; as large as its crops.
    """
    if isinstance(prior, MaskedPrior):
        return draw_masked(prior, count, UnmaskSettings(steps, TEMPERATURE), seed)

    def noise(step: int) -> Tensor:
        return _noise(prior, count, step, seed)

    levels = np.linspace(prior.schedule.steps, 0, steps + 1).round().astype(int).tolist()
    x_t = noise(0)
    with torch.no_grad():
        for step, (t, t_next) in enumerate(pairwise(levels), start=1):
            x0 = prior.schedule.predict_clean(x_t, prior.predict_noise(x_t, t), t).clamp(0, 1)
            x_t = prior.schedule.ddim_step(x_t, x0, t, t_next, noise(step))
    return x_t.argmax(1).cpu().numpy().astype(np.uint8)


def draw_masked(
    prior: MaskedPrior, count: int, settings: UnmaskSettings, seed: int
) -> NDArray[np.uint8]:
    """Draws label maps from a masked prior, as ``sample_maps`` with all of its settings.

    Args:
        prior: The prior.
        count: Number of maps.
        settings: Steps, temperature and order.
        seed: Seed of the noise; a map does not depend on how many are drawn with it.

    Returns:
        (sample, y, x) uint8, 1 to 5.
    """
    side = prior.crop_px
    hidden = torch.zeros(count, side, side, dtype=torch.int64, device=prior.device)
    drawn = unmask(prior, hidden, settings, lambda step: _noise(prior, count, step, seed))
    return drawn.cpu().numpy().astype(np.uint8)


def _noise(prior: AnyPrior, count: int, step: int, seed: int) -> Tensor:
    """(sample, channel, y, x) noise of a step, of a row of maps side by side."""
    side = prior.crop_px
    field = noise_field(seed, step, prior.channels, ((0, side), (0, count * side)))
    maps = torch.from_numpy(field.reshape(-1, side, count, side)).permute(2, 0, 1, 3)
    return maps.to(prior.device)


def sample_prior(settings: SamplePriorSettings) -> SamplePriorSummary:
    """Draws samples of a prior and puts them beside real crops in one picture.

    Args:
        settings: Prior, label maps and picture.

    Returns:
        What was drawn.

    Raises:
        LandcoverError: If the prior or the label maps cannot be read.
    """
    _require_ours(settings.out)
    prior = load_prior(settings.prior, settings.kind)
    if settings.labels is None:
        maps = list(draw_label_maps(_SYNTHETIC_MAPS, _SYNTHETIC_WIDTH_M, settings.seed))
    else:
        maps = read_label_maps(settings.labels, prior.resolution_m)
    crops = LabelCrops(
        [LabelSource(maps)], prior.crop_px, prior.resolution_m, settings.samples, settings.seed
    )
    make_folder(settings.out.parent)  # refused now rather than after the work
    real = np.stack([crops[i].x0.argmax(0).numpy() for i in range(settings.samples)])
    samples = sample_maps(prior, settings.samples, settings.steps, settings.seed)
    with completed(settings.out) as partial:
        picture = samples_picture({"samples of the prior": samples, "label maps": real})
        picture.savefig(partial, format="png", metadata={"Software": SOFTWARE})
    return SamplePriorSummary(
        settings.out, prior.fingerprint, _shares(samples), _shares(real.astype(np.uint8))
    )


def _require_ours(path: Path) -> None:
    """Refuses to replace a picture that is not one of samples."""
    if not path.exists():
        return
    try:
        with Image.open(path) as picture:
            ours = picture.info.get("Software") == SOFTWARE
    except OSError:
        ours = False
    if not ours:
        raise RequestError(
            found=f"{path} is there already, and is no picture of samples",
            expected="a new file, or a picture that this command has made",
            fix="choose another --out",
        )


def _shares(labels: NDArray[np.uint8]) -> dict[str, float]:
    """Share of each class, by name."""
    return {c.name: float(np.mean(labels == c.code)) for c in WORKING.classes}


def samples_picture(panels: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Sets of label maps side by side in legend colours, with their class shares.

    Args:
        panels: Label maps (map, y, x) uint8 by title.

    Returns:
        The picture.
    """
    colours = np.array([_NO_DATA_COLOUR, *(c.colour for c in WORKING.classes)]) / 255
    figure = Figure(figsize=(6.5 * len(panels), 7.4), dpi=100)
    FigureCanvasAgg(figure)
    parts = GridSpec(1, len(panels), figure)
    for i, (title, maps) in enumerate(panels.items()):
        side = int(np.ceil(np.sqrt(len(maps))))
        part = figure.add_subfigure(parts[i])
        part.suptitle(title)
        part.subplots_adjust(left=0.02, right=0.98, top=0.92, bottom=0.1, wspace=0.04, hspace=0.04)
        for axes, labels in zip(part.subplots(side, side, squeeze=False).flat, maps, strict=False):
            axes.imshow(
                labels,
                cmap=ListedColormap(colours),
                vmin=0,
                vmax=len(colours) - 1,
                interpolation="nearest",
            )
        for axes in part.axes:
            axes.set_axis_off()
        patches = [Patch(color=colours[c.code]) for c in WORKING.classes]
        shares = _shares(maps)
        if (maps == NO_DATA).any():
            patches.append(Patch(facecolor=colours[NO_DATA], edgecolor="grey"))
            shares["no class"] = float(np.mean(maps == NO_DATA))
        part.legend(
            patches,
            [f"{name} {share:.0%}" for name, share in shares.items()],
            loc="lower center",
            ncols=3,
            frameon=False,
            fontsize="small",
        )
    return figure
