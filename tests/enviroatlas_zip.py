"""A stand-in for the archive of the EnviroAtlas data set, in the exact layout."""

import zipfile
from pathlib import Path

from inputs import colours, two_halves, write_tif

CITY = "durham_nc-2012_1m"
LAYERS = ("c_roads", "d_water", "d1_waterways", "d2_waterbodies", "e_buildings")


def data_set(folder: Path) -> Path:
    """A small archive in the exact layout: two cities, two splits, two tiles each."""
    folder.mkdir(exist_ok=True)
    written = {
        "a_naip": write_tif(folder / "a.tif", colours(4, 96)),
        "b_nlcd": write_tif(folder / "b.tif", two_halves(8, 6, 96)),
        "h_highres_labels": write_tif(folder / "h.tif", two_halves(40, 20, 96)),
        **{name: write_tif(folder / "o.tif", two_halves(0, 1, 96)) for name in LAYERS},
    }
    for name in ("prior_from_cooccurrences_101_31", "prior_from_cooccurrences_101_31_no_osm"):
        written[name] = write_tif(folder / "p.tif", colours(5, 96))
    path = folder / "enviroatlas_lotp.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("enviroatlas_lotp")
        archive.writestr("enviroatlas_lotp/spatial_index.geojson", "{}")
        archive.writestr("enviroatlas_lotp/README.txt", "not a tile")
        for city in (CITY, "austin_tx-2012_1m"):
            for split in ("test", "val5"):
                for tile in ("3607807_ne", "3607815_sw"):
                    for layer, file in written.items():
                        name = f"{city}-{split}_tiles-debuffered/{tile}_{layer}.tif"
                        archive.write(file, f"enviroatlas_lotp/{name}")
    return path
