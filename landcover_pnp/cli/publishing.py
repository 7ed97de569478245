"""Commands about products: publishing, reports, zones, comparisons, catalogues."""

from __future__ import annotations

from landcover_pnp.cli.command import Command, given, say
from landcover_pnp.products.settings import (
    CatalogSettings,
    CompareSettings,
    PublishSettings,
    ReportSettings,
    ZonalSettings,
)


def _publish(words: list[str]) -> int:
    (run,), settings = given("RUN", words, PublishSettings)
    from landcover_pnp.products.publishing import publish_run

    summary = publish_run(run, settings)
    say(
        f"{summary.folder}: {len(summary.files)} files, {summary.polygons.polygons} polygons of "
        f"{summary.polygons.vertices} vertices; the folder can be moved as a whole\n"
        f"in QGIS:    {summary.folder / 'landcover.qgz'}\n"
        f"in browser: {summary.folder / 'report.html'}"
    )
    if summary.failed:
        say(f"without a result, marked in the project and the report: {', '.join(summary.failed)}")
    return 3 if summary.failed else 0


def _report(words: list[str]) -> int:
    (run,), settings = given("RUN", words, ReportSettings)
    from landcover_pnp.products.finished import FinishedRun
    from landcover_pnp.products.report import write_report
    from landcover_pnp.storage.run_folder import RunFolder

    finished = FinishedRun.open(run)
    title = settings.title or finished.title
    paths = RunFolder(run)
    with paths.held() as owned:
        owned.claim(paths.name(paths.report))
        say(str(write_report(finished, run, paths.report, title)))
    return 0


def _zonal(words: list[str]) -> int:
    (run, zones), settings = given("RUN ZONES", words, ZonalSettings)
    from landcover_pnp.products.zonal import zonal

    summary = zonal(run, zones, settings.layer)
    for note in summary.notes:
        say(note)
    say(f"{summary.zones} zones\n{summary.table}\n{summary.layer}")
    return 0


def _compare(words: list[str]) -> int:
    (a, b), settings = given("RUN_A RUN_B", words, CompareSettings)
    from landcover_pnp.products.comparison import compare_maps

    comparison = compare_maps(a, b, settings.out)
    for note in comparison.notes:
        say(note)
    say(f"{comparison.changed:.2%} of the common ground has another class in {b}")
    for before, after, _, hectares in comparison.rows:
        if before != after:
            say(f"  {before} to {after}: {hectares:,.2f} ha")
    say(str(comparison.folder / "comparison.html"))
    return 0


def _catalog(words: list[str]) -> int:
    (folder,), settings = given("FOLDER", words, CatalogSettings)
    from landcover_pnp.products.catalog import write_collection

    summary = write_collection(folder, settings.title, settings.prior)
    say(f"{summary.items} runs\n{summary.collection}")
    return 0


COMMANDS = {
    "publish": Command(
        _publish,
        PublishSettings,
        "RUN",
        "Make a run's products: rasters, polygons, QGIS project, report; to RUN/products.",
    ),
    "report": Command(
        _report, ReportSettings, "RUN", "Write a run's report alone, to RUN/report.html."
    ),
    "zonal": Command(
        _zonal,
        ZonalSettings,
        "RUN ZONES",
        "Sum up a run's classes by the zones of a vector file; to RUN/zonal.",
    ),
    "compare": Command(
        _compare, CompareSettings, "RUN_A RUN_B", "Map what differs between two runs."
    ),
    "catalog": Command(
        _catalog,
        CatalogSettings,
        "FOLDER",
        "List all published runs of a folder for STAC; to FOLDER/collection.json.",
    ),
}
