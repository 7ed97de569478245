"""Laws of the canvas: what belongs to the ground is the same in every tile."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.inference.canvas import Canvas

SIDE = 16

origins = st.tuples(st.integers(-100, 100), st.integers(-100, 100))
shapes = st.tuples(st.integers(1, 60), st.integers(1, 60))
steps = st.integers(0, 500)
seeds = st.integers(-(2**65), 2**65)


def positions(canvas: Canvas) -> torch.Tensor:
    """(2, y, x) absolute pixel positions."""
    (y, x), (height, width) = canvas.origin, canvas.shape
    rows, columns = torch.arange(y, y + height), torch.arange(x, x + width)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))


@given(origins, shapes, seeds, steps)
def test_crops_cover_the_canvas_and_join_to_it(
    origin: tuple[int, int], shape: tuple[int, int], seed: int, step: int
) -> None:
    canvas = Canvas(origin, shape, seed)
    crops = canvas.crops(step, SIDE)
    where = positions(canvas)
    cut = crops.cut(where)
    assert cut.shape[2:] == (min(SIDE, shape[0]), min(SIDE, shape[1]))
    assert torch.equal(crops.join(cut), where)


@given(origins, shapes, seeds, steps)
def test_each_pixel_belongs_to_one_crop(
    origin: tuple[int, int], shape: tuple[int, int], seed: int, step: int
) -> None:
    canvas = Canvas(origin, shape, seed)
    crops = canvas.crops(step, SIDE)
    owned = crops.owned()
    cut = crops.cut(positions(canvas)).permute(1, 0, 2, 3)
    belonging = cut[:, owned[:, 0] == 1].T
    assert len(belonging) == shape[0] * shape[1]
    assert len(belonging.unique(dim=0)) == shape[0] * shape[1]
    # A pixel is read back from the crop it belongs to, not from another that also shows it.
    assert crops.join(owned).all()


@given(origins, shapes, st.tuples(st.integers(0, 20), st.integers(0, 20)), seeds, steps)
def test_tiles_share_noise_and_crops_where_they_overlap(
    origin: tuple[int, int],
    shape: tuple[int, int],
    shift: tuple[int, int],
    seed: int,
    step: int,
) -> None:
    here = Canvas(origin, shape, seed)
    there = Canvas((origin[0] + shift[0], origin[1] + shift[1]), shape, seed)
    height, width = shape[0] - shift[0], shape[1] - shift[1]
    if height <= 0 or width <= 0:
        return
    noise_here = here.noise(step, 6)[:, shift[0] :, shift[1] :]
    assert torch.equal(noise_here, there.noise(step, 6)[:, :height, :width])
    # A crop strictly inside both canvases is cut at the same place.
    corners = []
    for canvas in (here, there):
        first = canvas.crops(step, SIDE).cut(positions(canvas))[:, :, 0, 0]
        low = torch.tensor(there.origin)
        inside = (first > low).all(1) & (first + SIDE < low + torch.tensor([height, width])).all(1)
        corners.append({tuple(c) for c in first[inside].tolist()})
    assert corners[0] == corners[1]


def test_the_lattice_moves_from_step_to_step_and_with_the_seed() -> None:
    def corner(seed: int, step: int) -> tuple[int, ...]:
        canvas = Canvas((0, 0), (64, 64), seed)
        crops = canvas.crops(step, SIDE)
        inner = crops.cut(positions(canvas))[crops.columns.count + 1]
        return tuple((inner[:, 0, 0] % SIDE).tolist())

    assert len({corner(0, step) for step in range(50)}) > 30
    assert corner(0, 3) == corner(0, 3)
    assert len({corner(seed, 3) for seed in range(20)}) > 10


@given(shapes, steps)
def test_cutting_is_differentiable(shape: tuple[int, int], step: int) -> None:
    crops = Canvas((5, -7), shape, 0).crops(step, SIDE)
    values = torch.ones(1, *shape, requires_grad=True)
    (crops.cut(values) * crops.owned()).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, torch.ones(1, *shape))
