"""Values of constraints, each of which is one: a finite number with a gradient in the map."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

from torch import Tensor

from landcover_pnp.errors import ConstraintError, LandcoverError
from landcover_pnp.inference.constraints import weight_at

if TYPE_CHECKING:
    from landcover_pnp.inference.constraints import Constraint


def values_of(
    constraints: Iterable[Constraint], observed: Tensor, channel_axis: int
) -> dict[str, Tensor]:
    """Each constraint's value at a map, by its name.

    Args:
        constraints: The constraints; one that has ``channels`` says for how many it is made.
        observed: The map, with gradient.
        channel_axis: Which axis of it holds the channels.

    Returns:
        Scalars with gradient; whether they are finite, ``step.require_finite`` looks.

    Raises:
        ConstraintError: If one has no name, weight or call, is for another number of channels,
            cannot be computed, returns no scalar tensor or one that does not depend on the map;
            names it.
    """
    found = dict[str, Tensor]()
    for constraint in constraints:
        _require_parts(constraint)
        if constraint.name in found:
            raise _wrong(constraint, "has the name of another one", "one name each")
        found[constraint.name] = _value(constraint, observed, channel_axis)
    return found


def weights_of(constraints: Iterable[Constraint], step: int, steps: int) -> list[float]:
    """Each constraint's weight at step i of S, see ``constraints.weight_at``.

    Raises:
        ConstraintError: If it is a function that fails or gives no finite number; names the
            constraint.
    """
    return [_weight(constraint, step, steps) for constraint in constraints]


def _weight(constraint: Constraint, step: int, steps: int) -> float:
    expected = "a finite number at every step, from a function of step and steps"
    try:
        weight: Any = weight_at(constraint.weight, step, steps)
    except Exception as error:  # of any kind: it is the user's code
        told = f"has a weight that fails at step {step} of {steps}: {type(error).__name__}: {error}"
        raise _wrong(constraint, told, expected) from error
    if not (isinstance(weight, Real) and math.isfinite(weight)):
        raise _wrong(constraint, f"has the weight {weight!r} at step {step} of {steps}", expected)
    return float(weight)


def _require_parts(constraint: Any) -> None:
    """Refuses what has not the parts of a constraint."""
    weight = getattr(constraint, "weight", None)
    number = isinstance(weight, Real) and math.isfinite(weight)
    faults = {
        "has no name": not isinstance(getattr(constraint, "name", None), str),
        f"has the weight {weight!r}": not (number or callable(weight)),
        "cannot be called": not callable(constraint),
    }
    wrong = [fault for fault, true in faults.items() if true]
    if wrong:
        raise ConstraintError(
            found=f"a constraint {constraint!r} that {' and '.join(wrong)}",
            expected="an object with a name, a weight, which is a finite number or a function of "
            "step and steps, and a call of the map's probabilities",
            fix="add what is missing, see landcover_pnp.inference.constraints.Constraint",
        )


def _value(constraint: Constraint, observed: Tensor, channel_axis: int) -> Tensor:
    shape, wanted = tuple(observed.shape), getattr(constraint, "channels", None)
    if wanted is not None and wanted != shape[channel_axis]:
        raise _wrong(
            constraint,
            f"is for {wanted} channels, the map of the prior has {shape[channel_axis]}",
            "prior and constraint of the same channels",
        )
    try:
        value: Any = constraint(observed)
    except LandcoverError:
        raise
    except Exception as error:  # of any kind: it is the user's code
        raise _wrong(
            constraint,
            f"fails on a map of shape {shape}: {type(error).__name__}: {error}",
            "one that can be computed of the map",
        ) from error
    if not isinstance(value, Tensor) or value.ndim:
        kind = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
        raise _wrong(constraint, f"returns a value {kind}", "a scalar tensor, such as a mean")
    if not value.requires_grad:
        raise _wrong(
            constraint,
            "has no gradient in the map",
            "a value computed by torch from the map it is given, without detach, item, argmax or "
            "a comparison",
        )
    return value


def _wrong(constraint: Constraint, found: str, expected: str) -> ConstraintError:
    return ConstraintError(
        found=f"the constraint {constraint.name!r} {found}",
        expected=expected,
        fix="correct the constraint, see landcover_pnp.inference.constraints.Constraint",
    )
