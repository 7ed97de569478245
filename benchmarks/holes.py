"""Holes in finished maps, filled by `landcover fill`: figures, pictures and seams.

    python benchmarks/holes.py [--prior FOLDER] [--out FOLDER]

Truth of Pittsburgh and Durham (1.36 m) with 10 % and 30 % of the ground hidden in squares of 32 m,
and with one square of 64 m, and a synthetic city (1 m) under a cloud of 150 m. Accuracy and mean
IoU of the hidden pixels beside harmonic fill on the same pixels. Seams: pixels whose class differs
from that of their neighbour, across borders of windows and two pixels beside them, in hidden ground
filled by windows of 24 pixels (96 m). Needs ../shared/data, else the synthetic city alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from words import parser

from landcover_pnp.evaluation.scores import score
from landcover_pnp.legend import ENVIROATLAS, WORKING, to_working
from landcover_pnp.pipeline.fill import fill_map
from landcover_pnp.pipeline.fill_rims import continued
from landcover_pnp.pipeline.settings import FillMapSettings, FillOptions
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.settings import EnviroAtlasTile, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city

SHARED = Path(__file__).parents[2] / "shared" / "data" / "ea-mini"
CITIES = ("pittsburgh_pa", "durham_nc")
SQUARE_M, WINDOW_PX, PRIOR_M = 32, 24, 4.0
PASSES = (1, 4)

Codes = NDArray[np.uint8]
Hidden = NDArray[np.bool_]


def squares(shape: tuple[int, int], pixel_m: float, share: float, seed: int) -> Hidden:
    """Random squares until so much of a map is hidden."""
    random, side = np.random.default_rng(seed), round(SQUARE_M / pixel_m)
    hidden = np.zeros(shape, np.bool_)
    while hidden.mean() < share:
        y, x = (int(random.integers(0, n - side)) for n in shape)
        hidden[y : y + side, x : x + side] = True
    return hidden


def cases(shape: tuple[int, int], pixel_m: float) -> Iterator[tuple[str, Hidden]]:
    """Holes by name."""
    for share in (0.1, 0.3):
        yield f"{share:.0%}", squares(shape, pixel_m, share, 0)
    for place in range(4):
        hidden, side = np.zeros(shape, np.bool_), round(64 / pixel_m)
        y, x = ((i + 1) * n // 3 - side // 2 for i, n in zip(divmod(place, 2), shape, strict=True))
        hidden[y : y + side, x : x + side] = True
        yield f"64 m, place {place + 1}", hidden


def harmonic(codes: Codes, hidden: Hidden) -> Codes:
    """Laplace's equation at the map's own pixels: the mean of what is around, and no prior."""
    shares = np.bincount(codes[~hidden], minlength=6)[1:].astype(np.float32)
    p = np.broadcast_to((shares / shares.sum())[:, None, None], (5, *codes.shape))
    return np.asarray(continued(p, codes, hidden, 1e3).argmax(axis=0) + 1, np.uint8)


def cloud(shape: tuple[int, int], pixel_m: float) -> Hidden:
    """A cloud of 150 m with a ragged rim."""
    y, x = (np.indices(shape) + 0.5) * pixel_m
    y, x = y - shape[0] * pixel_m / 2, x - shape[1] * pixel_m / 2
    rim = 75 + 9 * np.sin(5 * np.arctan2(y, x)) + 5 * np.sin(11 * np.arctan2(y, x))
    return np.asarray(np.hypot(y, x) < rim)


def filled(path: Path, hidden: Hidden, prior: Path | None, folder: Path, **options: Any) -> Codes:
    """The map (y, x) of working classes that `landcover fill` makes."""
    with rasterio.open(path) as source:
        profile = {**source.profile, "dtype": "uint8", "nodata": None, "count": 1}
    folder.mkdir(parents=True)
    with rasterio.open(folder / "mask.tif", "w", **profile) as target:
        target.write(hidden.astype(np.uint8), 1)
    done = fill_map(
        path, FillMapSettings(folder / "mask.tif", folder / "out", prior=prior, **options)
    )
    with rasterio.open(done.map) as source:
        return to_working(source.read(1), ENVIROATLAS)


def picture(path: Path, *maps: Codes) -> None:
    """Maps side by side in the legend's colours, hidden ground black."""
    colours = np.zeros((6, 3), np.uint8)
    for c in WORKING.classes:
        colours[c.code] = c.colour
    row = np.concatenate([np.pad(m, ((0, 0), (0, 4))) for m in maps], axis=1)
    image = Image.fromarray(colours[row])
    image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST).save(path)


def figures(name: str, codes: Codes, truth: Codes, hidden: Hidden) -> str:
    """A row of the table."""
    scores = score(np.where(hidden, codes, 0), np.where(hidden, truth, 0), "five_classes")
    return f"| {name} | {scores.accuracy:.3f} | {scores.mean_iou:.3f} |"


def seams(codes: Codes, hidden: Hidden, factor: int) -> tuple[float, float]:
    """Share of neighbours of unlike class across borders of windows, and two pixels beside."""
    found = []
    for shift in (0, 2 * factor):
        changed = total = 0
        for turned, under in ((codes, hidden), (codes.T, hidden.T)):
            at = np.arange(WINDOW_PX * factor, turned.shape[1] - shift, WINDOW_PX * factor) + shift
            both = under[:, at - 1] & under[:, at]
            changed += int((turned[:, at - 1] != turned[:, at])[both].sum())
            total += int(both.sum())
        found.append(changed / max(total, 1))
    return found[0], found[1]


def compare(
    name: str,
    path: Path,
    holes: list[tuple[str, Hidden]],
    prior: Path | None,
    out: Path,
    folder: Path,
) -> None:
    """Prints the rows of one map, and draws it."""
    with rasterio.open(path) as source:
        truth, pixel_m = to_working(source.read(1), ENVIROATLAS), source.res[0]
    for number, (hole, hidden) in enumerate(holes):
        where = hidden & (truth > 0)
        seen = np.where(where, 0, truth).astype(np.uint8)
        passes = {
            n: filled(
                path, hidden, prior, folder / f"{name} {number} {n}", fill=FillOptions(steps=n)
            )
            for n in PASSES
        }
        own = passes[PASSES[-1]]
        smooth = np.where(where, harmonic(seen, where), truth).astype(np.uint8)
        rows = {"harmonic": smooth, **{f"fill, {n} passes": c for n, c in passes.items()}}
        for method, codes in rows.items():
            sys.stdout.write(figures(f"{name}, {hole}, {method}", codes, truth, where) + "\n")
        sys.stdout.flush()
        picture(out / f"{name} {hole.replace('%', '')}.png", seen, smooth, own, truth)
    hidden = np.ones(truth.shape, np.bool_)
    hidden[:: round(60 / pixel_m)], hidden[:, :: round(60 / pixel_m)] = False, False
    small = {"window_px": WINDOW_PX, "halo_px": WINDOW_PX // 2}
    codes = filled(path, hidden, prior, folder / f"{name} seams", **small)
    across, beside = seams(codes, hidden & (truth > 0), round(PRIOR_M / pixel_m))
    sys.stdout.write(f"{name}: unlike neighbours {across:.4f} across, {beside:.4f} beside\n")


def main(prior: Path | None, out: Path) -> None:
    """Fills holes of real and synthetic truth."""
    out.mkdir(parents=True, exist_ok=True)
    sys.stdout.write("| map, holes, method | accuracy | mean IoU |\n|---|---:|---:|\n")
    with TemporaryDirectory() as name:
        folder = Path(name)
        for city in CITIES:
            path = SHARED / city / "labels.tif"
            if path.is_file():
                with rasterio.open(path) as source:
                    holes = list(cases(source.shape, source.res[0]))
                compare(city, path, holes, prior, out, folder)
            else:
                sys.stdout.write(f"{city} is left out: there is no {path}\n")
        written = write_city(SyntheticSettings("piedmont", 400, 7), folder / "city")
        files = tile_files(EnviroAtlasTile(folder / "city", written.city, "test", written.tile))
        path = files.truth.path if files.truth else files.image
        with rasterio.open(path) as source:
            holes = [("cloud", cloud(source.shape, source.res[0]))]
        compare("synthetic city", path, holes, prior, out, folder)


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("--prior", type=Path, default=None, help="folder of a prior")
    words.add_argument("--out", type=Path, default=Path("holes"), help="folder of the pictures")
    given = words.parse_args()
    main(given.prior, given.out)
