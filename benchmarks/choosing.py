"""The rule by which a configuration may become a default, on scores of scenes with truth.

A configuration is compared with a plain one, scene by scene, on the same cells of ground. It may be
a default only if its mean gains and no scene loses: a scene loses where the difference of mean IoU
is below -``MOST_LOST`` and its bootstrap interval lies below 0 as a whole. Classes that cover less
than ``RARE`` of a scene's truth do not count in these differences.

Leave one scene out: the best configuration by the rule on the other scenes is looked at on the one
that had no part in choosing it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.evaluation.intervals import Interval, Measures, paired_differences
from landcover_pnp.evaluation.scores import Scores

MOST_LOST = 0.01
"""Loss of mean IoU that a scene may bear."""

RARE = 0.005
"""Share of a scene's truth below which a class does not count."""

DRAWS = 500
"""Bootstrap samples of an interval."""


@dataclass(frozen=True)
class Gain:
    """What a configuration is worth on a scene, against the plain one.

    Attributes:
        difference: Of mean IoU over the classes that count, with its interval of 95 %.
    """

    difference: Interval

    @property
    def loses(self) -> bool:
        """Whether the scene is worse off, and not by chance."""
        return self.difference.value < -MOST_LOST and self.difference.high < 0


@dataclass(frozen=True)
class Verdict:
    """What the rule says of a configuration.

    Attributes:
        mean: Mean difference over the scenes; 0 without any.
        worst: Scene of the lowest difference; None without scenes.
        losers: Scenes that lose.
    """

    mean: float
    worst: str | None
    losers: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether it may be a default."""
        return self.mean > 0 and not self.losers


@dataclass(frozen=True)
class LeftOut:
    """What is chosen without a scene, and what that is worth on it.

    Attributes:
        scene: The scene left out.
        chosen: The configuration chosen on the others.
        difference: Its difference on the scene left out, to the plain configuration.
    """

    scene: str
    chosen: str
    difference: float


def counted_classes(confusion: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Classes that cover enough of the truth: (truth 6, predicted 6) -> (class,)."""
    truth = confusion[1:].sum(axis=1)
    return np.asarray(truth >= RARE * max(int(truth.sum()), 1))


def counted_mean_iou(counted: NDArray[np.bool_]) -> Measures:
    """Mean IoU over the classes that count; those that a resample has lost are left out of it."""

    def measures(scores: Scores) -> dict[str, float]:
        iou = scores.iou[counted]
        there = iou[~np.isnan(iou)]
        return {"mean_iou": float(there.mean()) if there.size else float("nan")}

    return measures


def gain(cells: Scores, plain: Scores) -> Gain:
    """The gain of a configuration on a scene.

    Args:
        cells: Its scores by cell, (cell, truth, predicted).
        plain: Those of the plain configuration, of the same cells.
    """
    measures = counted_mean_iou(counted_classes(plain.confusion.sum(axis=0)))
    return Gain(paired_differences(measures, cells, plain, seed=0, draws=DRAWS)["mean_iou"])


def verdict(gains: Mapping[str, Gain]) -> Verdict:
    """What the rule says of a configuration, from its gains by scene."""
    values = {scene: g.difference.value for scene, g in gains.items()}
    losers = tuple(scene for scene, g in gains.items() if g.loses)
    mean = float(np.mean(list(values.values()))) if values else 0.0
    return Verdict(mean, min(values, key=values.__getitem__) if values else None, losers)


def choose(gains: Mapping[str, Mapping[str, Gain]], plain: str) -> str:
    """The allowed configuration of the highest mean gain, or else the plain one.

    Args:
        gains: Gains by configuration and scene.
        plain: Name of the plain configuration.
    """
    verdicts = {name: verdict(by_scene) for name, by_scene in gains.items()}
    means = {name: v.mean for name, v in verdicts.items() if v.allowed}
    return max(means, key=means.__getitem__) if means else plain


def leave_one_out(
    gains: Mapping[str, Mapping[str, Gain]], scenes: Sequence[str], plain: str
) -> list[LeftOut]:
    """Chooses without each scene in turn.

    Args:
        gains: Gains by configuration and scene; a scene in which a configuration has no part is
            missing there, and counts as no difference.
        scenes: Scenes that take turns.
        plain: Name of the plain configuration.
    """
    found = []
    for left_out in scenes:
        others = {
            name: {scene: g for scene, g in by_scene.items() if scene != left_out}
            for name, by_scene in gains.items()
        }
        chosen = choose(others, plain)
        own = gains.get(chosen, {}).get(left_out)
        found.append(LeftOut(left_out, chosen, own.difference.value if own else 0.0))
    return found
