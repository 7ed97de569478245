"""Settings of the evidence: weak labels and clusters."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from landcover_pnp.config import renamed, require_positive, require_within
from landcover_pnp.legends.coarse_legend import Blur, CoarseName

_ANY = float("inf")

_FAR_M = 1e6
"""No distance in a city is longer, metres."""


@dataclass(frozen=True)
class RefinementSettings:
    """Re-estimation of p(class | code) from the image, without labels.

    Attributes:
        colours: Kinds of colour and texture that are told apart.
        iterations: Most EM iterations.
        keep: Weight of an even mix of trees and grass, relative to the city's own pixels.
        sample_px: Working pixels it looks at, in windows spread over the city.
    """

    colours: int = 48
    iterations: int = 100
    keep: float = 0.2
    sample_px: int = 250_000

    def __post_init__(self) -> None:
        """Refuses numbers that no matrix can be re-estimated with."""
        require_within(self, 1, _ANY, "colours", "sample_px")
        require_within(self, 0, _ANY, "iterations")
        require_within(self, 0, 1e6, "keep")


@dataclass(frozen=True)
class WeakLabelSettings:
    """Weak labels from coarse maps and vectors.

    Attributes:
        matrix_source: Where p(class | code) of the coarse maps comes from: ``target`` (the scene's
            own truth, as published), ``source`` (truth of other cities) or ``definitions`` (the
            legends' own texts, no labels at all).
        source_scenes: Configuration files of the source cities, for ``source``.
        refinement: Re-estimation of that matrix from the scene's colours; null takes it as it is.
        blur_m: Standard deviation of the Gaussian blur of the coarse maps' classes, metres; null is
            what each legend says.
        kernel_m: Width of that blur's kernel, metres; null is what each legend says.
        road_radius_m: Box radius of the roads' blur, metres.
        building_radius_m: Box radius of the buildings' blur, metres.
        water_radius_m: Box radius of the water's blur, metres.
        legend: Legend of ``scene.rasters.coarse``, the name of one that is known or a YAML file;
            null is what ``scene.rasters.legend`` says.
    """

    matrix_source: Literal["target", "source", "definitions"] = renamed(
        "protocol", default="definitions"
    )
    source_scenes: list[Path] = field(default_factory=list)
    refinement: RefinementSettings | None = renamed("repair", default_factory=RefinementSettings)
    blur_m: float | None = renamed("nlcd_blur_m", default=None)
    kernel_m: float | None = renamed("nlcd_kernel_m", default=None)
    road_radius_m: float = 4.0
    building_radius_m: float = 4.0
    water_radius_m: float = 2.0
    legend: CoarseName | Path | None = None

    def __post_init__(self) -> None:
        """Refuses distances below 0."""
        require_within(self, 0, _FAR_M, "blur_m", "kernel_m")
        require_within(self, 0, _FAR_M, "road_radius_m", "building_radius_m", "water_radius_m")

    def blur(self, legends: Blur) -> Blur:
        """The blur of a coarse map whose legend asks for another."""
        sigma_m = legends.sigma_m if self.blur_m is None else self.blur_m
        return Blur(sigma_m, legends.kernel_m if self.kernel_m is None else self.kernel_m)


@dataclass(frozen=True)
class ClusterSettings:
    """Colour clusters of the image.

    Attributes:
        method: ``local`` is the Gaussian mixture whose parameters vary in space; ``gaussian``
            and ``kmeans`` are scikit-learn's, one fit per tile: neighbouring tiles agree less.
        clusters: Number of clusters.
        contrasts: Whether to cluster brightness and the differences of neighbouring bands. The
            released program clusters the bands themselves (false), but these rise and fall
            together, which diagonal variances cannot express.
        radius_px: Radius of the box means of the local mixture, working pixels.
        iterations: EM iterations; the released program's 30 map no better, and each one
            widens the surroundings that a pixel depends on.
        warmup_iterations: First iterations with the warm-up radius.
        warmup_radius_px: Their radius.
        variance_floor: Smallest variance; bands are scaled to 0..1.
        sample_px: Pixels of the whole scene sampled for the start centres.
    """

    method: Literal["local", "gaussian", "kmeans"] = "local"
    clusters: int = 5
    contrasts: bool = True
    radius_px: int = 15
    iterations: int = 10
    warmup_iterations: int = 0
    warmup_radius_px: int = 15
    variance_floor: float = 1e-4
    sample_px: int = 50_000

    def __post_init__(self) -> None:
        """Refuses numbers that nothing can be clustered with."""
        require_within(self, 1, _ANY, "clusters", "iterations", "sample_px")
        require_within(self, 0, _ANY, "radius_px", "warmup_radius_px", "warmup_iterations")
        require_positive(self, "variance_floor")
