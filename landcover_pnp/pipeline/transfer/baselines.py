"""Baselines of domain transfer: supervision elsewhere, supervision here, weak labels alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, NO_DATA
from landcover_pnp.student.image_models import Lesson
from landcover_pnp.student.mapped_scene import Place, Site

_TINY = 1e-8


def truth_lessons(
    places: Sequence[Place], *, with_weak_labels: bool = False, left_half: bool = False
) -> list[Lesson]:
    """Lessons from truth at the image's resolution: supervision, for a source city.

    Args:
        places: Windows of sites with truth.
        with_weak_labels: Whether the weak labels are further channels of the image.
        left_half: Whether only the left half of each site counts.

    Returns:
        A lesson a window; pixels without truth or image do not count.
    """
    lessons = []
    for site, box in places:
        image = site.fine.image(box)
        truth = known_truth(site, box)
        if left_half:
            truth[:, max(middle(site) - box.x0, 0) * site.fine.factor :] = NO_DATA
        if with_weak_labels:
            image = with_channels(image, site.upsampled(site.probabilities("weak_labels", box)))
        one_hot = np.eye(CLASS_COUNT + 1, dtype=np.float32)[truth][..., 1:]
        known: NDArray[np.float32] = np.asarray(np.greater(truth, 0), np.float32)
        target = np.moveaxis(one_hot, -1, 0)
        lessons.append(Lesson(image, target, known, detail=site.fine.factor))
    return lessons


def known_truth(site: Site, box: Box) -> NDArray[np.uint8]:
    """Truth of a window, where the image has data: (fine y, fine x) working classes."""
    truth = site.fine.truth(box)
    truth[site.upsampled(site.scene.valid(box).astype(np.float32)) == 0] = NO_DATA
    return truth


def weak_lessons(places: Sequence[Place]) -> list[Lesson]:
    """Lessons from weak labels, for the losses below."""
    lessons = []
    for site, box in places:
        weak = site.probabilities("weak_labels", box)
        known: NDArray[np.float32] = np.asarray(weak.any(axis=0), np.float32)
        lessons.append(Lesson(site.fine.image(box), weak, known))
    return lessons


def with_channels(image: NDArray[np.float32], weak: NDArray[np.float32]) -> NDArray[np.float32]:
    """(band, y, x) and (class, y, x) as one image (band + class, y, x)."""
    return np.concatenate([image, weak])


def middle(site: Site) -> int:
    """Working column where the right half of a site begins."""
    return site.scene.extent.x1 // 2


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
