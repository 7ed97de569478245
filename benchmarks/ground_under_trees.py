"""The ground that crowns hide, where it is known: in synthetic cities, whose crowns come last.

A city's own labels are the map, so that nothing but the hidden ground can be wrong; roads,
buildings and water are those of its vector layers, which miss and misplace some. What trees hide is
told by

  nearest class     the nearest ground that is seen
  mapped objects    impervious where a road or building is mapped, else not
  shares around     the likeliest class by the shares that hidden ground is taken to have around
  prior             the published ground: both together, completed by the masked prior

Printed are, over pixels of 1 m below crowns that hide most of their pixel of 4 m: the share that is
right (impervious or not), intersection over union of impervious ground, and its share as found. A
picture shows one city: as seen, its ground as inferred, and as it is. Its seed stands nowhere else
in this repository.

Usage: python benchmarks/ground_under_trees.py [--prior FOLDER] [--width 512] [--picture FILE.png]
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt
from words import parser

from landcover_pnp.arrays import block_mean
from landcover_pnp.evidence.ground_objects import (
    TREES,
    GroundObjects,
    count_kinds,
    object_kinds,
)
from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.inference.ground_under_trees import ground_under_trees, visible_ground
from landcover_pnp.legend import CLASS_COUNT, ENVIROATLAS, WORKING, to_working
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.products.pictures import class_picture
from landcover_pnp.products.under_trees import GROUND_LEGEND, ground_classes
from landcover_pnp.scenes.synthetic.plan import city_rng, draw_labels
from landcover_pnp.scenes.synthetic.style import LABEL_OF_SURFACE, Look
from landcover_pnp.scenes.synthetic.survey import survey

SEED = 211
LOOKS: tuple[Look, ...] = ("humid_east", "piedmont", "hill_country", "desert")
FACTOR = 4
IMPERVIOUS = WORKING.code("impervious")


class City(NamedTuple):
    """A synthetic city whose ground is known.

    Attributes:
        labels: (y, x) working classes at 1 m, as seen from above.
        ground: (y, x) the same below the crowns.
        coverage: Share of each pixel of 4 m that roads, buildings and water cover.
    """

    labels: NDArray[np.uint8]
    ground: NDArray[np.uint8]
    coverage: dict[str, NDArray[np.float32]]


def draw_city(look: Look, width: int) -> City:
    """Draws a city and surveys its objects, as ``write_city`` does."""
    rng = city_rng(look, SEED)
    plan = draw_labels(look, (width, width), rng)
    geobox = GeoBox((width, width), Affine(1, 0, 6e5, 0, -1, 4e6), "EPSG:26917")
    vectors = survey(plan, geobox, rng)
    areas = {
        "roads": vectors.roads.buffer(vectors.roads["width_m"] / 2),
        "buildings": vectors.buildings.geometry,
        "water": vectors.water.geometry,
    }
    burnt = {
        name: rasterize(area, geobox.shape, transform=geobox.transform, dtype="uint8")
        if len(area)
        else np.zeros(geobox.shape, np.uint8)
        for name, area in areas.items()
    }
    ground = np.asarray(LABEL_OF_SURFACE[plan.surface], np.uint8)
    return City(
        to_working(plan.labels, ENVIROATLAS, "labels"),
        to_working(ground, ENVIROATLAS, "ground"),
        {name: block_mean(layer.astype(np.float32), FACTOR) for name, layer in burnt.items()},
    )


def guesses(
    city: City, prior: MaskedPrior
) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]:
    """Whether hidden ground is impervious by method, (y, x) at 4 m each, and where it is hidden."""
    one_hot = (city.labels == np.arange(1, CLASS_COUNT + 1)[:, None, None]).astype(np.float32)
    p = block_mean(one_hot, FACTOR)
    seen, hidden = visible_ground(p)
    kinds = object_kinds(city.coverage, seen.shape)
    objects = GroundObjects.of(count_kinds([(kinds, seen, hidden)]))
    likely, expected = objects.likelihoods(kinds), objects.expected(kinds, seen, hidden)
    nearest = distance_transform_edt(seen == 0, return_distances=False, return_indices=True)
    found = ground_under_trees(prior, p, likely, expected, FillSettings(), 0, (0, 0))
    return {
        "nearest class": seen[tuple(nearest)] == IMPERVIOUS,
        "mapped objects": kinds == 2,
        "shares around": expected.argmax(axis=0) + 1 == IMPERVIOUS,
        "prior": found.codes == IMPERVIOUS,
    }, hidden


def scored(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> list[float]:
    """Share that is right, IoU of impervious ground, its share found."""
    union = (found | true).sum()
    return [float(v) for v in ((found == true).mean(), (found & true).sum() / max(union, 1),
                               found.mean())]  # fmt: skip


def fine(coarse: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Working pixels at 1 m."""
    return np.asarray(coarse.repeat(FACTOR, 0).repeat(FACTOR, 1))


def draw(city: City, found: NDArray[np.bool_], path: Path) -> None:
    """What is seen, the ground as inferred, and as it is."""
    trees = city.labels == TREES + 1
    inferred = np.where(trees, np.where(fine(found), IMPERVIOUS, 5), city.labels).astype(np.uint8)
    panels = [class_picture(city.labels, WORKING)]
    panels += [
        class_picture(ground_classes(np.where(trees, ground, city.labels), trees), GROUND_LEGEND)
        for ground in (inferred, city.ground)
    ]
    Image.fromarray(np.concatenate(panels, axis=1)[..., :3]).save(path)


def main(prior: MaskedPrior, width: int, picture: Path | None) -> None:
    """Draws the cities and prints the table."""
    torch.set_num_threads(1)
    print("| city | hidden | impervious below | method | right | IoU | impervious found |")
    print("|---|---:|---:|---|---:|---:|---:|")
    together: dict[str, list[list[float]]] = {}
    for look in LOOKS:
        city = draw_city(look, width)
        found, hidden = guesses(city, prior)
        where = fine(hidden) & (city.labels == TREES + 1)
        true = city.ground[where] == IMPERVIOUS
        for method, guess in found.items():
            row = scored(fine(guess)[where], true)
            together.setdefault(method, []).append(row)
            told = " | ".join(f"{v:.3f}" for v in row)
            print(f"| {look} {SEED} | {where.mean():.3f} | {true.mean():.3f} | {method} | {told} |")
        if picture is not None and look == "piedmont":
            draw(city, found["prior"], picture)
    for method, rows in together.items():
        told = " | ".join(f"{v:.3f}" for v in np.mean(rows, axis=0))
        print(f"| mean | | | {method} | {told} |")


if __name__ == "__main__":
    given = parser(__doc__)
    given.add_argument("--prior", type=Path, help="a masked prior; the shipped one if left out")
    given.add_argument("--width", type=int, default=512, help="side of the cities, metres")
    given.add_argument("--picture", type=Path, help="picture of one city")
    chosen = given.parse_args()
    main(MaskedPrior.load(chosen.prior), chosen.width, chosen.picture)
