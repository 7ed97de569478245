"""The plan of filling the pixels that a map is unsure of: by which prior, and how."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from landcover_pnp.inference.filling import FillSettings, require_usable
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.sample_plan import masked_folder
from landcover_pnp.storage.records import Ingredients, ingredients


@dataclass(frozen=True)
class HidePlan:
    """How the unsure pixels of a map are going to be filled.

    Attributes:
        below: Probability of its class below which a pixel is hidden.
        prior: Folder of the masked prior; None is the shipped one.
        fingerprint: Of that prior.
        prior_m: Pixel side of its label maps, metres.
        fill: How pixels are filled.
        note: What is filled by which prior, in words.
    """

    below: float
    prior: Path | None
    fingerprint: str
    prior_m: float
    fill: FillSettings
    note: str

    @property
    def made_of(self) -> Ingredients:
        """What the filled pixels depend on, besides the map and its windows."""
        return ingredients(hide_below=self.below, prior=self.fingerprint, fill=self.fill)


def plan_hide(inference: InferenceSettings) -> HidePlan | None:
    """Loads the prior that fills what a map is unsure of; None where nothing is hidden.

    It is the run's own where that is a masked one, and else the shipped one, as for samples. It
    need not serve the working grid: as by ``landcover fill``, the map is brought to its pixels.

    Raises:
        PriorError: If the prior is missing or damaged.
        SettingsError: If ``inference.fill`` fills nothing.
    """
    if not inference.hide_below:
        return None
    from landcover_pnp.prior.loading import load_prior  # torch: seconds

    own = cast(FillSettings, inference.of("fill"))
    fill = FillSettings(**{f.name: getattr(own, f.name) for f in fields(FillSettings)})
    require_usable(fill)
    folder, which = masked_folder(inference.prior)
    prior = load_prior(folder, "masked")
    return HidePlan(
        below=inference.hide_below,
        prior=folder,
        fingerprint=prior.fingerprint,
        prior_m=prior.resolution_m,
        fill=fill,
        note=f"pixels whose class has less than {inference.hide_below:g} are filled by {which}",
    )
