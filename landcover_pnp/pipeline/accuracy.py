"""How good a map is, as a library: its doubtful places, a sample of it, what its labels say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from landcover_pnp.products.dataset import LandCover, run_of
from landcover_pnp.products.settings import DoubtfulSettings, SampleSettings

if TYPE_CHECKING:
    from landcover_pnp.pipeline.doubt_stage import DoubtfulSummary
    from landcover_pnp.products.assessment import Assessment
    from landcover_pnp.products.sample import SampleSummary


def doubtful_places(
    result: LandCover | str | Path, *, count: int = 50, apart_m: float = 40.0
) -> DoubtfulSummary:
    """Lists the places of a map that are most worth a look, with a picture of each.

    Args:
        result: Of ``map_scene`` or ``open_run``, or a run folder.
        count: Number of places.
        apart_m: Least distance between two of them, metres.

    Returns:
        Where the GeoPackage lies.

    Raises:
        RequestError: If the run is not finished or has no doubt, or a number is out of range.
        RunError: If a file cannot be written.
    """
    from landcover_pnp.pipeline.doubt_stage import write_doubtful

    return write_doubtful(run_of(result), DoubtfulSettings(count, apart_m))


def sample(
    result: LandCover | str | Path, *, n: int = 200, per_class: int | None = None, seed: int = 0
) -> SampleSummary:
    """Draws a stratified random sample of a map, to be labelled by hand.

    Args:
        result: Of ``map_scene`` or ``open_run``, or a run folder.
        n: Number of points.
        per_class: Fewest points of a class; None is half of what equal shares would be.
        seed: Seed of the draw.

    Returns:
        Where the GeoPackage lies whose column ``class`` is to be filled in.

    Raises:
        RequestError: If the run is not finished, the sample cannot be drawn, or another sample is
            there under its name.
    """
    from landcover_pnp.products.sample import write_sample

    return write_sample(run_of(result), SampleSettings(n, per_class, seed))


def assess(result: LandCover | str | Path, sample: str | Path) -> Assessment:
    """Estimates a map's accuracy and the areas on the ground from a labelled sample.

    Args:
        result: The map that it was drawn of, as for ``sample``.
        sample: GeoPackage of ``sample``, labelled.

    Returns:
        Area-adjusted accuracies and areas with 95 % intervals (Olofsson et al. 2014).

    Raises:
        RequestError: If the sample was drawn of another map, or is not labelled as it should be.
    """
    from landcover_pnp.products.assessment import assess_run

    return assess_run(run_of(result), Path(sample))
