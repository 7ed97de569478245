"""Street plans of real places: known ground stays, what is unknown is drawn in many ways."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.ndimage import label

from landcover_pnp.errors import LegendError
from landcover_pnp.legend import ENVIROATLAS, WORKING, to_working
from landcover_pnp.prior.label_maps import SKELETON_M, read_label_maps
from landcover_pnp.prior.settings import LabelFolder
from landcover_pnp.scenes.settings import Look
from landcover_pnp.scenes.synthetic.skeletons import Neighbourhood, Skeleton, dress

LOOKS: tuple[Look, ...] = get_args(Look)
IMPERVIOUS, TREES = WORKING.index("impervious") + 1, WORKING.index("trees and forest") + 1


def plan(side: int = 160, *, roofs: bool = True) -> NDArray[np.uint8]:
    """Streets 60 m apart, a square of roofs in each block, a pond, a wood, a park."""
    codes = np.full((side, side), Skeleton.UNKNOWN, np.uint8)
    if roofs:
        for y in range(20, side - 20, 60):
            for x in range(20, side - 20, 60):
                codes[y : y + 22, x : x + 22] = Skeleton.ROOF
    for k in range(8):
        codes[k::60], codes[:, k::60] = Skeleton.PAVED, Skeleton.PAVED
    codes[45:58, 10:50], codes[70:110, 70:110] = Skeleton.WATER, Skeleton.WOOD
    codes[130:150, 10:50], codes[130:150, 70:110] = Skeleton.GREEN, Skeleton.BARE
    return codes


def dressed(look: Look, seed: int, skeleton: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return to_working(dress(skeleton, look, np.random.default_rng(seed)), ENVIROATLAS)


@pytest.mark.parametrize("look", LOOKS)
def test_no_ground_stays_unknown_and_what_is_known_shows(look: Look) -> None:
    skeleton = plan()
    labels = dressed(look, 1, skeleton)
    assert set(np.unique(labels)) <= set(WORKING.codes)
    # Crowns hide some of it, and its edges are ragged.
    for code, name in (
        (Skeleton.WATER, "water"),
        (Skeleton.ROOF, "impervious"),
        (Skeleton.WOOD, "trees and forest"),
    ):
        inside = skeleton == code
        assert np.mean(labels[inside] == WORKING.index(name) + 1) > 0.45


def test_a_seed_fixes_what_is_drawn() -> None:
    one, same, other = (dressed("piedmont", seed, plan()) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert np.mean(one != other) > 0.1


def test_neighbourhoods_differ_as_cities_do() -> None:
    """From two thirds impervious to less than half, with and without trees, and soil in deserts."""
    shares = {
        look: np.array(
            [
                np.bincount(dressed(look, seed, plan()).ravel(), minlength=6) / plan().size
                for seed in range(8)
            ]
        )
        for look in ("humid_east", "desert")
    }
    paved = shares["humid_east"][:, IMPERVIOUS]
    assert paved.max() > paved.min() + 0.1
    trees = shares["humid_east"][:, TREES]
    assert trees.max() > trees.min() + 0.15
    soil = WORKING.index("soil and barren") + 1
    assert shares["desert"][:, soil].mean() > shares["humid_east"][:, soil].mean() + 0.1


def test_crowns_cut_the_streets_where_it_is_leafy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What raw street plans teach wrongly."""

    def streets_under_crowns(share: float) -> float:
        drawn = Neighbourhood(0.0, 0.0, 1.0, street_trees=share, drives=0.0)
        monkeypatch.setattr(Neighbourhood, "draw", lambda *_: drawn)
        skeleton = plan()
        return float(
            np.mean(dressed("humid_east", 4, skeleton)[skeleton == Skeleton.PAVED] == TREES)
        )

    assert streets_under_crowns(1.0) > streets_under_crowns(0.0) + 0.1


def test_houses_line_the_streets_of_a_plan_without_roofs() -> None:
    bare = plan(roofs=False)
    bare[bare != Skeleton.PAVED] = Skeleton.UNKNOWN
    labels = dressed("desert", 3, bare)
    beside = (labels == IMPERVIOUS) & (bare != Skeleton.PAVED)
    pieces, count = label(beside)
    sizes = np.bincount(pieces.ravel())[1:]
    assert count > 5
    assert sizes.max() > 60
    assert not np.any(dressed("desert", 3, np.full_like(bare, Skeleton.UNKNOWN)) == IMPERVIOUS)


def write_plan(path: Path, codes: NDArray[np.uint8], res_m: float) -> None:
    height, width = codes.shape
    transform = from_origin(500_000, 4_000_000, res_m, res_m)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:26917"}
    with rasterio.open(
        path, "w", height=height, width=width, transform=transform, **profile
    ) as file:
        file.write(codes, 1)


def test_a_folder_of_skeletons_gives_its_built_up_squares(tmp_path: Path) -> None:
    side = SKELETON_M // 2
    codes = np.full((side, 2 * side + 5), Skeleton.UNKNOWN, np.uint8)
    codes[:, :side] = plan(side)
    write_plan(tmp_path / "town.tif", codes, 2.0)
    folder = LabelFolder(tmp_path, legend="skeleton", drawings=2)
    maps = read_label_maps(folder, 4.0, seed=5)
    assert len(maps) == 2  # the other square is empty
    assert len({m.place for m in maps}) == 1
    assert len({m.name for m in maps}) == 2
    assert all(m.labels.shape == (SKELETON_M, SKELETON_M) and m.resolution_m == 1.0 for m in maps)
    assert all(m.labels.all() for m in maps)
    assert not np.array_equal(maps[0].labels, maps[1].labels)
    again = read_label_maps(folder, 4.0, seed=5)
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(maps, again, strict=True))
    other = read_label_maps(folder, 4.0, seed=6)
    assert not np.array_equal(maps[0].labels, other[0].labels)


def test_codes_that_no_skeleton_has_are_refused(tmp_path: Path) -> None:
    codes = plan(SKELETON_M // 2)
    codes[3, 3:6] = 7
    write_plan(tmp_path / "town.tif", codes, 2.0)
    with pytest.raises(LegendError, match=r"7 \(3"):
        read_label_maps(LabelFolder(tmp_path, legend="skeleton"), 4.0)
