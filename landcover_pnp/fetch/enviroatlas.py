"""The data set of the paper: fetched, checked, and of it what was asked for unpacked."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config.addresses import address_of, shown
from landcover_pnp.errors import LandcoverError, RequestError, nearest
from landcover_pnp.fetch.enviroatlas_settings import (
    ARCHIVE,
    RECORD_PAGE,
    ROOT,
    EnviroAtlasSettings,
)
from landcover_pnp.scenes.enviroatlas import list_tiles
from landcover_pnp.storage.archives import Archive, require_size
from landcover_pnp.storage.disk_space import require_space
from landcover_pnp.storage.owned_folder import OwnedFolder, held
from landcover_pnp.storage.records import (
    RECORD,
    Ingredients,
    Record,
    file_hashes,
    make_way,
)
from landcover_pnp.storage.remote.download import Expected, checksum_of, download
from landcover_pnp.storage.user_files import require_file

INDEX = "spatial_index.geojson"
_TILES = "_tiles-debuffered"

_MEMBER = re.compile(
    r"(?:[^/]+/)?(?:(?P<folder>(?P<city>[\w.-]+)-(?P<split>train|val5|val|test)"
    r"_tiles-debuffered)/(?P<file>[^/]+\.(?:tif|geojson))|(?P<index>spatial_index\.geojson))"
)
"""Members that are unpacked: tiles of cities, and indices."""


@dataclass(frozen=True)
class EnviroAtlasSummary:
    """What there is of the data set.

    Attributes:
        root: Folder for ``scene.enviroatlas.root``.
        tiles: Number of tiles by folder, ``<city>-<split>``.
        unpacked: Number of files that were unpacked.
        kept: Number of those that were there, as they were unpacked.
        seconds: How long it took.
    """

    root: Path
    tiles: Mapping[str, int]
    unpacked: int
    kept: int
    seconds: float


def fetch_enviroatlas(
    settings: EnviroAtlasSettings, report: Callable[[str], None] = lambda _: None
) -> EnviroAtlasSummary:
    """Fetches the data set's archive and unpacks what is asked for; what is there is kept.

    Args:
        settings: What, from where and to where.
        report: Told what is done, a line each.

    Returns:
        What there is.

    Raises:
        RequestError: If the archive is another one, hostile or too large, or there is no room.
        NetworkError: If it cannot be fetched; the next call goes on where this one broke off.
    """
    begun = time.monotonic()
    if settings.archive.is_dir():
        return _unpacked_already(settings, begun)
    root = settings.out / ROOT
    with held(root, "EnviroAtlas data set") as owned:
        there = _standing(root, settings)
        if there is not None:
            tiles, files = there
            return EnviroAtlasSummary(root, tiles, 0, files, time.monotonic() - begun)
        archive = _archive(settings, report)
        with Archive.opened(archive) as opened:
            wanted = _wanted(opened, settings)
            names = [name for members in wanted.values() for name in members.values()]
            require_size(archive, opened.size_of(names), round(settings.most_gb * 1e9))
            done = [_Folder(owned, folder, members) for folder, members in wanted.items()]
            made_of = {"archive": _checksum(settings, archive)}
            missing = [folder for folder in done if not folder.stands(made_of)]
            require_space(root, opened.size_of([n for f in missing for n in f.members.values()]))
            owned.kept = True
            for folder in missing:
                report(f"{folder.name}: unpacking {len(folder.members)} files")
                folder.unpack(opened, made_of)
    fresh = sum(len(folder.members) for folder in missing)
    return EnviroAtlasSummary(
        root,
        {folder.name: folder.tiles for folder in done if folder.name},
        fresh,
        len(names) - fresh,
        time.monotonic() - begun,
    )


class _Folder:
    """A folder of the data set: one city's split, or what lies above them."""

    def __init__(self, owned: OwnedFolder, folder: str, members: Mapping[str, str]) -> None:
        self._owned, self._folder, self.members = owned, folder, members
        self.name = folder.removesuffix(_TILES)
        self._record = f"{folder}/{RECORD}" if folder else RECORD
        self.tiles = sum(file.endswith("_a_naip.tif") for file in members)

    def stands(self, made_of: Ingredients) -> bool:
        """Whether all of it is there as it was unpacked from the same archive."""
        record, _ = Record.standing(self._owned.path / self._record, made_of)
        return record is not None and set(record.files) == set(self.members)

    def unpack(self, archive: Archive, made_of: Ingredients) -> None:
        """Unpacks it."""
        begun, folder = time.monotonic(), self._owned.path / self._folder
        self._owned.claim(
            self._record, *(f"{self._folder}/{file}".lstrip("/") for file in self.members)
        )
        make_way(folder / RECORD)
        for file, member in self.members.items():
            archive.unpack(member, folder / file)
        hashes = file_hashes(folder, [folder / file for file in self.members])
        figures = {"tiles": float(self.tiles)}
        Record("done", made_of, time.monotonic() - begun, figures=figures, files=hashes).write(
            folder / RECORD
        )


def _standing(root: Path, settings: EnviroAtlasSettings) -> tuple[dict[str, int], int] | None:
    """Tiles and files of a city and split that are there, so that no archive is needed."""
    if settings.city is None or settings.split is None or settings.checksum is None:
        return None
    made_of = {"archive": settings.checksum.lower()}
    for folder, city, split in _folders(root):
        record, _ = Record.standing(folder / RECORD, made_of)
        if record is not None and _is_asked(settings, city, split):
            return {f"{city}-{split}": int(record.figures["tiles"])}, len(record.files)
    return None


def _folders(root: Path) -> Iterator[tuple[Path, str, str]]:
    """The folders of tiles in an unpacked data set, with their cities and splits."""
    for folder in sorted(root.glob(f"*{_TILES}")):
        city, _, split = folder.name.removesuffix(_TILES).rpartition("-")
        yield folder, city, split


def _is_asked(settings: EnviroAtlasSettings, city: str, split: str) -> bool:
    named = settings.city in (None, city, city.partition("-")[0])
    return named and settings.split in (None, split)


def _archive(settings: EnviroAtlasSettings, report: Callable[[str], None]) -> Path:
    """The archive on this machine, fetched if it is not there; its checksum is right."""
    address = address_of(settings.archive)
    path = settings.archive if address is None else settings.out / ARCHIVE
    if address is not None and not path.exists():
        report(f"fetching {shown(settings.archive)}")
        try:
            download(address, path, Expected(settings.checksum), _Told(report))
        except LandcoverError as error:
            error.fix += (
                f"; or download {ARCHIVE} of {RECORD_PAGE} in another way, and put it there: {path}"
            )
            raise
        return path
    require_file(path, "archive of the data set", "the zip archive", error=RequestError)
    if settings.checksum is not None:
        found = checksum_of(path, len(settings.checksum))
        if found != settings.checksum.lower():
            raise RequestError(
                found=f"{path} has the checksum {found}, not {settings.checksum}",
                expected=f"{ARCHIVE} of {RECORD_PAGE}, whole",
                fix="move it away and fetch it again; set checksum for another archive",
            )
    return path


class _Told:
    """Says how far a download is, every tenth of it."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report, self._said = report, 0

    def __call__(self, there: int, size: int | None) -> None:
        tenths = 10 * there // size if size else there // 10**9
        if tenths > self._said:
            self._said = tenths
            self._report(f"{there / 1e9:.2f} GB" + (f" of {size / 1e9:.2f} GB" if size else ""))


def _checksum(settings: EnviroAtlasSettings, archive: Path) -> str:
    return (settings.checksum or checksum_of(archive, 32)).lower()


def _wanted(archive: Archive, settings: EnviroAtlasSettings) -> dict[str, dict[str, str]]:
    """Members by file name, by folder, of what is asked for.

    Raises:
        RequestError: If there is nothing of it.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    cities = set()
    for name in archive.members:
        match = _MEMBER.fullmatch(name)
        if match is None:
            continue
        if match["index"]:
            found[""][INDEX] = name
            continue
        cities.add(f"{match['city']}-{match['split']}")
        if _is_asked(settings, match["city"], match["split"]):
            found[match["folder"]][match["file"]] = name
    if not set(found) - {""}:
        asked_for = f"{settings.city or 'any city'}, {settings.split or 'any split'}"
        raise RequestError(
            found=f"{archive.path} holds nothing of {asked_for}",
            expected="one of " + (", ".join(sorted(cities)) or "the data set's cities and splits"),
            fix=nearest(f"{settings.city}-{settings.split}", cities)
            if cities
            else "fetch it again",
        )
    return dict(found)


def _unpacked_already(settings: EnviroAtlasSettings, begun: float) -> EnviroAtlasSummary:
    """What there is in a folder that somebody else has unpacked; nothing is written."""
    root = settings.archive / ROOT if (settings.archive / ROOT).is_dir() else settings.archive
    tiles = {
        f"{city}-{split}": len(list_tiles(root, city, split))
        for _, city, split in _folders(root)
        if _is_asked(settings, city, split)
    }
    if not tiles:
        list_tiles(root, settings.city or "<city>", settings.split or "<split>")
    return EnviroAtlasSummary(root, tiles, 0, 0, time.monotonic() - begun)
