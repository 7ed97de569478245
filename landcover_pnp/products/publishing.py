"""The publish stage: a finished run in, a folder of products that explain themselves out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config.texts import require_text
from landcover_pnp.products.bookmarks import bookmarks, failed_boxes
from landcover_pnp.products.catalog import write_item
from landcover_pnp.products.changes import change_layer
from landcover_pnp.products.comparison import both_maps
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.footprint import outline
from landcover_pnp.products.ground import LAYER, TITLE
from landcover_pnp.products.ground_polygons import publish_ground
from landcover_pnp.products.image_product import write_image
from landcover_pnp.products.original_image import OriginalImage
from landcover_pnp.products.packages import require_package
from landcover_pnp.products.parquet_polygons import FILE, parquet_polygons
from landcover_pnp.products.qgis import (
    Group,
    Layer,
    Project,
    layer_definition,
    write_qgz,
)
from landcover_pnp.products.rasters import (
    EXTRAS,
    Product,
    drawn_by,
    extras_of,
    products_of,
    write_products,
)
from landcover_pnp.products.report import write_report
from landcover_pnp.products.roofs import Roofs, roofs_of
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.products.styles import (
    HatchStyle,
    OutlineStyle,
    PolygonStyle,
    Style,
)
from landcover_pnp.products.truth_layers import write_truth
from landcover_pnp.products.under_trees import GROUND_STEM, ground_hashes, ground_product
from landcover_pnp.products.vectors import (
    PolygonCounts,
    dated,
    write_boxes,
    write_layer_styles,
    write_polygons,
)
from landcover_pnp.products.web_tiles import ARCHIVE, require_web_tiles, write_web_tiles
from landcover_pnp.scenes.vector_files import require_plain_name
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.newest import is_corrected
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.published_names import ATTRIBUTION
from landcover_pnp.storage.records import Record, file_hashes, fingerprint, ingredients, make_way
from landcover_pnp.storage.replaced_folder import replaced
from landcover_pnp.storage.run_folder import DOUBT, STUDENT, RunFolder
from landcover_pnp.version import __version__

FAILED = OutlineStyle((215, 25, 28), hatched=True)
"""How tiles without a result are drawn."""


@dataclass(frozen=True)
class PublishSummary:
    """What was published.

    Attributes:
        folder: Folder of the products; it can be moved, copied or zipped as it is.
        files: Names of the files in it.
        polygons: What became of the map's patches.
        failed: Names of the tiles without a result.
        notes: What was made again, and why; empty where all stands, or was published first.
    """

    folder: Path
    files: tuple[str, ...]
    polygons: PolygonCounts
    failed: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 all of the map is there, 3 tiles of it are without a result."""
        return 3 if self.failed else 0


def publish_run(run: Path, settings: PublishSettings | None = None) -> PublishSummary:
    """Makes all products of a finished run; the same run gives the same bytes.

    Products that are as they were written, and would be the same again, stay.

    Args:
        run: Folder of the run.
        settings: Title, polygons, rasters on request.

    Returns:
        What was published; older products were replaced all together, or not at all.

    Raises:
        RequestError: If the run is not finished or in use.
        RunError: If a product cannot be written.
    """
    chosen = settings or PublishSettings()
    finished = FinishedRun.open(run, palette=chosen.palette)
    title = chosen.title or finished.title
    paths = RunFolder(run)
    require_publishable(finished, chosen)
    path, start = paths.published_record, time.monotonic()
    roofs = roofs_of(finished)
    ground = ground_hashes(finished) if chosen.ground_under_trees else {}
    image = OriginalImage.of(finished)
    made_of = ingredients(
        version=__version__,
        buildings=roofs is not None,
        image=image.imagery is not None,
        ground=ground,
        publish=chosen,
        title=title,
        settings=fingerprint(finished.settings),
        summary=fingerprint(dict(finished.summary)),
        scene=fingerprint(finished.scene.made_of),
    )
    with paths.held([paths.name(path)]) as owned:
        record, differing = Record.standing(path, made_of)
        notes = [f"published again, changed since: {', '.join(differing)}"] if differing else []
        if record is None:
            notes += make_way(path)
            polygons, products = _write_products(finished, chosen, title, roofs, image, owned)
            record = Record(
                "done",
                made_of,
                time.monotonic() - start,
                figures=dataclasses.asdict(polygons),
                files=file_hashes(paths.path, products),
            )
            record.write(path)
    counts = PolygonCounts(
        int(record.figures["polygons"]),
        int(record.figures["vertices"]),
        record.figures["area_m2"],
    )
    files = tuple(sorted(Path(name).name for name in record.files))
    return PublishSummary(paths.products, files, counts, tuple(finished.failed), tuple(notes))


def require_publishable(finished: FinishedRun, chosen: PublishSettings) -> None:
    """Refuses what this environment or this map cannot give, before anything is made.

    Args:
        finished: The run.
        chosen: What to publish.

    Raises:
        SettingsError: If the title, perhaps the folder's name, has control characters.
        GridError: As ``require_web_tiles``.
        RequestError: If a package is not installed, or no product can be written there.
    """
    require_text("the title", chosen.title or finished.title)  # the folder's name may be none
    require_plain_name(RunFolder(finished.folder).products / "landcover.gpkg", "the product")
    if chosen.geoparquet:
        require_package("pyarrow", "polygons as GeoParquet")
    if chosen.web_tiles:
        require_web_tiles(outline(finished.bounds(finished.scene.extent), finished.crs)[1])


def _write_products(
    finished: FinishedRun,
    chosen: PublishSettings,
    title: str,
    roofs: Roofs | None,
    image: OriginalImage,
    owned: OwnedFolder,
) -> tuple[PolygonCounts, list[Path]]:
    """Makes the folder of products anew; returns what is in it."""
    paths = RunFolder(finished.folder)
    with (
        dated(finished.finished),
        replaced(owned, paths.name(paths.products)) as folder,
    ):
        legend = finished.legend.legend
        extras = extras_of(legend)
        wanted = products_of(legend) | {k: v for k, v in extras.items() if getattr(chosen, k)}
        if chosen.ground_under_trees:
            wanted[GROUND_STEM] = ground_product(chosen.palette)
        rasters = {  # runs of an earlier version have no doubt
            stem: product
            for stem, product in drawn_by(wanted, finished.student).items()
            if paths.probability(product.method).is_file()
        }
        own = {k: v for k, v in rasters.items() if v.method in (STUDENT, DOUBT)}
        others = {k: v for k, v in rasters.items() if k not in own}
        for there, part in ((finished.newest, own), (paths, others)):
            told = finished.provenance
            write_products(there.probabilities, folder, told, part, finished.result)
        polygons = _write_vectors(finished, folder, chosen, roofs)
        project = Project(
            title,
            finished.crs,
            finished.bounds(finished.scene.extent),
            _groups(finished, folder, rasters, image),
            bookmarks(finished),
            finished.attribution,
        )
        write_text(folder / "landcover.qlr", layer_definition(project))
        write_qgz(folder / "landcover.qgz", project)
        if chosen.web_tiles:
            _, bbox = outline(finished.bounds(finished.scene.extent), finished.crs)
            landcover, rights = RunFolder(folder).landcover, finished.attribution
            write_web_tiles(folder / ARCHIVE, landcover, legend, title, rights, bbox)
        write_report(finished, folder, RunFolder(folder).report, title, image)
        if finished.attribution:
            write_text(folder / ATTRIBUTION, "\n".join(finished.attribution) + "\n")
        write_item(finished, folder, title)
        names = [path.name for path in sorted(folder.iterdir())]
    return polygons, [paths.products / name for name in names]


def _groups(
    run: FinishedRun, folder: Path, rasters: Mapping[str, Product], image: OriginalImage
) -> tuple[Group, ...]:
    """Layers from top to bottom; writes image and truth, which are no products of the map."""

    def layers(*stems: str, shown: bool = False) -> tuple[Layer, ...]:
        return tuple(
            Layer(rasters[k].title, f"./{k}.tif", rasters[k].style, shown)
            for k in stems
            if k in rasters
        )

    def vectors(name: str, layer: str, style: Style, shown: bool) -> Layer:
        return Layer(name, f"./landcover.gpkg|layername={layer}", style, shown)

    drawn = PolygonStyle(run.legend.legend)
    ground = publish_ground(run.ground, folder, run.finished)
    hatch = (vectors(TITLE, LAYER, HatchStyle(ground), True),) if ground else ()
    polygons = vectors("land cover polygons", "landcover", drawn, False)
    failed = vectors("tiles without result", "failed_tiles", FAILED, True)
    groups = (
        Group("Warnings", (failed,) if run.failed else ()),
        Group("Map", (*hatch, *layers("landcover", shown=True), polygons, *layers(GROUND_STEM))),
        Group("Change", _changes(run, folder)),
        Group("Uncertainty", layers("confidence", "entropy", DOUBT, *EXTRAS)),
        Group("Baselines", layers("evidence", "weak_labels")),
        Group("Truth", write_truth(run, folder)),
        Group("Imagery", (Layer("image", "./image.tif", write_image(image, folder)),)),
    )
    return tuple(group for group in groups if group.layers)


def _changes(run: FinishedRun, folder: Path) -> tuple[Layer, ...]:
    """What corrections have changed; nothing of a map without any."""
    if run.original or not is_corrected(RunFolder(run.folder)):
        return ()
    return (change_layer(folder, *both_maps(run.folder), run.palette),)


def _write_vectors(
    run: FinishedRun, folder: Path, settings: PublishSettings, roofs: Roofs | None
) -> PolygonCounts:
    path = folder / "landcover.gpkg"
    rasters = RunFolder(folder).landcover, RunFolder(folder).confidence
    with parquet_polygons(folder / FILE) if settings.geoparquet else nullcontext() as also:
        counts = write_polygons(path, *rasters, settings, roofs, also)
    styles: dict[str, Style] = {"landcover": PolygonStyle(run.legend.legend)}
    if run.failed:
        write_boxes(path, "failed_tiles", run.crs, failed_boxes(run), run.failed)
        styles["failed_tiles"] = FAILED
    write_layer_styles(path, styles, run.finished)
    return counts
