"""The prior where the image shows nothing: all other pixels are held, those completed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from landcover_pnp.inference.filling import VIEW_PX, FillSettings, fill, require_usable
from landcover_pnp.inference.registry import register_engine, start_from
from landcover_pnp.legend import CLASS_COUNT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from landcover_pnp.inference.task import Task


@dataclass(frozen=True)
class FillEngineSettings(FillSettings):
    """A map that the prior completes where the image shows nothing, as under clouds.

    Attributes:
        start: The map that is completed: the weak labels, or the map of another engine.
    """

    start: str = start_from("weak_labels", default="evidence")


@register_engine
class Fill:
    """A map that the prior completes where the image shows nothing, as under clouds."""

    name = "fill"
    needs_prior = True
    prior_kind = ("masked", "gaussian")
    Settings = FillEngineSettings

    def check(self, settings: FillEngineSettings, prior: Any) -> None:  # noqa: ARG002
        """Refuses values that fill nothing."""
        require_usable(settings)

    def run(self, task: Task[FillEngineSettings]) -> NDArray[np.float32]:
        """The map (class 5, y, x) of ``start``, with its hidden pixels filled by ``fill``."""
        o, s, shared = task.observations, task.settings, task.inference
        start = task.start(s.start)[-CLASS_COUNT:].cpu().numpy()
        if o.unseen is None or not (hidden := o.unseen & o.valid).any():
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
