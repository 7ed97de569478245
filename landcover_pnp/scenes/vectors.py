"""Objects of vector files drawn on the working grid, and the area of interest."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from rasterio.transform import Affine

from landcover_pnp.arrays import block_mean
from landcover_pnp.config.texts import is_elsewhere
from landcover_pnp.errors import GridError, RasterError, WeakLabelsWarning
from landcover_pnp.grid import Box
from landcover_pnp.scenes.vector_files import (
    AREA,
    layer_bounds,
    read_attribute,
    read_layer,
    vector_layers,
)
from landcover_pnp.scenes.widths import COLUMN, read_widths
from landcover_pnp.storage.georeference import apart, listed, system_name


@dataclass(frozen=True)
class VectorLayer:
    """Geometries in the CRS of a working grid, ready to be drawn window by window.

    Attributes:
        geometries: Polygons; lines and points are already given their width.
        index: Spatial index of the same geometries.
    """

    geometries: NDArray[np.object_]
    index: shapely.STRtree

    @classmethod
    def of(cls, geometries: NDArray[np.object_]) -> VectorLayer:
        """Builds the index."""
        return cls(geometries, shapely.STRtree(geometries))

    def coverage(self, geobox: GeoBox, window: Box, factor: int) -> NDArray[np.float32]:
        """Share of each pixel that the geometries cover.

        Args:
            geobox: The working grid.
            window: Pixels to draw.
            factor: Subpixels along a pixel's side that are tested at their centres.

        Returns:
            (y, x) float32 in 0..1.
        """
        height, width = window.shape
        to_crs: Affine = geobox.transform * Affine.translation(window.x0, window.y0)
        corners = [to_crs * (0, 0), to_crs * (width, height)]
        bounds = shapely.box(*corners[0], *corners[1])
        hits = self.geometries[np.sort(self.index.query(bounds))]
        if len(hits) == 0:
            return np.zeros((height, width), np.float32)
        fine = rasterize(
            hits,
            out_shape=(height * factor, width * factor),
            transform=to_crs * Affine.scale(1 / factor),
            dtype="uint8",
        )
        return block_mean(fine, factor)


def require_overlap(path: Path, layer: str | None, what: str, geobox: GeoBox) -> None:
    """Refuses objects that all lie elsewhere: their file is of another place or its CRS is wrong.

    Args:
        path: A file ``vector_layers`` takes for one.
        layer: Its layer; None where there is only one.
        what: Name of the layer in messages.
        geobox: The working grid.

    Raises:
        RasterError: If the layer is ambiguous or unknown, or has no CRS.
        GridError: If there are objects, and none near the grid.
    """
    crs, there = layer_bounds(path, layer, what)
    if there is None:
        return
    here = _outline(geobox, crs).bounds
    if not np.isfinite(here).all() or apart(there, here):
        raise GridError(
            found=f"{path} ({what}) covers {listed(there)}, the map {listed(here)}, both in "
            f"{system_name(crs)}: they do not overlap",
            expected=f"{what} of the same ground, or a file without any",
            fix="name the file of this area, correct its CRS (coordinates of GeoJSON are "
            f"always degrees), or leave {what} out where this area has none",
        )


def read_objects(
    path: Path, layer: str | None, width_m: float, geobox: GeoBox, what: str
) -> VectorLayer:
    """Reads the objects of a vector file that touch the working grid.

    Args:
        path: A file ``vector_layers`` takes for one.
        layer: Layer to read; None where there is only one.
        width_m: Full width of lines and points, metres; an attribute ``width_m`` of the file
            wins where it is given and can be read, see ``widths``.
        geobox: The working grid.
        what: Name of the layer in messages.

    Returns:
        The layer in the grid's CRS.

    Raises:
        RasterError: If the layer is ambiguous or unknown, cannot be read or has no CRS.
    """
    frame = read_layer(path, layer, what, geobox)
    frame = frame.set_geometry(near_grid(frame.geometry, geobox))
    frame = _with_shapes(frame)
    geometries = frame.geometry.to_numpy()
    widths = np.full(len(frame), width_m, float)
    if COLUMN in frame.columns:
        given = read_widths(frame[COLUMN]).metres
        widths = np.where(np.isnan(given), widths, given)
    thin = shapely.get_dimensions(geometries) < 2
    geometries[thin] = shapely.buffer(geometries[thin], widths[thin] / 2)
    return VectorLayer.of(geometries)


def width_notes(
    path: Path, layer: str | None, width_m: float, geobox: GeoBox, what: str
) -> list[str]:
    """Says which widths the objects near a grid have; warns of those that cannot be read.

    Args:
        path: A file ``vector_layers`` takes for one.
        layer: Its layer; None where there is only one.
        width_m: Full width of lines and points that give none, metres.
        geobox: The working grid.
        what: Name of the layer in messages.

    Returns:
        One sentence, or none where the file has no attribute ``width_m``.

    Raises:
        RasterError: As ``read_layer``.
    """
    values = read_attribute(path, layer, COLUMN, what, geobox)
    if values is None:
        return []
    widths = read_widths(values)
    if widths.unread:
        some = ", ".join(map(repr, dict.fromkeys(widths.unread[:50])))
        warnings.warn(
            f"{path} ({what}): the {COLUMN} of {len(widths.unread)} of {len(values)} objects is no "
            f"width ({some[:200]}): if they are lines or points, they are drawn {width_m:g} m wide",
            WeakLabelsWarning,
            stacklevel=2,
        )
    known = widths.metres[~np.isnan(widths.metres)]
    span = f" ({known.min():g} to {known.max():g} m)" if known.size else ""
    return [
        f"{what}: {known.size} of {len(values)} objects have a {COLUMN}{span}, lines and points "
        f"without are {width_m:g} m wide"
    ]


def read_area(path: Path, geobox: GeoBox) -> shapely.Geometry:
    """Reads an area of interest.

    Args:
        path: Polygon file.
        geobox: Grid over the whole image.

    Returns:
        One (multi-)polygon in the grid's CRS that touches the grid.

    Raises:
        RasterError: If the file is missing, has no polygon or no CRS.
        GridError: If the area is empty, invalid or outside the image.
    """
    area = area_polygons(path).to_crs(str(geobox.crs)).geometry.union_all()
    if area.area == 0:
        raise _no_area(path, "empty")
    image = shapely.box(*geobox.extent.boundingbox.bbox)
    if area.intersection(image).area == 0:
        bounds = gpd.GeoSeries([area, image], crs=str(geobox.crs)).to_crs(4326).bounds
        listed = [", ".join(f"{v:.5f}" for v in row) for row in bounds.to_numpy()]
        raise GridError(
            found=f"the area of interest in {path} does not touch the imagery: its bounds are "
            f"({listed[0]}), the imagery's ({listed[1]}), both in EPSG:4326",
            expected="an area that overlaps the imagery",
            fix="check its CRS, and whether x and y are swapped; coordinates of GeoJSON are "
            "always degrees",
        )
    return area


def area_polygons(path: Path) -> gpd.GeoDataFrame:
    """The polygons of an area of interest, in the CRS of their file.

    Args:
        path: Polygon file.

    Returns:
        At least one polygon, all of them valid.

    Raises:
        RasterError: If the file is missing, has no polygon or no CRS.
        GridError: If the polygons are invalid, without a surface or across the antimeridian.
    """
    there = path.exists() or is_elsewhere(str(path))
    if not there or vector_layers(path, AREA) is None:
        raise RasterError(
            found=f"{path} ({AREA}) is missing or no vector file",
            expected="a polygon file, such as GeoPackage, GeoJSON or shapefile",
            fix="correct the path; relative paths count from the configuration's folder",
        )
    frame = read_layer(path, None, AREA)
    frame = _with_shapes(frame)
    degrees = frame.to_crs(4326).total_bounds
    if len(frame) and degrees[2] - degrees[0] > 180:
        raise GridError(
            found=f"the area of interest in {path} spans {degrees[2] - degrees[0]:.0f} degrees of "
            "longitude",
            expected="an area on one side of the antimeridian",
            fix="split it there and map the two parts one after the other",
        )
    faults = [
        *(g.geom_type for g in frame.geometry if shapely.get_dimensions(g) < 2),
        *(shapely.is_valid_reason(g) for g in frame.geometry if not g.is_valid),
    ]
    if faults:
        raise _no_area(path, "not a valid polygon: " + "; ".join(faults[:3]))
    if not len(frame) or frame.geometry.union_all().area == 0:
        raise _no_area(path, "empty")
    return frame


def _no_area(path: Path, what: str) -> GridError:
    return GridError(
        found=f"the area of interest in {path} is {what}",
        expected="at least one valid polygon with a surface",
        fix="draw it anew or repair it, for example with QGIS' Fix geometries",
    )


def _with_shapes(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    # Not geopandas' notna, which warns of what it meant in former versions.
    geometries = frame.geometry.array
    return frame[~(shapely.is_missing(geometries) | shapely.is_empty(geometries))]


def _outline(geobox: GeoBox, crs: Any) -> shapely.Geometry:
    """Outline of a grid in another CRS; its bounds are not finite where it has no place there."""
    outline = shapely.segmentize(shapely.box(*geobox.extent.boundingbox.bbox), 10_000)
    return gpd.GeoSeries([outline], crs=str(geobox.crs)).to_crs(crs).iloc[0]


def near_grid(geometries: gpd.GeoSeries, geobox: GeoBox) -> gpd.GeoSeries:
    """Geometries in the CRS of a grid, cut to its surroundings where they had another.

    A projection holds near its own meridian: an ocean's far shore would fold over the grid.

    Args:
        geometries: Geometries with a CRS.
        geobox: The grid.

    Returns:
        As many geometries, empty where they lie elsewhere; the surroundings reach beyond the
        grid by its own size on each side.
    """
    crs = str(geobox.crs)
    if geometries.crs == crs:
        return geometries
    left, bottom, right, top = _outline(geobox, geometries.crs).bounds
    x, y = right - left, top - bottom
    around = (left - x, bottom - y, right + x, top + y)
    try:
        return geometries.clip_by_rect(*around).to_crs(crs)
    except shapely.GEOSException:  # a ring there and back again cannot be cut
        repaired = geometries.make_valid(method="structure", keep_collapsed=False)
        return repaired.clip_by_rect(*around).to_crs(crs)


def shares_beyond(geometries: gpd.GeoSeries, geobox: GeoBox) -> NDArray[np.float64]:
    """Share of each geometry's area that lies beyond a grid, in the geometries' own CRS.

    Args:
        geometries: Valid geometries with a CRS.
        geobox: The grid.

    Returns:
        (geometry,) float64 in 0..1; NaN where one has no area.
    """
    outline = _outline(geobox, geometries.crs)
    if not np.isfinite(outline.bounds).all():
        outline = shapely.Polygon()
    # Not geopandas' area, which warns of degrees: here they cancel.
    whole = shapely.area(geometries.array)
    share, wide = np.full(len(whole), np.nan), whole > 0
    inside = shapely.area(shapely.intersection(geometries.array[wide], outline))
    share[wide] = np.clip(1 - inside / whole[wide], 0, 1)
    return share
