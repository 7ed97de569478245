"""Settings of students: image models trained in the city itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from landcover_pnp.config import renamed, require_positive, require_within
from landcover_pnp.errors import SettingsError
from landcover_pnp.scenes.settings import LARGEST_SEED

_ANY = float("inf")


@dataclass(frozen=True)
class ForestSettings:
    """A forest of extremely randomised trees on colour and texture.

    Attributes:
        trees: Number of trees.
        leaf_px: Smallest number of pixels in a leaf.
        features_share: Share of the features tried at each split.
        sample_px: Fine pixels it learns from, spread over all windows.
        radii_m: Radii of the boxes whose means and deviations it sees, metres.
    """

    trees: int = 4
    leaf_px: int = 20
    features_share: float = 1.0
    sample_px: int = 20_000
    radii_m: list[float] = field(default_factory=lambda: [1.5, 4.0, 10.0])

    def __post_init__(self) -> None:
        """Refuses a forest that cannot learn."""
        require_within(self, 1, _ANY, "trees", "leaf_px", "sample_px")
        require_within(self, 0, 1, "features_share")
        require_positive(self, "features_share")
        if not self.radii_m or min(self.radii_m) < 0:
            raise _refused(f"radii_m is {self.radii_m}", "at least one radius, 0 or more")


@dataclass(frozen=True)
class UNetSettings:
    """A small U-Net.

    Attributes:
        channels: Feature channels by level, each half as fine as the one above; multiples of 8.
        steps: Optimiser steps from scratch.
        steps_more: Optimiser steps when it goes on from what it knows.
        batch_size: Crops a step.
        crop_px: Side of the crops, working pixels.
        learning_rate: Largest learning rate of AdamW, of a one-cycle schedule.
        jitter: Standard deviation of the random gain of each band.
    """

    channels: list[int] = field(default_factory=lambda: [16, 32, 48])
    steps: int = 200
    steps_more: int = 100
    batch_size: int = 4
    crop_px: int = 24
    learning_rate: float = 3e-3
    jitter: float = 0.05

    def __post_init__(self) -> None:
        """Refuses a network that cannot be built or learns nothing."""
        require_within(self, 1, _ANY, "steps", "steps_more", "batch_size")
        require_within(self, 1, 64, "crop_px")  # a window that it learns from
        require_positive(self, "learning_rate")
        require_within(self, 0, _ANY, "jitter")
        if not self.channels or any(width < 8 or width % 8 for width in self.channels):
            raise _refused(
                f"channels is {self.channels}", "multiples of 8, which are normalised in groups"
            )


@dataclass(frozen=True)
class StudentSettings:
    """An image model trained in the city itself by the map of finished runs.

    Attributes:
        model: The image model.
        teacher: What the first round learns: the map, or a baseline of the run.
        rounds: Most rounds.
        settled: The rounds end when one changes the class of less than this share of pixels.
        spectral_indices: Whether how green, bright and red a pixel is counts as evidence, as far as
            the scene tells what that means there, see ``index_borders.class_given_indices``.
        windows: Most windows of 64 working pixels that it learns from, spread over all runs; of
            a city with more, squares of 32 in so many windows.
        forest: The forest.
        unet: The U-Net.
        seed: Seed of everything random.
    """

    model: Literal["forest", "unet"] = "forest"
    teacher: Literal["map", "evidence", "weak_labels"] = "map"
    rounds: int = 2
    settled: float = 0.01
    spectral_indices: bool = renamed("tones", default=True)
    windows: int = 100
    forest: ForestSettings = field(default_factory=ForestSettings)
    unet: UNetSettings = field(default_factory=UNetSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses a student that learns nothing."""
        require_within(self, 1, _ANY, "rounds", "windows")
        require_within(self, 0, _ANY, "settled")
        require_within(self, 0, LARGEST_SEED, "seed")


def _refused(found: str, expected: str) -> SettingsError:
    fix = "correct the value in the configuration or on the command line"
    return SettingsError(found=found, expected=expected, fix=fix)
