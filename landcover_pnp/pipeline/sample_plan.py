"""The plan of posterior samples: the prior they are drawn from, and whether it serves the grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from landcover_pnp.errors import SettingsError, UnservedError
from landcover_pnp.inference.choice import Served
from landcover_pnp.inference.filling import VIEW_PX, FillSettings
from landcover_pnp.pipeline.settings import MapSettings

if TYPE_CHECKING:
    from landcover_pnp.prior.masked_prior import MaskedPrior


@dataclass(frozen=True)
class SamplePlan:
    """How the samples of a map are going to be drawn.

    Attributes:
        count: Number of samples.
        prior: Folder of the masked prior; None is the shipped one.
        fingerprint: Of that prior.
        fill: How maps are drawn.
        view_px: Side of the crops that the prior sees.
        note: Which prior, in words.
    """

    count: int
    prior: Path | None
    fingerprint: str
    fill: FillSettings
    view_px: int
    note: str


def plan_samples(settings: MapSettings) -> SamplePlan | None:
    """Loads the prior that the samples of a map are drawn from; None where none are asked for.

    It is the run's own where that is a masked one, and else the shipped one: the map may come
    from an engine without a prior, or from one that needs the Gaussian kind.

    Raises:
        PriorError: If it is missing, damaged, or does not serve the working grid.
        SettingsError: If the samples would not heed the map.
    """
    if not settings.samples:
        return None
    fill = cast(FillSettings, settings.inference.of("fill"))
    if not fill.evidence_weight:
        raise SettingsError(
            found=f"inference.fill.evidence_weight is 0, and {settings.samples} samples are asked "
            "for: they would be drawn from the prior alone, whatever the map says",
            expected="a weight above 0",
            fix="leave inference.fill.evidence_weight out, or set samples to 0",
        )
    folder, why = masked_folder(settings.inference.prior)
    prior = masked_prior(folder, settings.scene.resolution_m, "the samples of the map")
    return SamplePlan(
        settings.samples,
        folder,
        prior.fingerprint,
        fill,
        settings.inference.view_px or VIEW_PX,
        f"{settings.samples} samples of the map are drawn from {why}",
    )


def masked_folder(named: Path | None) -> tuple[Path | None, str]:
    """The folder of a run's masked prior, None for the shipped one; and which it is, in words."""
    from landcover_pnp.prior.folder import kind_of

    if named is None:
        return None, "the shipped masked prior"
    if kind_of(named) == "masked":
        return named, f"the masked prior {named}"
    return None, f"the shipped masked prior, since {named} is a Gaussian one"


def masked_prior(folder: Path | None, resolution_m: float, purpose: str) -> MaskedPrior:
    """A masked prior that serves a working grid.

    Args:
        folder: Its folder; None is the shipped one.
        resolution_m: Side of the working pixels, metres.
        purpose: What it is for, for the message.

    Raises:
        PriorError: If it is missing, damaged, or does not serve the grid.
    """
    from landcover_pnp.prior.loading import load_prior

    prior = cast("MaskedPrior", load_prior(folder, "masked"))
    if resolution_m not in (served := Served(prior.resolution_m)):
        raise UnservedError(
            found=f"a masked prior of label maps at {served.own_m:g} m for a working grid of "
            f"{resolution_m:g} m ({folder or 'the shipped one'}, needed for {purpose})",
            expected=f"pixels that it serves, {served}",
            fix="map on such a grid, or name a masked prior of such label maps as inference.prior",
            tries_m=(served.own_m,),
        )
    return prior
