"""Filling: known pixels of a map are held, hidden ones come from prior and evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import FillError, GridError
from landcover_pnp.inference.checks import require_within
from landcover_pnp.legend import CLASS_COUNT

if TYPE_CHECKING:
    # Settings of the engine `fill` stand in --help, which does not wait for torch.
    from landcover_pnp.inference.step import Callback

VIEW_PX = 256
"""Side of the crops that a prior sees of a larger canvas, pixels."""

_MOST = float("inf")


@dataclass(frozen=True)
class CompletionSettings:
    """How a prior completes a map, whatever else is known of it.

    Attributes:
        steps: Forward passes of a masked prior, at most: pixels that are sure of their class are
            revealed first, and the others see them in the next pass. One is chosen by the
            likelihood (``benchmarks/choose_filling.py``, docs/filling.md): later ones take guesses
            for seen.
        confident: Probability from which a class is revealed after the first of several passes;
            it falls evenly to 0 at the last.
        evidence_weight: Power lambda of the evidence in p(class | revealed) evidence^lambda; below
            1, since what neighbours say is not independent. 0 leaves it out.
        repaint_steps: Noise levels that a Gaussian prior steps through (RePaint).
        resamplings: Times that each of these steps is made.
        repaint_samples: Random maps of a Gaussian prior that are averaged.
    """

    steps: int = 1
    confident: float = 0.9
    evidence_weight: float = 0.7
    repaint_steps: int = 40
    resamplings: int = 4
    repaint_samples: int = 4


@dataclass(frozen=True)
class FillSettings(CompletionSettings):
    """How hidden pixels are filled, also where there are weak labels, or maps are drawn.

    Attributes:
        share_weight: How far hidden pixels get the weak labels' class shares around them after
            each pass, 0 (not at all) to 1, which is chosen as ``steps`` is.
        share_radius_px: Radius of the boxes in which these shares are counted.
        draw_steps: Forward passes of a masked prior for one random map.
    """

    share_weight: float = 1.0
    share_radius_px: int = 10
    draw_steps: int = 16


RANGES = {
    ("steps", "draw_steps", "repaint_steps", "resamplings", "repaint_samples"): (1, _MOST),
    ("confident", "share_weight"): (0, 1),
    ("evidence_weight",): (0, 10),
    ("share_radius_px",): (0, _MOST),
}
"""Least and largest values of settings by their names."""


def fill(
    prior: Any,
    codes: NDArray[np.uint8],
    hidden: NDArray[np.bool_],
    evidence: NDArray[np.float32] | None,
    settings: FillSettings,
    seed: int,
    origin: tuple[int, int],
    *,
    weak_labels: NDArray[np.float32] | None = None,
    view_px: int = VIEW_PX,
    precision: Literal["float32", "bfloat16"] = "float32",
    callback: Callback | None = None,
) -> NDArray[np.float32]:
    """Class probabilities of hidden pixels, given all that is known.

    With a masked prior a few forward passes do it, the most confident pixels first, see
    ``unmasking``; with a Gaussian one RePaint, see ``repaint``. The likelihood of evidence
    factorises over pixels, so each step is a product: p(class | revealed) evidence^lambda.

    Args:
        prior: A masked prior, which has ``predict_classes``, or a Gaussian one.
        codes: (y, x) uint8 of the working legend, 0 = no data; what stands at hidden pixels does
            not matter. Pixels of no data that are not hidden stay no data.
        hidden: (y, x) bool pixels to fill.
        evidence: (class, y, x) float32, from 0 up, what else is known of hidden pixels; 0 for
            every class, or None, is nothing.
        settings: Steps and weights.
        seed: Seed of the run, for the noise of a Gaussian prior.
        origin: Absolute pixel position (y, x) of the canvas on the working grid: noise belongs
            to the ground.
        weak_labels: (class, y, x) float32 whose shares hidden pixels get, see ``share_weight``.
        view_px: Side of the crops that the prior sees of a larger canvas.
        precision: Arithmetic of the prior's network.
        callback: Called at every step.

    Returns:
        (class, y, x) float32: sums to 1 at hidden pixels, 1 for the class of known ones, 0 where
        there is no data.

    Raises:
        SettingsError: If a setting is out of its range.
        GridError: If the arrays differ in size.
        FillError: If a code is not of the working legend, evidence is not finite or negative, or
            there is neither a known pixel nor evidence.
        TileError: If the prior predicts values that are not finite.
    """
    require_usable(settings)
    _require_fitting(codes, hidden, evidence, weak_labels)
    if not hidden.any():
        return _one_hot(codes)
    from landcover_pnp.inference.canvas import Canvas
    from landcover_pnp.inference.hidden_map import HiddenMap, device_of

    canvas = Canvas(origin, hidden.shape, seed, view_px, precision, device_of(prior))
    hidden_map = HiddenMap.of(codes, hidden, evidence, weak_labels, settings, canvas)
    if hidden_map.is_masked(prior):
        from landcover_pnp.inference.unmasking import unmask

        filled = unmask(prior, hidden_map, callback)
    else:
        from landcover_pnp.inference.repaint import mean_repainted

        filled = mean_repainted(prior, hidden_map, callback)
    # Known pixels are not the network's: they come back as they were given.
    return np.where(hidden, filled.cpu().numpy(), _one_hot(codes)).astype(np.float32)


def draw(
    prior: Any,
    codes: NDArray[np.uint8],
    hidden: NDArray[np.bool_],
    evidence: NDArray[np.float32] | None,
    settings: FillSettings,
    seed: int,
    origin: tuple[int, int],
    *,
    weak_labels: NDArray[np.float32] | None = None,
    view_px: int = VIEW_PX,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> NDArray[np.uint8]:
    """One random map of the posterior whose pixel-wise modes ``fill`` looks for.

    The random numbers belong to the ground: where two canvases overlap and see the same, they
    draw the same; another seed draws another map.

    Args:
        prior: As of ``fill``.
        codes: As of ``fill``.
        hidden: As of ``fill``.
        evidence: As of ``fill``.
        settings: As of ``fill``.
        seed: Which of the random maps.
        origin: As of ``fill``.
        weak_labels: As of ``fill``.
        view_px: As of ``fill``.
        precision: As of ``fill``.

    Returns:
        (y, x) uint8 of the working legend: known pixels as they were, 0 where there is no data.

    Raises:
        SettingsError: As ``fill``.
        GridError: As ``fill``.
        FillError: As ``fill``.
        TileError: As ``fill``.
    """
    require_usable(settings)
    _require_fitting(codes, hidden, evidence, weak_labels)
    if not hidden.any():
        return codes.copy()
    from landcover_pnp.inference.canvas import Canvas
    from landcover_pnp.inference.hidden_map import HiddenMap, device_of

    canvas = Canvas(origin, hidden.shape, seed, view_px, precision, device_of(prior))
    hidden_map = HiddenMap.of(codes, hidden, evidence, weak_labels, settings, canvas)
    if hidden_map.is_masked(prior):
        from landcover_pnp.inference.unmasking import draw_unmasked

        drawn = draw_unmasked(prior, hidden_map)
    else:
        from landcover_pnp.inference.repaint import repainted

        drawn = repainted(prior, hidden_map).argmax(0) + 1
    return np.where(hidden, drawn.cpu().numpy(), codes).astype(np.uint8)


def require_usable(settings: FillSettings) -> None:
    """Refuses values that fill nothing.

    Raises:
        SettingsError: Names the first such setting and its value.
    """
    for names, (low, high) in RANGES.items():
        require_within("fill", settings, low, high, *names)


def _one_hot(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(y, x) working codes, 0 = no data, as (class, y, x) float32 of 0 and 1."""
    each = np.arange(1, CLASS_COUNT + 1, dtype=np.uint8)
    return np.equal(codes, each[:, None, None]).astype(np.float32)


def _require_fitting(
    codes: NDArray[np.uint8],
    hidden: NDArray[np.bool_],
    evidence: NDArray[np.float32] | None,
    weak_labels: NDArray[np.float32] | None,
) -> None:
    """Refuses arrays that are not of one canvas, and values that are none."""
    layers = {"evidence": evidence, "weak labels": weak_labels}
    given = {name: layer for name, layer in layers.items() if layer is not None}
    wrong = [n for n, layer in given.items() if layer.shape != (CLASS_COUNT, *codes.shape)]
    if codes.ndim != 2 or hidden.shape != codes.shape or wrong:
        sizes = ", ".join(f"{name} {layer.shape}" for name, layer in given.items())
        raise GridError(
            found=f"codes {codes.shape}, hidden {hidden.shape}" + (f", {sizes}" if sizes else ""),
            expected=f"(y, x), (y, x) and ({CLASS_COUNT}, y, x) of one canvas",
            fix="cut all layers with the same window",
        )
    known = codes[~hidden]
    if known.size and known.max() > CLASS_COUNT:
        raise FillError(
            found=f"the class code {known.max()} in the map to fill",
            expected=f"working codes, 1 to {CLASS_COUNT}, and 0 for no data",
            fix="translate the map to the working legend first, see legend.to_working",
        )
    if evidence is None and hidden.any() and not known.any():
        raise FillError(
            found="a map of which every pixel is hidden",
            expected="pixels whose class is known: there is nothing to hold on to",
            fix="hide less of it, or give evidence",
        )
    for name, layer in given.items():
        there = layer[:, hidden]
        if not (np.isfinite(there).all() and (there >= 0).all()):
            bad = int((~(np.isfinite(there) & (there >= 0)).all(axis=0)).sum())
            raise FillError(
                found=f"{name} that are negative or not finite at {bad} hidden pixels",
                expected="finite numbers from 0 up",
                fix="put 0 for every class where nothing is known",
            )
