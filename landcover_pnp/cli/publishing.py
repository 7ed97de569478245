"""Commands about products: publishing, reports, zones, comparisons, catalogues."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from landcover_pnp.cli.command import Command, Request
from landcover_pnp.cli.output import say
from landcover_pnp.products.settings import (
    CatalogSettings,
    CompareSettings,
    GatherSettings,
    PublishSettings,
    QgisPluginSettings,
    ReportSettings,
    ZonalSettings,
)


@dataclass(frozen=True)
class ReportSummary:
    """What ``landcover report`` has written.

    Attributes:
        run: The run folder.
        report: The report in it.
    """

    run: Path
    report: Path


def _publish(request: Request) -> Any:
    from landcover_pnp.products.finished import FinishedRun

    FinishedRun.open(request.path)  # says that there is no map before the rest is loaded
    from landcover_pnp.pipeline.publish import publish

    return publish(request.path, request.settings)


def _show_published(summary: Any) -> None:
    for note in summary.notes:
        say(note)
    say(
        f"{summary.folder}: {len(summary.files)} files, {summary.polygons.polygons} polygons of "
        f"{summary.polygons.vertices} vertices; the folder can be moved as a whole\n"
        f"in QGIS:    {summary.folder / 'landcover.qgz'}\n"
        f"in browser: {summary.folder / 'report.html'}"
    )
    if summary.failed:
        say(f"without a result, marked in the project and the report: {', '.join(summary.failed)}")


def _report(request: Request) -> ReportSummary:
    from landcover_pnp.products.finished import FinishedRun
    from landcover_pnp.storage.run_folder import RunFolder

    run = request.path
    # It says that there is no map before the rest is loaded.
    finished = FinishedRun.open(run, palette=request.settings.palette)
    from landcover_pnp.products.report import write_report

    title = request.settings.title or finished.title
    paths = RunFolder(run)
    with paths.held() as owned:
        owned.claim(paths.name(paths.report))
        return ReportSummary(run, write_report(finished, run, paths.report, title))


def _zonal(request: Request) -> Any:
    from landcover_pnp.products.zonal import zonal

    run, zones = request.arguments
    return zonal(run, zones, request.settings.layer)


def _show_zonal(summary: Any) -> None:
    for note in summary.notes:
        say(note)
    say(f"{summary.zones} zones\n{summary.table}\n{summary.layer}")


def _compare(request: Request) -> Any:
    from landcover_pnp.products.comparison import both_maps, compare_maps

    a, *others = request.arguments
    before, after = (a, others[0]) if others else both_maps(a)
    return compare_maps(before, after, request.settings.out, request.settings.palette)


def _show_comparison(comparison: Any) -> None:
    for note in comparison.notes:
        say(note)
    say(f"{comparison.changed:.2%} of the common ground has another class in the second map")
    for before, after, _, hectares in comparison.rows:
        if before != after:
            say(f"  {before} to {after}: {hectares:,.2f} ha")
    say(str(comparison.folder / "comparison.html"))


def _catalog(request: Request) -> Any:
    from landcover_pnp.products.catalog import write_collection

    chosen = request.settings
    if not chosen.validate:
        return write_collection(request.path, chosen.title, chosen.prior)
    from landcover_pnp.products.stac_validation import require_validation, validate_catalogue

    require_validation()
    summary = write_collection(request.path, chosen.title, chosen.prior)
    return replace(summary, schemas=validate_catalogue(summary.collection).extensions)


def _show_catalog(summary: Any) -> None:
    say(f"{summary.items} runs\n{summary.collection}")
    if summary.schemas:
        say("\n".join(("valid by the schemas of STAC and of", *summary.schemas)))


def _gather(request: Request) -> Any:
    from landcover_pnp.pipeline.gather import gather_maps

    return gather_maps(request.path, request.settings)


def _show_gathered(summary: Any) -> None:
    for note in summary.notes:
        say(note)
    say(f"{summary.cities} maps")
    for path in (*summary.mosaics, summary.areas, summary.collection):
        if path is not None:
            say(str(path))


def _qgis_plugin(request: Request) -> Any:
    from landcover_pnp.products.qgis_install import install_qgis_plugin

    return install_qgis_plugin(request.settings)


def _show_plugin(summary: Any) -> None:
    say(
        f"{summary.folder}\nstart QGIS anew, switch on 'Land cover' under Plugins > Manage and "
        "Install Plugins; its algorithms are in the Processing toolbox"
    )


COMMANDS = {
    "publish": Command(
        _publish,
        PublishSettings,
        ("RUN",),
        "Make a run's products: rasters, polygons, QGIS project, report; to RUN/products.",
        show=_show_published,
    ),
    "report": Command(
        _report,
        ReportSettings,
        ("RUN",),
        "Write a run's report alone, to RUN/report.html.",
        show=lambda summary: say(str(summary.report)),
    ),
    "gather": Command(
        _gather,
        GatherSettings,
        ("FOLDER",),
        "Gather the maps of a batch: a virtual raster a CRS, a table of areas, a catalogue.",
        show=_show_gathered,
    ),
    "zonal": Command(
        _zonal,
        ZonalSettings,
        ("RUN", "ZONES"),
        "Sum up a run's classes by the zones of a vector file; to RUN/zonal.",
        show=_show_zonal,
    ),
    "compare": Command(
        _compare,
        CompareSettings,
        ("RUN_A", "[RUN_B]"),
        "Map what differs between two runs, or what corrections have changed in one.",
        show=_show_comparison,
    ),
    "qgis-plugin": Command(
        _qgis_plugin,
        QgisPluginSettings,
        (),
        "Install the plugin for QGIS: maps, fills, zones, comparisons, corrections in its toolbox.",
        show=_show_plugin,
    ),
    "catalog": Command(
        _catalog,
        CatalogSettings,
        ("FOLDER",),
        "List all published runs of a folder for STAC; to FOLDER/collection.json.",
        show=_show_catalog,
    ),
}
