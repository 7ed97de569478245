"""The cities of a transfer run: their files, and what is checked before any work."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp import __version__
from landcover_pnp.config import plain
from landcover_pnp.errors import SettingsError
from landcover_pnp.inference.choice import choose_engine
from landcover_pnp.inference.settings import BASELINE
from landcover_pnp.pipeline.transfer.settings import TransferCity, TransferMethod, TransferSettings
from landcover_pnp.scenes.enviroatlas import list_tiles, tile_files
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import EnviroAtlasTile, RasterFiles, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.records import Record, file_hashes, ingredients, make_way, write_json

_CITIES = "cities"


@dataclass(frozen=True)
class City:
    """A city's files.

    Attributes:
        name: Its name.
        tiles: Files by tile; one tile has the name "".
    """

    name: str
    tiles: Mapping[str, RasterFiles]

    @property
    def truth(self) -> Mapping[str, RasterFiles] | None:
        """The tiles, if all have truth."""
        return self.tiles if all(files.truth for files in self.tiles.values()) else None


def without_truth(files: RasterFiles) -> RasterFiles:
    """A scene's files as everything but the scoring sees them."""
    return dataclasses.replace(files, truth=None)


def open_city(city: TransferCity, owned: OwnedFolder) -> City:
    """The files of a city's tiles; a synthetic city is drawn if it is not there yet.

    Args:
        city: Where its files come from.
        owned: The transfer run, which synthetic cities are drawn into.

    Raises:
        SettingsError: If the city names no source of its files, or several.
        RasterError: If the data set has no such city.
    """
    named = [s for s in (city.rasters, city.enviroatlas, city.synthetic) if s is not None]
    if len(named) != 1:
        raise SettingsError(
            found=f"the city {city.name!r} with {len(named)} sources of its files",
            expected="exactly one of rasters, enviroatlas and synthetic",
            fix="name the city's files in the configuration",
        )
    if city.rasters is not None:
        return City(city.name, {"": city.rasters})
    if city.enviroatlas is not None:
        tile = city.enviroatlas
        names = [tile.tile] if tile.tile else list_tiles(tile.root, tile.city, tile.split)
        tiles = {name: tile_files(dataclasses.replace(tile, tile=name)) for name in names}
        return City(city.name, tiles if len(tiles) > 1 else {"": tiles[names[0]]})
    plan = city.synthetic or SyntheticSettings()
    drawn = owned.path / _CITIES
    made_of, note = ingredients(version=__version__, city=plan), drawn / f"{city.name}.json"
    owned.claim(f"{_CITIES}/{note.name}")
    record, _ = Record.standing(note, made_of)
    if record is None:
        start = time.monotonic()
        make_way(note)
        summary = write_city(plan, drawn / city.name)
        files = file_hashes(drawn, sorted(summary.folder.iterdir()))
        record = Record("done", made_of, time.monotonic() - start, files=files)
        record.write(note)
    name = next((drawn / city.name).glob("*-test_tiles-debuffered")).name
    tile = EnviroAtlasTile(drawn / city.name, name.removesuffix("-test_tiles-debuffered"))
    return City(city.name, {"": tile_files(tile)})


def label_configs(city: City, resolution_m: float, owned: OwnedFolder) -> list[Path]:
    """Writes configuration files of a city's tiles, in whose truth p(class | code) is counted.

    Args:
        city: The city.
        resolution_m: Pixel side of the working grid, on which pairs of labels are counted.
        owned: The transfer run, which the files go into.
    """
    paths = []
    for tile, files in city.tiles.items():
        name = f"{_CITIES}/{city.name}{'-' * bool(tile)}{tile}.yaml"  # JSON is YAML
        owned.claim(name)
        path = owned.path / name
        write_json(path, {"scene": {"rasters": plain(files), "resolution_m": resolution_m}})
        paths.append(path)
    return paths


def require_sensible(settings: TransferSettings) -> None:
    """Checks names, seeds, and that there is something to do.

    Raises:
        PriorError: If the engine needs a prior that does not serve the working grid.
        SettingsError: If cities cannot be told apart, there are too few seeds, no matrix source or
            method is named, or an ablation would not leave out what it says.
    """
    names = [city.name for city in (settings.source, *settings.targets)]
    twice = sorted({name for name in names if names.count(name) > 1})
    odd = [name for name in names if not name.replace("_", "").replace("-", "").isalnum()]
    if twice or odd:
        raise SettingsError(
            found=f"cities named {', '.join(twice or odd)}" + (" twice" if twice else ""),
            expected="different names of letters, digits, - and _: they become folders",
            fix="rename the cities",
        )
    if settings.interval_over_seeds and len(set(settings.seeds)) < 2:
        raise SettingsError(
            found=f"an interval over seeds is asked for, and there is {len(settings.seeds)} seed",
            expected="at least two different seeds",
            fix="name several, such as --seeds '[0, 1]', or set interval_over_seeds to false",
        )
    if settings.inference.hide_below:
        raise SettingsError(
            found=f"inference.hide_below is {settings.inference.hide_below}, in a transfer",
            expected="0: methods are compared before unsure pixels are filled",
            fix="leave inference.hide_below out",
        )
    inference = choose_engine(settings.inference, settings.resolution_m).inference
    teacher = settings.student.teacher
    by_teacher = {"map": inference, BASELINE: dataclasses.replace(inference, engine=BASELINE)}
    learns_indices = teacher in by_teacher and by_teacher[teacher].uses_indices
    if "student_no_indices" in settings.methods and learns_indices:
        raise SettingsError(
            found=f"the method student_no_indices with a teacher ({teacher}) that uses spectral "
            "indices",
            expected="a teacher without spectral indices: it would hand them on",
            fix="set spectral_indices of the engine, and of inference.evidence, to false, or "
            "student.teacher to weak_labels",
        )
    for name in ("matrix_sources", "methods", "seeds"):
        if not getattr(settings, name):
            raise SettingsError(
                found=f"no {name.replace('_', ' ')}",
                expected=f"at least one of the {name}",
                fix=f"set {name}, or leave them out of the configuration",
            )


_ONE_MODEL = ("source_forest", "source_unet", "source_unet_weak", "student_finetuned")
"""Methods whose model sees the images of the source and of every target."""


def require_usable(
    cities: Sequence[City], resolution_m: float, methods: Sequence[TransferMethod]
) -> None:
    """Checks headers of all files but truth, before any work.

    Args:
        cities: The cities, the source first.
        resolution_m: Pixel side of the working grid.
        methods: The methods asked for.

    Raises:
        RequestError: If a city's files cannot be used, the source has no truth, or one model is
            to see images of different bands or pixels.
    """
    if cities[0].truth is None:
        raise SettingsError(
            found=f"the source city {cities[0].name} has no truth",
            expected="labels of the source city",
            fix="give source.rasters.truth",
        )
    kinds: dict[str, str] = {}
    for city in cities:
        for files in city.tiles.values():
            plan = plan_scene(without_truth(files), resolution_m)
            imagery, side_m = plan.imagery, plan.resolution_m / plan.factor
            kind = f"{len(imagery.bands)} bands ({', '.join(imagery.bands)}) at {side_m:.3g} m"
            kinds.setdefault(kind, city.name)
    asked = [method for method in methods if method in _ONE_MODEL]
    if len(kinds) > 1 and asked:
        raise SettingsError(
            found="images of " + " and ".join(f"{kind} ({name})" for kind, name in kinds.items()),
            expected="the same bands and pixels everywhere: one model sees them all in "
            + ", ".join(asked),
            fix="bring the images to the same bands and pixels, for example with "
            "gdal_translate -b 1 -b 2 -b 3 or gdalwarp -tr 1 1 -r average, or leave these "
            "methods out",
        )
