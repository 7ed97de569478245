"""Baselines of domain transfer: supervision elsewhere, supervision here, weak labels alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, NO_DATA
from landcover_pnp.student.image_models import TrainingWindow
from landcover_pnp.student.mapped_scene import MappedScene, Place

_TINY = 1e-8


def truth_windows(
    places: Sequence[Place], *, with_weak_labels: bool = False, left_half: bool = False
) -> list[TrainingWindow]:
    """Training windows from truth at the image's resolution: supervision, for a source city.

    Args:
        places: Windows of mapped scenes with truth.
        with_weak_labels: Whether the weak labels are further channels of the image.
        left_half: Whether only the left half of each mapped scene counts.

    Returns:
        A training window a window; pixels without truth or image do not count.
    """
    training_windows = []
    for mapped_scene, box in places:
        image = mapped_scene.fine.image(box)
        truth = known_truth(mapped_scene, box)
        if left_half:
            truth[:, max(middle(mapped_scene) - box.x0, 0) * mapped_scene.fine.factor :] = NO_DATA
        if with_weak_labels:
            image = with_channels(
                image, mapped_scene.upsampled(mapped_scene.probabilities("weak_labels", box))
            )
        one_hot = np.eye(CLASS_COUNT + 1, dtype=np.float32)[truth][..., 1:]
        known: NDArray[np.float32] = np.asarray(np.greater(truth, 0), np.float32)
        target = np.moveaxis(one_hot, -1, 0)
        training_windows.append(
            TrainingWindow(image, target, known, detail=mapped_scene.fine.factor)
        )
    return training_windows


def known_truth(mapped_scene: MappedScene, box: Box) -> NDArray[np.uint8]:
    """Truth of a window, where the image has data: (fine y, fine x) working classes."""
    truth = mapped_scene.fine.truth(box)
    truth[mapped_scene.upsampled(mapped_scene.scene.valid(box).astype(np.float32)) == 0] = NO_DATA
    return truth


def weak_windows(places: Sequence[Place]) -> list[TrainingWindow]:
    """Training windows from weak labels, for the losses below."""
    training_windows = []
    for mapped_scene, box in places:
        weak = mapped_scene.probabilities("weak_labels", box)
        known: NDArray[np.float32] = np.asarray(weak.any(axis=0), np.float32)
        training_windows.append(TrainingWindow(mapped_scene.fine.image(box), weak, known))
    return training_windows


def with_channels(image: NDArray[np.float32], weak: NDArray[np.float32]) -> NDArray[np.float32]:
    """(band, y, x) and (class, y, x) as one image (band + class, y, x)."""
    return np.concatenate([image, weak])


def middle(mapped_scene: MappedScene) -> int:
    """Working column where the right half of a mapped scene begins."""
    return mapped_scene.scene.extent.x1 // 2


def majority(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """(class,) 1 for the most frequent of the working classes 1..5 in labels of any shape."""
    counts = np.bincount(labels.ravel(), minlength=CLASS_COUNT + 1)[1:]
    return np.asarray(np.eye(CLASS_COUNT)[counts.argmax()], np.float32)


def qr_loss(q: Tensor, weak: Tensor, weight: Tensor) -> Tensor:
    """Forward loss against weak labels: KL(q || r) up to a constant.

    With the implicit likelihood p(x | l) ~ q(l | x) / q(l) the posterior of a pixel is
    r(l | x) ~ weak(l) q(l | x) / q(l), and KL(q || r), averaged, is
    sum_l q(l) log q(l) - mean sum_l q(l | x) log weak(l) plus the log normalisers, which the
    paper's free energy leaves out (Rolf et al. 2022, arXiv 2202.14000, section 3).

    Args:
        q: (batch, class, y, x) probabilities of the network.
        weak: (batch, class, y, x) weak labels.
        weight: (batch, y, x), 0 where there is no data.
    """
    share = _share(q, weight)
    fit = (q * weak.clamp_min(_TINY).log()).sum(dim=1)
    return (share * share.clamp_min(_TINY).log()).sum() - _mean(fit, weight)


def rq_loss(q: Tensor, weak: Tensor, weight: Tensor) -> Tensor:
    """Reverse loss against weak labels: KL(r || q), r(l | x) ~ weak(l) q(l | x) / q(l).

    Args:
        q: (batch, class, y, x) probabilities of the network.
        weak: (batch, class, y, x) weak labels.
        weight: (batch, y, x), 0 where there is no data.
    """
    r = weak * q / _share(q, weight).clamp_min(_TINY)[:, None, None]
    r = r / r.sum(dim=1, keepdim=True).clamp_min(_TINY)
    divergence = r * (r.clamp_min(_TINY).log() - q.clamp_min(_TINY).log())
    return _mean(divergence.sum(dim=1), weight)


def _share(q: Tensor, weight: Tensor) -> Tensor:
    """(class,) mean of q over the batch's pixels with data."""
    return (q * weight[:, None]).sum(dim=(0, 2, 3)) / weight.sum().clamp_min(_TINY)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return torch.sum(values * weight) / weight.sum().clamp_min(_TINY)
