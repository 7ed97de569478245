"""The transfer stage: one city's labels, other cities' maps, every method, every protocol, scored.

    <run>/<city>/<protocol>/<method>.tif      class maps (of several tiles: .../<tile>/<method>.tif)
    <run>/<city>/<protocol>/probabilities/    what they were made of
    <run>/<city>/<protocol>/run/              the map run they start from
    <run>/results.json, table.md, report.html

Truth of a target city is opened by the scoring alone, at the end; by the protocol ``target`` and
the method ``half_city`` too, which say so by their names.
"""

from __future__ import annotations

import dataclasses
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp import __version__
from landcover_pnp.configuration import plain
from landcover_pnp.errors import SettingsError
from landcover_pnp.geotiff import completed, remove_partials
from landcover_pnp.mapping import map_city
from landcover_pnp.publish.transfer_report import write_report
from landcover_pnp.runs import (
    Ingredients,
    Record,
    file_hash,
    file_hashes,
    ingredients,
    locked,
    write_json,
)
from landcover_pnp.settings import (
    EnviroAtlasTile,
    MapSettings,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
    TransferCity,
    TransferMethod,
    TransferSettings,
    WeakLabelSettings,
)
from landcover_pnp.sites import Site, map_site, publish_map
from landcover_pnp.sources.enviroatlas import list_tiles, tile_files
from landcover_pnp.sources.rasters import plan_scene
from landcover_pnp.sources.synthetic import write_city
from landcover_pnp.transfer_methods import (
    FROM_RUN,
    LEARNS,
    WITHOUT_MATRIX,
    Predictor,
    Sight,
    predictor,
)
from landcover_pnp.transfer_scores import City, MethodMap, score_maps

NO_MATRIX = "any"
"""Folder, in the protocol's place, of methods that do not use p(class | NLCD)."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class TransferSummary:
    """What a transfer run did.

    Attributes:
        run: The run folder.
        maps: Class maps there.
        kept: How many of them an earlier run had made.
        scored: Cities with truth.
        table: Markdown table.
        report: HTML report.
        seconds: Time of this run.
    """

    run: Path
    maps: int
    kept: int
    scored: int
    table: Path
    report: Path
    seconds: float


def run_transfer(settings: TransferSettings, run: Path, say: Say | None = None) -> TransferSummary:
    """Maps the source and every target by every method under every protocol, and scores.

    The same call again keeps what is finished and made of the same settings and inputs.

    Args:
        settings: Cities, protocols, methods, seeds.
        run: Run folder.
        say: Called with a sentence whenever there is news.

    Returns:
        Where everything lies.

    Raises:
        RequestError: If a city's files cannot be used; nothing is mapped then.
        RunError: If a map cannot be written.
    """
    start = time.monotonic()
    tell = say or (lambda _: None)
    _require_sensible(settings)
    with locked(run):
        remove_partials(run)
        cities = [_city(city, run / "cities") for city in (settings.source, *settings.targets)]
        _require_usable(settings, cities)
        once: dict[tuple[str, ...], MethodMap] = {}
        for protocol in settings.protocols:
            for made in _Protocol(settings, run, protocol, cities, tell).maps():
                # A method without p(class | NLCD) comes again, kept, under the next protocol.
                once.setdefault((made.city, made.protocol, made.method, str(made.seed)), made)
    # A new folder does not outlive a bad request; the maps shall outlive truth that is bad.
    with locked(run):
        results = score_maps(list(once.values()), cities, settings)
        write_json(run / "results.json", results.content())
        table, report = write_report(run, results, settings)
    return TransferSummary(
        run=run,
        maps=len(once),
        kept=sum(m.kept for m in once.values()),
        scored=sum(city.truth is not None for city in cities),
        table=table,
        report=report,
        seconds=time.monotonic() - start,
    )


class _Protocol:
    """All maps of one protocol."""

    def __init__(
        self, settings: TransferSettings, run: Path, protocol: str, cities: Sequence[City], say: Say
    ) -> None:
        self.settings, self.run, self.protocol, self.say = settings, run, protocol, say
        self.cities = cities
        self._taught: dict[tuple[str, int], Predictor] = {}

    def maps(self) -> Iterator[MethodMap]:
        source = self._sites(self.cities[0])
        for city in self.cities:
            if self.protocol == "target" and city.truth is None:
                self.say(f"{city.name}: no truth, hence no protocol target")
                continue
            sites = source if city is self.cities[0] else self._sites(city)
            for method in self.settings.methods:
                if method == "half_city" and city.truth is None:
                    continue
                for seed in self.settings.seeds if method in LEARNS else self.settings.seeds[:1]:
                    yield self._map(city, source, sites, method, seed)

    def _sites(self, city: City) -> dict[str, Site]:
        """The map runs of a city's tiles under this protocol."""
        name, _, repaired = self.protocol.partition("_")
        configs = _source_configs(self.cities[0], self.run) if name == "source" else []
        weak = WeakLabelSettings(
            name,  # type: ignore[arg-type]
            configs,
            self.settings.repair if repaired else None,
        )
        sites = {}
        for tile, files in city.tiles.items():
            seen = files if name == "target" or city is self.cities[0] else without_truth(files)
            mapped = MapSettings(
                scene=SceneSettings(rasters=seen, resolution_m=self.settings.resolution_m),
                weak_labels=weak,
                clusters=self.settings.clusters,
                inference=self.settings.inference,
                tiles=self.settings.tiles,
                workers=self.settings.workers,
            )
            folder = self.run / city.name / self.protocol / tile / "run"
            summary = map_city(mapped, folder)
            self.say(f"{city.name} {tile}, protocol {self.protocol}: {summary.seconds:.0f} s")
            sites[tile] = Site.open(folder)
        return sites

    def _map(
        self,
        city: City,
        source: Mapping[str, Site],
        sites: Mapping[str, Site],
        method: TransferMethod,
        seed: int,
    ) -> MethodMap:
        """Makes one method's maps of a city, or keeps those that stand."""
        protocol = NO_MATRIX if method in WITHOUT_MATRIX else self.protocol
        folder = self.run / city.name / protocol
        first = seed == self.settings.seeds[0]
        name = method if first else f"{method}-seed{seed}"
        made_of = self._made_of(city, source, sites, method, seed)
        record, _ = Record.standing(folder / f"{name}.json", made_of)
        kept = record is not None
        if record is None:
            start = time.process_time()
            paths = list(self._write(city, source, sites, method, seed, folder, name))
            seconds = time.process_time() - start
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            memory_mb = memory / (1e6 if sys.platform == "darwin" else 1e3)
            record = Record(
                "done",
                made_of,
                seconds,
                figures={"memory_mb": memory_mb},
                files=file_hashes(folder, paths),
            )
            record.write(folder / f"{name}.json")
            self.say(f"{city.name}, {protocol}, {name}: {seconds:.0f} s")
        return MethodMap(
            city=city.name,
            protocol=protocol,
            method=method,
            seed=seed,
            maps={tile: folder / tile / f"{name}.tif" for tile in city.tiles},
            seconds=record.seconds,
            memory_mb=record.figures["memory_mb"],
            kept=kept,
        )

    def _made_of(
        self,
        city: City,
        source: Mapping[str, Site],
        sites: Mapping[str, Site],
        method: TransferMethod,
        seed: int,
    ) -> Ingredients:
        """What a method's maps depend on: the sites it starts from, and truth it learns from."""

        def state(site: Site) -> str:
            if method in WITHOUT_MATRIX:
                return site.scene.fingerprint
            text = (site.run / "probabilities" / "record.json").read_text("utf-8")
            return text.partition('"fingerprint": "')[2][:16]

        learns: Ingredients = {}
        if method in LEARNS:
            learns = {"student": self.settings.student, "seed": seed}
        if method not in FROM_RUN:
            seen = city if method == "half_city" else self.cities[0]
            truths = {tile: files.truth for tile, files in seen.tiles.items()}
            learns["truth"] = {t: file_hash(f.path) for t, f in truths.items() if f is not None}
        return ingredients(
            version=__version__,
            method=method,
            source={tile: state(site) for tile, site in source.items()},
            city={tile: state(site) for tile, site in sites.items()},
            **learns,
        )

    def _write(
        self,
        city: City,
        source: Mapping[str, Site],
        sites: Mapping[str, Site],
        method: TransferMethod,
        seed: int,
        folder: Path,
        name: str,
    ) -> Iterator[Path]:
        if method in FROM_RUN:
            for tile, site in sites.items():
                copy = folder / tile / "probabilities" / f"{name}.tif"
                with completed(copy) as partial:
                    shutil.copyfile(site.run / "probabilities" / f"{method}.tif", partial)
                yield publish_map(folder / tile, name)
                yield copy
            return
        seen = list(sites.values())
        if method == "half_city":
            seen = [_with_truth(site, city.tiles[tile]) for tile, site in sites.items()]
        predict = self._predictor(method, list(source.values()), seen, seed)
        for tile, site in zip(sites, seen, strict=True):
            yield map_site(site, *predict(site), folder / tile, name)
            yield folder / tile / "probabilities" / f"{name}.tif"

    def _predictor(
        self, method: TransferMethod, source: list[Site], sites: list[Site], seed: int
    ) -> Predictor:
        """What a method has learnt; from the source alone it learns once for all cities."""
        elsewhere = method == "majority" or method.startswith("source")
        if elsewhere and (method, seed) in self._taught:
            return self._taught[method, seed]
        taught = predictor(method, Sight(source, sites, self.settings.student), seed)
        if elsewhere:
            self._taught[method, seed] = taught
        return taught


def without_truth(files: RasterFiles) -> RasterFiles:
    """A scene's files as everything but the scoring sees them."""
    return dataclasses.replace(files, truth=None)


def _with_truth(site: Site, files: RasterFiles) -> Site:
    return dataclasses.replace(site, fine=dataclasses.replace(site.fine, files=files))


def _city(city: TransferCity, drawn: Path) -> City:
    """The files of a city's tiles; a synthetic city is drawn if it is not there yet.

    Raises:
        SettingsError: If the city names no source of its files, or several.
        RasterError: If the data set has no such city.
    """
    named = [s for s in (city.rasters, city.enviroatlas, city.synthetic) if s is not None]
    if len(named) != 1:
        raise SettingsError(
            found=f"the city {city.name!r} with {len(named)} sources of its files",
            expected="exactly one of rasters, enviroatlas and synthetic",
            way_out="name the city's files in the configuration",
        )
    if city.rasters is not None:
        return City(city.name, {"": city.rasters})
    if city.enviroatlas is not None:
        tile = city.enviroatlas
        names = [tile.tile] if tile.tile else list_tiles(tile.root, tile.city, tile.split)
        tiles = {name: tile_files(dataclasses.replace(tile, tile=name)) for name in names}
        return City(city.name, tiles if len(tiles) > 1 else {"": tiles[names[0]]})
    plan = city.synthetic or SyntheticSettings()
    made_of, note = ingredients(city=plan), drawn / f"{city.name}.json"
    record, _ = Record.standing(note, made_of)
    if record is None:
        start = time.monotonic()
        summary = write_city(plan, drawn / city.name)
        files = file_hashes(drawn, sorted(summary.folder.iterdir()))
        record = Record("done", made_of, time.monotonic() - start, files=files)
        record.write(note)
    name = next((drawn / city.name).glob("*-test_tiles-debuffered")).name
    tile = EnviroAtlasTile(drawn / city.name, name.removesuffix("-test_tiles-debuffered"))
    return City(city.name, {"": tile_files(tile)})


def _source_configs(source: City, run: Path) -> list[Path]:
    """Configuration files of the source's tiles, for the protocol ``source``."""
    paths = []
    for tile, files in source.tiles.items():
        path = run / "cities" / f"source{'-' * bool(tile)}{tile}.yaml"  # JSON is YAML
        write_json(path, {"scene": {"rasters": plain(files)}})
        paths.append(path)
    return paths


def _require_sensible(settings: TransferSettings) -> None:
    names = [city.name for city in (settings.source, *settings.targets)]
    twice = sorted({name for name in names if names.count(name) > 1})
    odd = [name for name in names if not name.replace("_", "").replace("-", "").isalnum()]
    if twice or odd:
        raise SettingsError(
            found=f"cities named {', '.join(twice or odd)}" + (" twice" if twice else ""),
            expected="different names of letters, digits, - and _: they become folders",
            way_out="rename the cities",
        )
    if settings.interval_over_seeds and len(set(settings.seeds)) < 2:
        raise SettingsError(
            found=f"an interval over seeds is asked for, and there is {len(settings.seeds)} seed",
            expected="at least two different seeds",
            way_out="name several, such as --seeds '[0, 1]', or set interval_over_seeds to false",
        )
    if not settings.seeds:
        raise SettingsError(
            found="no seeds", expected="at least one seed", way_out="set seeds, such as [0]"
        )


def _require_usable(settings: TransferSettings, cities: Sequence[City]) -> None:
    """Checks headers of all files but truth, before any work."""
    if cities[0].truth is None:
        raise SettingsError(
            found=f"the source city {cities[0].name} has no truth",
            expected="labels of the source city",
            way_out="give source.rasters.truth",
        )
    for city in cities:
        for files in city.tiles.values():
            plan_scene(without_truth(files), settings.resolution_m)
