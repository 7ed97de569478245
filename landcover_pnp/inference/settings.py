"""Settings of inference: what all engines share, and the blocks of each one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from landcover_pnp.config import require_within
from landcover_pnp.config.plugin_settings import blocks_of, one_of
from landcover_pnp.errors import SettingsError, nearest
from landcover_pnp.inference.checks import prior_kinds
from landcover_pnp.inference.registry import (
    OURS,
    engine,
    engine_blocks,
    engine_names,
    engine_words,
    package_of,
    starts,
)

if TYPE_CHECKING:
    from landcover_pnp.prior.folder import PriorKind

_ANY = float("inf")

_SMALLEST_VIEW_PX = 8
"""A network that halves its input three times sees one pixel of less."""

BASELINE = "evidence"
"""Engine where none is named, and of the map that every run has beside its own engine's."""

OF_A_PRIOR = "denoise"
"""Engine where none is named but a prior is: naming it is asking for it."""

CONSTRAINTS = ("mutual_information", "weak_label_kl")
"""Names of the constraints that settings can weigh, see ``inference.constraints``."""


@dataclass(frozen=True)
class ConstraintSettings:
    """The terms of the observations that engines weigh against the prior.

    Attributes:
        weights: Factor of w = (S - i) / S by name of the constraint; those not named have no
            part.
        radius_px: Radius of the windows of mutual information and weak-label KL: 15 is 31 x 31.
        weak_label_blocks: Whether weak labels hold for non-overlapping blocks, as in the paper,
            instead of running windows, as in the released program.
    """

    weights: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CONSTRAINTS, 1.0))
    radius_px: int = 15
    weak_label_blocks: bool = False

    def __post_init__(self) -> None:
        require_within(self, 0, _ANY, "radius_px")
        for name, weight in self.weights.items():
            if name not in CONSTRAINTS:
                raise SettingsError(
                    found=f"the constraint {name!r} in inference.constraints.weights",
                    expected="one of " + ", ".join(CONSTRAINTS),
                    fix=f"{nearest(name, CONSTRAINTS)}; constraints of your own go to infer()",
                )
            if not math.isfinite(weight):
                raise SettingsError(
                    found=f"the weight {weight} of {name} in inference.constraints.weights",
                    expected="a finite number; 0 leaves the constraint out",
                    fix="correct the value in the configuration or on the command line",
                )


@dataclass(frozen=True)
class InferenceSettings:
    """How a tile is inferred.

    Each engine has a block of its own settings beside these keys, such as
    ``inference.evidence.iterations``; in Python they are ``options``.

    Attributes:
        engine: Name of the engine; null is ``evidence``, or ``denoise`` where ``prior`` is given.
        prior: Folder of the prior; null is the shipped one of the kind that the engine takes. Its
            label maps' pixels must be within 10 % of those of the working grid.
        view_px: Side of the crops the prior sees of a larger canvas, working pixels; smaller
            ones need less memory and more time. Null is what the engine takes, 256 for most.
        precision: Arithmetic of the prior's network. ``bfloat16`` takes a third of the time on
            processors that have it, and far longer on those that have not; other processors
            then give other last digits.
        hide_below: Probability of its class below which a pixel of the map that a run ends with
            counts as missing: a masked prior and what the map says of it fill it, as the settings
            of the engine ``fill`` tell. 0 hides none.
        constraints: The terms that some engines weigh against the prior.
        options: Settings of engines by their names; those not given have their defaults, and
            are there too if they count or are built-in ones.

    Raises:
        SettingsError: If there is no such engine, options are of another engine's class, or
            engines start from each other in a circle.
    """

    engine: str | None = one_of(engine_words, default=None)
    prior: Path | None = None
    view_px: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    hide_below: float = 0.0
    constraints: ConstraintSettings = field(default_factory=ConstraintSettings)
    options: Mapping[str, Any] = blocks_of(engine_blocks)

    def __post_init__(self) -> None:
        require_within(self, _SMALLEST_VIEW_PX, _ANY, "view_px")
        require_within(self, 0, 1, "hide_below")
        for name, own in self.options.items():
            kind = engine(name).Settings
            if not isinstance(own, kind):
                raise SettingsError(
                    found=f"settings of the engine {name!r} of the class {type(own).__name__}",
                    expected=f"the class {kind.__name__} of {kind.__module__}",
                    fix="give an engine's own settings under its name",
                )
        # Those that count, and the built-in ones, and of others what somebody has set: settings
        # that are equal compare so, and their file needs no package that nobody asked for.
        there = {name: self.of(name) for name in engine_names() if package_of(name) == OURS}
        others = {n: own for n, own in self.options.items() if own != engine(n).Settings()}
        object.__setattr__(self, "options", {**there, **self.used(), **others})

    @property
    def engine_or_default(self) -> str:
        """The engine named, or else the default one."""
        return self.engine or (BASELINE if self.prior is None else OF_A_PRIOR)

    def of(self, name: str) -> Any:
        """An engine's own settings.

        Raises:
            SettingsError: If there is no such engine.
        """
        return self.options[name] if name in self.options else engine(name).Settings()

    def with_options(self, **options: Any) -> InferenceSettings:
        """The same with other settings of the engines named."""
        return replace(self, options={**self.options, **options})

    def used(self, *also: str) -> dict[str, Any]:
        """Own settings by name of the engine, and of those that it starts from.

        Args:
            *also: Names of other engines whose maps are wanted.
        """
        found: dict[str, Any] = {}

        def follow(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise SettingsError(
                    found="engines that start from each other: " + " -> ".join((*path, name)),
                    expected="an engine to begin with, such as evidence",
                    fix=f"set inference.{path[-1]}.start to another one",
                )
            found[name] = self.of(name)
            for start in starts(found[name]):
                follow(start, (*path, name))

        for name in (self.engine_or_default, *also):
            follow(name, ())
        return found

    @property
    def needs_prior(self) -> bool:
        """Whether the engine, or one that it starts from, needs a prior."""
        return any(engine(name).needs_prior for name in self.used())

    @property
    def prior_kinds(self) -> tuple[PriorKind, ...]:
        """Kinds of prior that the engine takes, and all those that it starts from.

        The first is loaded where no prior is named; there is none where none is needed.

        Raises:
            SettingsError: If two of them take no kind in common: a run has one prior.
        """
        asked = {name: prior_kinds(engine(name)) for name in self.used()}
        asked = {name: kinds for name, kinds in asked.items() if kinds}
        common = [k for k in next(iter(asked.values()), ()) if all(k in a for a in asked.values())]
        if asked and not common:
            takes = (
                f"{name} takes a {' or a '.join(kinds)} prior" for name, kinds in asked.items()
            )
            raise SettingsError(
                found="engines of one run that need unlike priors: " + ", ".join(takes),
                expected="engines that take the same kind: a run has one prior",
                fix=f"set inference.{next(iter(asked))}.start to an engine of the same kind, or to "
                f"{BASELINE}",
            )
        return tuple(common)

    @property
    def uses_indices(self) -> bool:
        """Whether what spectral indices say is asked for, and so is in the map."""
        return any(getattr(own, "spectral_indices", False) for own in self.used().values())

    @property
    def needs_indices(self) -> bool:
        """Whether a map of the run needs them: its own or that of the baseline."""
        return any(getattr(own, "spectral_indices", False) for own in self.used(BASELINE).values())

    def made_of(self, *also: str) -> dict[str, Any]:
        """What maps depend on: nothing of engines that have no part in them.

        Args:
            *also: Names of other engines whose maps are wanted.
        """
        used = self.used(*also)
        prior = {"view_px": self.view_px, "precision": self.precision}
        packages = {name: package_of(name) for name in used if package_of(name) != OURS}
        return {
            "engine": self.engine_or_default,
            **({**prior, "constraints": self.constraints} if self.needs_prior else {}),
            **({"package": packages} if packages else {}),
            **used,
        }
