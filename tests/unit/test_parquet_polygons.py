"""GeoParquet files of polygons: whichever windows of a map have any."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from landcover_pnp.products.parquet_polygons import parquet_polygons


def polygons(count: int) -> geopandas.GeoDataFrame:
    """Polygons of a window, with the columns that the products have."""
    squares = [shapely.box(x, 0, x + 1, 1) for x in range(count)]
    columns = {
        "code": np.ones(count, np.int32),
        "name": np.array(["water"] * count, object),
        "area_m2": np.ones(count),
        "building": np.zeros(count, bool),
    }
    return geopandas.GeoDataFrame(columns, geometry=np.array(squares, object), crs="EPSG:26917")


@pytest.mark.parametrize("counts", [(0, 2, 1), (2, 0, 1), (2, 1, 0), (0, 0)])
def test_windows_without_polygons_change_nothing(tmp_path: Path, counts: tuple[int, ...]) -> None:
    path = tmp_path / "landcover.parquet"
    with parquet_polygons(path) as add:
        for count in counts:
            add(polygons(count))
    found = geopandas.read_parquet(path)
    assert found["name"].tolist() == ["water"] * sum(counts)
    assert found.crs == "EPSG:26917"
    assert found.columns.tolist() == ["code", "name", "area_m2", "building", "geometry"]
