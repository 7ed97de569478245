"""Which engine infers a map, with which prior, and whether the prior serves the grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landcover_pnp.errors import PriorError, UnservedError
from landcover_pnp.inference.engine import require_prior, require_usable
from landcover_pnp.inference.settings import BASELINE, InferenceSettings

if TYPE_CHECKING:
    from landcover_pnp.prior.loading import AnyPrior

SERVES = 0.1
"""Share by which working pixels may be larger or smaller than those a prior has learned from."""

_LAST_DIGIT = 1e-9


@dataclass(frozen=True)
class EngineChoice:
    """How the tiles of a map are inferred.

    Attributes:
        inference: The settings with their engine named.
        prior: The prior; None where the engine needs none.
    """

    inference: InferenceSettings
    prior: AnyPrior | None


@dataclass(frozen=True)
class Served:
    """The working pixels that a prior serves.

    Attributes:
        own_m: Pixel side of its label maps, metres.
    """

    own_m: float

    @property
    def low_m(self) -> float:
        """The smallest, metres."""
        return self.own_m * (1 - SERVES)

    @property
    def high_m(self) -> float:
        """The largest, metres."""
        return self.own_m * (1 + SERVES)

    def __contains__(self, resolution_m: float) -> bool:
        """Whether it serves such pixels."""
        return abs(resolution_m / self.own_m - 1) <= SERVES + _LAST_DIGIT

    def __str__(self) -> str:
        """In words."""
        return f"{self.low_m:g} to {self.high_m:g} m"


def choose_engine(inference: InferenceSettings, resolution_m: float) -> EngineChoice:
    """Chooses engine and prior for a working grid; checks that they can be used.

    Args:
        inference: What was asked for.
        resolution_m: Side of a working pixel, metres.

    Returns:
        The engine asked for, or else the default one.

    Raises:
        PriorError: If the engine needs a prior that is missing, damaged, of another kind, or does
            not serve the grid.
        SettingsError: If the engine cannot be used with its settings.
    """
    prior = prior_of(inference)
    if prior is not None:
        require_prior(inference, prior)
        if resolution_m not in (served := Served(prior.resolution_m)):
            raise _unserved(inference, served, resolution_m)
    inference = replace(inference, engine=inference.engine_or_default)
    require_usable(inference, prior, BASELINE)
    return EngineChoice(inference, prior)


def prior_of(inference: InferenceSettings) -> AnyPrior | None:
    """The prior that settings ask for, loaded once a process; None where their engine needs none.

    Raises:
        PriorError: As ``load_prior``.
        SettingsError: If the engine and what it starts from take no kind of prior in common.
    """
    kinds = inference.prior_kinds
    if not kinds:
        return None
    from landcover_pnp.prior.loading import load_prior  # torch: seconds, where none is needed

    return load_prior(inference.prior, kinds[0])


def _unserved(inference: InferenceSettings, served: Served, resolution_m: float) -> PriorError:
    name = "the shipped one" if inference.prior is None else str(inference.prior)
    why = f"the engine {inference.engine}" if inference.engine else "inference.prior"
    return UnservedError(
        found=f"a prior of label maps at {served.own_m:g} m for a working grid of "
        f"{resolution_m:g} m ({name}, asked for by {why})",
        expected=f"pixels that it serves, {served}",
        fix="name a prior of such label maps, or leave inference.engine and inference.prior out",
        tries_m=(served.own_m,),
    )
