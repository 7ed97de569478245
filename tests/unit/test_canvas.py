"""Laws of the canvas: what belongs to the ground is the same in every tile."""

from __future__ import annotations

from itertools import chain

import torch
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.inference.canvas import Canvas, put, take

SIDE = 16

origins = st.tuples(st.integers(-100, 100), st.integers(-100, 100))
shapes = st.tuples(st.integers(1, 60), st.integers(1, 60))
steps = st.integers(0, 500)
seeds = st.integers(-(2**65), 2**65)


@given(origins, shapes, seeds, steps)
def test_crops_cover_each_pixel_once(
    origin: tuple[int, int], shape: tuple[int, int], seed: int, step: int
) -> None:
    count = torch.zeros(1, *shape)
    for windows in Canvas(origin, shape, seed, SIDE).crops(step):
        put(count, windows, take(count, windows) + 1)
    assert torch.equal(count, torch.ones(1, *shape))


@given(origins, shapes, seeds, steps)
def test_crops_have_the_side_of_the_training_crops_except_at_the_edge(
    origin: tuple[int, int], shape: tuple[int, int], seed: int, step: int
) -> None:
    for windows in Canvas(origin, shape, seed, SIDE).crops(step):
        assert take(torch.zeros(1, *shape), windows).shape[0] == len(windows)
        for window in windows:
            for cut, size in zip(window, shape, strict=True):
                width, at_edge = cut.stop - cut.start, cut.start == 0 or cut.stop == size
                assert width == SIDE or (at_edge and min(size, SIDE / 2) <= width <= 2 * SIDE)


@given(origins, shapes, st.tuples(st.integers(0, 20), st.integers(0, 20)), seeds, steps)
def test_tiles_share_noise_and_crops_where_they_overlap(
    origin: tuple[int, int],
    shape: tuple[int, int],
    shift: tuple[int, int],
    seed: int,
    step: int,
) -> None:
    here = Canvas(origin, shape, seed, SIDE)
    there = Canvas((origin[0] + shift[0], origin[1] + shift[1]), shape, seed, SIDE)
    height, width = shape[0] - shift[0], shape[1] - shift[1]
    if height <= 0 or width <= 0:
        return
    noise_here = here.noise(step, 6)[:, shift[0] :, shift[1] :]
    assert torch.equal(noise_here, there.noise(step, 6)[:, :height, :width])
    assert inner_crops(here, there, step) == inner_crops(there, here, step)


def inner_crops(canvas: Canvas, other: Canvas, step: int) -> set[tuple[int, int]]:
    """Absolute corners of the crops that are far from the edges of both canvases."""
    corners = set()
    for windows in canvas.crops(step):
        for window in windows:
            at = [cut.start + o for cut, o in zip(window, canvas.origin, strict=True)]
            if all(
                low + SIDE <= a <= low + size - 2 * SIDE
                for c in (canvas, other)
                for a, low, size in zip(at, c.origin, c.shape, strict=True)
            ):
                corners.add((at[0], at[1]))
    return corners


def test_the_lattice_moves_from_step_to_step_and_with_the_seed() -> None:
    def cut(seed: int, step: int) -> tuple[int, ...]:
        windows = chain.from_iterable(Canvas((0, 0), (64, 64), seed, SIDE).crops(step))
        return tuple(max(c.start for c in axis) % SIDE for axis in zip(*windows, strict=True))

    assert len({cut(0, step) for step in range(50)}) > 30
    assert len({cut(seed, 3) for seed in range(50)}) > 30
    assert cut(0, 3) == cut(0, 3)
