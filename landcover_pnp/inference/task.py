"""What an engine is given to infer one canvas, and what becomes of its result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import EngineError, LandcoverError
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.registry import OURS, engine, package_of
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.inference.step import Callback
from landcover_pnp.legend import CLASS_COUNT

if TYPE_CHECKING:
    # An engine that works on arrays does not wait for torch, in any process of a run.
    import torch
    from torch import Tensor

    from landcover_pnp.inference.canvas import Canvas
    from landcover_pnp.inference.constraints import Constraint
    from landcover_pnp.prior.denoiser import Prior
    from landcover_pnp.prior.loading import AnyPrior

S = TypeVar("S")

_VIEW_PX = 256
"""Side of the crops a prior sees of a larger canvas, unless the settings say otherwise."""

_TOLERANCE = 1e-3
"""How far from 1 the probabilities of a pixel may sum, and how far below 0 one may be."""


@dataclass(frozen=True, eq=False)
class Task(Generic[S]):
    """What an engine is given.

    Attributes:
        observations: What is known of the canvas, 0 where not valid.
        settings: The engine's own settings.
        inference: What all engines share, and the settings of those it may start from.
        loaded: The prior, of a kind that the engine takes; None only for one that needs none.
        seed: Seed of the run, the same for all its tiles.
        own: Constraints besides the named ones.
        callback: To be called at every step.
        maps: What engines have returned for this canvas, by name: none does it twice.
    """

    observations: Observations
    settings: S
    inference: InferenceSettings
    loaded: AnyPrior | None
    seed: int
    own: Sequence[Constraint] = ()
    callback: Callback | None = None
    maps: dict[str, NDArray[np.float32] | Tensor] = field(default_factory=dict)

    @property
    def prior(self) -> Prior:
        """The Gaussian prior of an engine that needs one: ``require_usable`` has seen it."""
        return cast("Prior", self.loaded)

    @property
    def device(self) -> torch.device:
        """Where engines compute: where the prior's weights are."""
        from landcover_pnp.inference.canvas import CPU

        return self.loaded.device if self.loaded else CPU

    @property
    def canvas(self) -> Canvas:
        """The canvas of a prior."""
        from landcover_pnp.inference.canvas import Canvas

        o, shared = self.observations, self.inference
        view_px = shared.view_px or _VIEW_PX
        return Canvas(o.origin, o.valid.shape, self.seed, view_px, shared.precision, self.device)

    @property
    def valid(self) -> Tensor:
        """(y, x) bool."""
        import torch

        return torch.from_numpy(self.observations.valid).to(self.device)

    @property
    def weak_labels(self) -> Tensor:
        """(channel 6, y, x) float32, 0 where not valid."""
        return self.with_no_data(self.observations.weak_labels)

    def constraints(self) -> list[Constraint]:
        """The named constraints and the user's own."""
        import torch

        from landcover_pnp.inference.constraints import named_constraints

        clusters = torch.from_numpy(self.observations.clusters).to(self.device)
        terms, origin = self.inference.constraints, self.observations.origin
        named = named_constraints(clusters, self.weak_labels, self.valid, terms, origin)
        return [*named, *self.own]

    def start(self, name: str) -> Tensor:
        """(channel 6, y, x) float32 map to start from: the weak labels or an engine's map.

        Where it is not valid, every class is as likely. The callback sees nothing of this engine.
        """
        import torch

        found = self.weak_labels if name == "weak_labels" else self.map_by(name)
        start = torch.where(self.valid, found, 1 / CLASS_COUNT)
        start[0] = 0  # some of the prior's engines leave a share to no data
        return start / start.sum(0)

    def map_by(self, name: str) -> Tensor:
        """(channel 6, y, x) float32 map of an engine: its own work, or what it has done before.

        Raises:
            EngineError: As ``classes_by``.
        """
        import torch
        from torch.nn import functional

        p = self._returned(name, None)
        if isinstance(p, np.ndarray):
            p = torch.from_numpy(np.require(p, requirements=["C", "W"])).to(self.device)
        return functional.pad(p, (0, 0, 0, 0, 1, 0)) if len(p) == CLASS_COUNT else p

    def classes_by(self, name: str, callback: Callback | None = None) -> NDArray[np.float32]:
        """(class 5, y, x) float32 map of an engine: its own work, or what it has done before.

        Raises:
            EngineError: If what it returns are no probabilities of this canvas, or the engine of
                another package fails.
        """
        return _array(self._returned(name, callback))[-CLASS_COUNT:]  # 0 is the prior's no data

    def with_no_data(self, classes: NDArray[np.float32]) -> Tensor:
        """(class 5, y, x) -> (channel 6, y, x): channel 0, no data, in front."""
        import torch
        from torch.nn import functional

        return functional.pad(torch.from_numpy(classes).to(self.device), (0, 0, 0, 0, 1, 0))

    def _returned(self, name: str, callback: Callback | None) -> NDArray[np.float32] | Tensor:
        """What an engine returns, checked: (5 or 6, y, x) float32, a tensor where it computes."""
        if name not in self.maps:
            task = replace(self, settings=self.inference.of(name), callback=callback)
            try:
                returned = engine(name).run(task)
            except LandcoverError:
                raise
            except Exception as error:
                if package_of(name) == OURS:
                    raise
                raise EngineError(
                    found=f"the engine {name!r} of {package_of(name)} failed: "
                    f"{type(error).__name__}: {error}",
                    expected="a map of every canvas",
                    fix="tell its authors, or take another engine",
                ) from error
            self.maps[name] = self._checked(returned, name)
        return self.maps[name]

    def _checked(self, returned: Any, name: str) -> NDArray[np.float32] | Tensor:
        fault = self._fault(returned)
        if fault:
            height, width = self.observations.valid.shape
            raise EngineError(
                found=f"the engine {name!r} of {package_of(name)} returned {fault}",
                expected=f"probabilities ({CLASS_COUNT}, {height}, {width}), or with no data in "
                f"front ({CLASS_COUNT + 1}, {height}, {width}): from 0 up, and summing to 1 "
                "wherever there is data",
                fix="tell its authors, or take another engine",
            )
        if isinstance(returned, np.ndarray):
            return returned.astype(np.float32, copy=False)
        tensor: Tensor = returned.detach().to(self.device).float()
        return tensor

    def _fault(self, returned: Any) -> str:
        """What is wrong with what an engine returned, in words; empty if nothing is."""
        if not (isinstance(returned, np.ndarray) or _is_tensor(returned)):
            return f"{type(returned).__name__}, no array"
        shape = tuple(returned.shape)
        if shape[1:] != self.observations.valid.shape or shape[0] - CLASS_COUNT not in (0, 1):
            return f"an array of shape {shape}"
        floats = (
            np.issubdtype(returned.dtype, np.floating)
            if isinstance(returned, np.ndarray)
            else returned.is_floating_point()
        )
        if not floats:
            return f"values of type {returned.dtype}"
        p = _array(returned)[:, self.observations.valid]
        with np.errstate(invalid="ignore"):  # sums of what is not finite are faults too
            faults = {
                "values that are not finite": ~np.isfinite(p).all(axis=0),
                "values below 0": (p < -_TOLERANCE).any(axis=0),
                "nothing for any class": p[-CLASS_COUNT:].sum(axis=0) <= 0,
                "values that do not sum to 1": np.abs(p.sum(axis=0) - 1) > _TOLERANCE,
            }
        for fault, where in faults.items():
            if where.any():
                return f"{fault} at {int(where.sum())} of {len(where)} pixels with data"
        return ""


def _is_tensor(value: Any) -> bool:
    """Whether it is one of torch's; there is none where nobody has loaded it."""
    loaded = sys.modules.get("torch")
    return loaded is not None and isinstance(value, loaded.Tensor)


def _array(returned: Any) -> NDArray[np.float32]:
    """An engine's floats as a float32 array."""
    if not isinstance(returned, np.ndarray):
        returned = returned.detach().float().cpu().numpy()
    return np.asarray(returned, np.float32)
