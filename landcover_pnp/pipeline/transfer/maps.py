"""The class maps of a transfer run: made by a method, or kept from an earlier run."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from landcover_pnp.pipeline.transfer.methods import FROM_RUN, TITLES, Predictor, Work, predictor
from landcover_pnp.pipeline.transfer.settings import TransferMethod
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.records import Record, file_hashes, make_way
from landcover_pnp.storage.run_folder import RunFolder, raster_files, with_sidecars
from landcover_pnp.student.mapped_scene import map_with_model, publish_map

Trained = dict[tuple[TransferMethod, int], Predictor]
"""What methods have learned from the source alone, by method and seed: once for all cities."""


@dataclass(frozen=True)
class MethodMap:
    """One method's maps of one city.

    Attributes:
        city: Name of the city.
        matrix_source: Where p(class | code) comes from, ``any`` where it does not matter.
        method: The method.
        seed: Its seed.
        maps: Class map by tile.
        seconds: Processor time it took, without the map run it starts from.
        memory_mb: Peak memory of the process by then.
        kept: Whether an earlier run had made it.
    """

    city: str
    matrix_source: str
    method: TransferMethod
    seed: int
    maps: Mapping[str, Path]
    seconds: float
    memory_mb: float
    kept: bool

    @property
    def title(self) -> str:
        """What the table calls it."""
        return TITLES[self.method] + (f", seed {self.seed}" if self.seed else "")

    def probabilities(self, tile: str) -> Path:
        """The probabilities a map was made of."""
        path = self.maps[tile]
        return RunFolder(path.parent).probability(path.stem)


def made_or_kept(
    work: Work,
    folder: Path,
    name: str,
    trained: Trained,
    owned: OwnedFolder,
    say: Callable[[str], None],
) -> tuple[Record, bool]:
    """Makes a method's maps of a city, unless those of an earlier run can stand.

    Args:
        work: Method, city, seed.
        folder: Folder of the city and matrix source: maps, probabilities and the record go there.
        name: Name of the files.
        trained: What was learned so far; grows.
        owned: The transfer run.
        say: Called with a sentence on each file that was not as it had been written.

    Returns:
        The maps' record, whose figures have ``memory_mb``, and whether they were kept.

    Raises:
        RunError: If a file cannot be written and read back.
    """
    made_of = work.made_of
    record, _ = Record.standing(folder / f"{name}.json", made_of)
    if record is not None:
        return record, True
    note = (folder / f"{name}.json").relative_to(owned.path).as_posix()
    maps = [
        file.relative_to(owned.path).as_posix()
        for tile in work.mapped_scenes
        for path in _files(folder / tile, name)
        for file in raster_files(path)
    ]
    owned.claim(note, *maps)
    for said in make_way(owned.path / note):
        say(said)
    start = time.process_time()
    paths = list(_write(work, folder, name, trained))
    seconds = time.process_time() - start
    figures = {"memory_mb": _peak_memory_mb()}
    files = file_hashes(folder, paths)
    record = Record("done", made_of, seconds, figures=figures, files=files)
    record.write(folder / f"{name}.json")
    return record, False


def _peak_memory_mb() -> float:
    """Peak memory of this process so far, megabytes."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / 1e6)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    """Map and probabilities of a method in the folder of a tile."""
    return folder / f"{name}.tif", RunFolder(folder).probability(name)


def _write(work: Work, folder: Path, name: str, trained: Trained) -> Iterator[Path]:
    if work.method not in FROM_RUN:
        predict = _learned(work, trained)
    for tile, mapped_scene in work.mapped_scenes.items():
        _, probabilities = _files(folder / tile, name)
        if work.method in FROM_RUN:
            with completed(probabilities) as partial:
                shutil.copyfile(RunFolder(mapped_scene.run).probability(work.method), partial)
            map_ = publish_map(folder / tile, name)
        else:
            map_ = map_with_model(mapped_scene, *predict(mapped_scene), folder / tile, name)
        yield from with_sidecars([map_, probabilities])


def _learned(work: Work, trained: Trained) -> Predictor:
    key = work.method, work.seed
    if key in trained:
        return trained[key]
    predict = predictor(work)
    if work.elsewhere:
        trained[key] = predict
    return predict
