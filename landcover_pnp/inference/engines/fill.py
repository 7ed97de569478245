"""The prior where evidence is missing or weak: sure pixels are held, the others completed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from landcover_pnp.inference.checks import require_within
from landcover_pnp.inference.filling import VIEW_PX, FillSettings, fill, require_usable
from landcover_pnp.inference.registry import register_engine, start_from
from landcover_pnp.legend import CLASS_COUNT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from landcover_pnp.inference.task import Task


@dataclass(frozen=True)
class FillEngineSettings(FillSettings):
    """A map whose doubtful pixels, and those that the image does not show, the prior completes.

    Attributes:
        start: The map that is completed: the weak labels, or the map of another engine.
        hide_below: Probability of the likeliest class below which a pixel counts as hidden; 0
            hides only what the image does not show, such as ground under clouds.
    """

    start: str = start_from("weak_labels", default="evidence")
    hide_below: float = 0.6


@register_engine
class Fill:
    """A map whose doubtful pixels, and those that the image does not show, the prior completes."""

    name = "fill"
    needs_prior = True
    prior_kind = ("masked", "gaussian")
    Settings = FillEngineSettings

    def check(self, settings: FillEngineSettings, prior: Any) -> None:  # noqa: ARG002
        """Refuses values that fill nothing, and a confidence that there is none of."""
        require_usable(settings)
        require_within(self.name, settings, 0, 1, "hide_below")

    def run(self, task: Task[FillEngineSettings]) -> NDArray[np.float32]:
        """The map (class 5, y, x) of ``start``, with its hidden pixels filled by ``fill``."""
        o, s, shared = task.observations, task.settings, task.inference
        start = task.start(s.start)[-CLASS_COUNT:].cpu().numpy()
        hidden = start.max(axis=0) < s.hide_below
        if o.unseen is not None:
            hidden |= o.unseen
        hidden &= o.valid
        if not hidden.any():
            return start
        codes = np.where(o.valid & ~hidden, start.argmax(axis=0) + 1, 0).astype(np.uint8)
        p = fill(
            task.prior,
            codes,
            hidden,
            start,
            s,
            task.seed,
            o.origin,
            weak_labels=o.weak_labels,
            view_px=shared.view_px or VIEW_PX,
            precision=shared.precision,
            callback=task.callback,
        )
        return np.where(hidden, p, start).astype(np.float32)
