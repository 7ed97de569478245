"""Holes in label maps whose classes are known, and how well they are filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.evaluation.scores import Scores, score
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING

SQUARES_M = (16, 32, 64, 128)
"""Sides of the hidden squares, metres."""

STRIPES = "stripes"
"""Hidden stripes, the gaps of a scanner: ``STRIPE_M`` wide, one in ``PERIOD_M``, either way."""

STRIPE_M, PERIOD_M = 24, 80

KINDS = (*(f"{side} m" for side in SQUARES_M), STRIPES)
"""Kinds of hole."""

_LEAST = 1e-4
"""Smallest probability that a fill is scored by."""

Fill = Callable[[NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.floating]]
"""Fills a map: (y, x) uint8 codes, 0 where hidden or without data, and (y, x) hidden pixels to
(class 5, y, x) probabilities, of which only those of hidden pixels count."""


@dataclass(frozen=True, eq=False)
class Hole:
    """A map with hidden pixels.

    Attributes:
        kind: One of ``KINDS``.
        scene: Name of the map.
        labels: (y, x) uint8 working codes, 0 = unlabelled.
        hidden: (y, x) pixels that are hidden.
    """

    kind: str
    scene: str
    labels: NDArray[np.uint8]
    hidden: NDArray[np.bool_]

    @property
    def visible(self) -> NDArray[np.uint8]:
        """(y, x) uint8, 0 where hidden too."""
        return np.where(self.hidden, np.uint8(NO_DATA), self.labels)


def holes(
    maps: Mapping[str, NDArray[np.uint8]], resolution_m: float, count: int, seed: int
) -> Iterator[Hole]:
    """Hides parts of maps: the same for every method.

    Args:
        maps: (y, x) uint8 working codes, by the scene's name.
        resolution_m: Pixel side, metres.
        count: Holes of each kind a map.
        seed: Seed of their places.

    Yields:
        The holes, by kind and map. A kind that leaves nothing visible of a map, or whose hole
        has no labelled pixel, is left out.
    """
    random = np.random.default_rng([seed % 2**64, 17])
    for kind in KINDS:
        for scene, labels in maps.items():
            for _ in range(count):
                hidden = _hidden(kind, labels.shape, resolution_m, random)
                labelled = labels != NO_DATA
                if (hidden & labelled).any() and (~hidden & labelled).any():
                    yield Hole(kind, scene, labels, hidden)


def _hidden(
    kind: str, shape: tuple[int, ...], resolution_m: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    hidden = np.zeros(shape, bool)
    if kind == STRIPES:
        axis = int(random.integers(2))
        period, width = (max(1, round(m / resolution_m)) for m in (PERIOD_M, STRIPE_M))
        along = (np.arange(shape[axis]) + random.integers(period)) % period < width
        hidden |= along[:, None] if axis == 0 else along
        return hidden
    side = max(1, round(float(kind.removesuffix(" m")) / resolution_m))
    y, x = (int(random.integers(0, max(1, size - side + 1))) for size in shape)
    hidden[y : y + side, x : x + side] = True
    return hidden


@dataclass(frozen=True, eq=False)
class FillScores:
    """How well holes of one kind are filled, by scene.

    Attributes:
        accuracy: Share of the hidden pixels with the right class, mean of a scene's holes.
        nll: Negative log-likelihood of their classes, nats a pixel, mean of a scene's holes.
        scores: Counts of all hidden pixels of a scene.
        losses: (class 5,) summed negative log-likelihood by true class.
    """

    accuracy: Mapping[str, float]
    nll: Mapping[str, float]
    scores: Mapping[str, Scores]
    losses: Mapping[str, NDArray[np.float64]]

    @property
    def mean_accuracy(self) -> float:
        """Mean of the scenes."""
        return float(np.mean(list(self.accuracy.values())))

    @property
    def mean_nll(self) -> float:
        """Mean of the scenes."""
        return float(np.mean(list(self.nll.values())))

    @property
    def pooled(self) -> Scores:
        """Scores of the hidden pixels of all scenes."""
        first, *others = self.scores.values()
        return sum(others, first)

    @property
    def class_recall(self) -> NDArray[np.float64]:
        """(class 5,) share of a class's hidden pixels that are found; NaN without any."""
        confusion = self.pooled.confusion[1:, 1:]
        there = confusion.sum(1)
        return np.where(there > 0, np.diagonal(confusion) / np.maximum(there, 1), np.nan)

    @property
    def class_nll(self) -> NDArray[np.float64]:
        """(class 5,) negative log-likelihood a pixel by true class; NaN without any."""
        there = self.pooled.confusion[1:, 1:].sum(1)
        losses = np.sum(list(self.losses.values()), axis=0)
        return np.where(there > 0, losses / np.maximum(there, 1), np.nan)

    def without(self, *scenes: str) -> FillScores:
        """The same of the other scenes."""
        kept = {
            name: {scene: part for scene, part in parts.items() if scene not in scenes}
            for name, parts in vars(self).items()
        }
        return FillScores(**kept)


def score_fills(fill: Fill, cases: Sequence[Hole]) -> dict[str, FillScores]:
    """Fills holes and scores them.

    Args:
        fill: The method.
        cases: Of ``holes``.

    Returns:
        Scores by kind of hole.
    """
    found = {kind: FillScores({}, {}, {}, {}) for kind in dict.fromkeys(c.kind for c in cases)}
    groups: dict[tuple[str, str], list[Hole]] = {}
    for hole in cases:
        groups.setdefault((hole.kind, hole.scene), []).append(hole)
    for (kind, scene), alike in groups.items():
        parts = [_scored(fill, hole) for hole in alike]
        accuracy, nll, scores, losses = zip(*parts, strict=True)
        row = (float(np.mean(accuracy)), float(np.mean(nll)), sum(scores[1:], scores[0]))
        old = found[kind]
        found[kind] = FillScores(
            {**old.accuracy, scene: row[0]},
            {**old.nll, scene: row[1]},
            {**old.scores, scene: row[2]},
            {**old.losses, scene: np.sum(losses, axis=0)},
        )
    return found


def _scored(fill: Fill, hole: Hole) -> tuple[float, float, Scores, NDArray[np.float64]]:
    """Accuracy, negative log-likelihood, counts, and losses by class of one hole."""
    counted = hole.hidden & (hole.labels != NO_DATA)
    true = hole.labels[counted]
    p = np.asarray(fill(hole.visible, hole.hidden), np.float64)[:, counted]
    guess = (p.argmax(0) + 1).astype(np.uint8)
    loss = -np.log(np.maximum(p[true - 1, np.arange(len(true))], _LEAST))
    by_class = np.bincount(true - 1, loss, CLASS_COUNT).astype(np.float64)
    counts = score(guess, true, "five_classes")
    return float(np.mean(guess == true)), float(loss.mean()), counts, by_class


def fill_table(rows: Mapping[str, Mapping[str, FillScores]]) -> str:
    """A Markdown table: accuracy / mean IoU / negative log-likelihood by method and kind."""
    kinds = list(next(iter(rows.values())))
    lines = [" | ".join(["| accuracy / mean IoU / nll", *kinds]) + " |"]
    lines.append("|---|" + "---:|" * len(kinds))
    for name, found in rows.items():
        rows_of = (found[kind] for kind in kinds)
        cells = [
            f"{s.mean_accuracy:.3f} / {s.pooled.mean_iou:.3f} / {s.mean_nll:.3f}" for s in rows_of
        ]
        lines.append(" | ".join([f"| {name}", *cells]) + " |")
    return "\n".join(lines)


def class_table(rows: Mapping[str, Mapping[str, FillScores]], kind: str) -> str:
    """A Markdown table by class: share of a class's hidden pixels found / nll of one kind."""
    lines = [" | ".join([f"| {kind}: found / nll", *WORKING.names]) + " |"]
    lines.append("|---|" + "---:|" * CLASS_COUNT)
    for name, found in rows.items():
        pairs = zip(found[kind].class_recall, found[kind].class_nll, strict=True)
        cells = ["-" if np.isnan(n) else f"{r:.3f} / {n:.3f}" for r, n in pairs]
        lines.append(" | ".join([f"| {name}", *cells]) + " |")
    return "\n".join(lines)
