"""Whatever files lie in and around run and output folders, no command touches what is not ours."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import geopandas
import pytest
import shapely
from inputs import write_scene

from landcover_pnp.cli import main

WORDS = ["--tiles.core_px", "30", "--tiles.halo_px", "8", "--workers", "0"]
CASES = 320
SAMPLE = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)
"""The cases that the suite runs."""

OURS = (
    "landcover.tif",
    "landcover.qml",
    "settings.json",
    "summary.json",
    "journal.jsonl",
    "overview.png",
    "report.html",
    "student.tif",
    "student.json",
    "scene/image.tif",
    "scene/record.json",
    "tiles/r0000c0000_map.tif",
    "tiles/r0009c0009.json",
    "probabilities/map.tif",
    "probabilities/student.tif",
    "products/landcover.tif",
    "products/probabilities.tif",
    "zonal/zones.csv",
    "zonal/zones.gpkg",
    "samples/sample-n40-seed0.gpkg",
    "samples/notes.txt",
    "doubt.tif",
    "doubtful.json",
    "doubtful/places.gpkg",
    "doubtful/chips/0001.png",
    "probabilities/doubt.tif",
    "corrected/landcover.tif",
    "corrected/edits.tif",
    "corrected/products.json",
    "corrected/probabilities/student.tif",
    "difference.tif",
    "comparison.html",
    "comparison.qgz",
    "collection.json",
    "cities.csv",
    "prior.json",
    "config.json",
    "report.md",
    ".lock",
)
"""Names that this package gives its own files, some of which a user's may have."""

OTHERS = (
    "notes.txt",
    "scene/naip.tif",
    "scene/deeper/still/a.tif",
    "tiles/roads_x.tif",
    "tiles/r_old",
    "products/map of mine.qgz",
    "products/.partial-products/x",
    ".partial-1-landcover.tif.bak",
    ".previous-mine/x.tif",
    "scene.partial",
    "rivers.tif",
    "a b/ü.gpkg",
)


class World:
    """A user's folder: inputs, a finished run, outputs of commands, and files of their own."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.foreign: dict[Path, bytes] = {}

    def plant(self) -> None:
        """Puts files where none of ours are; what a command has just made is not overwritten."""
        for _ in range(self.rng.randint(1, 6)):
            where = self.folder / self.rng.choice(("run", "new", "out", "runs", "."))
            path = where / self.rng.choice(OURS + OTHERS)
            blocked = any(parent.is_file() for parent in path.parents)
            if blocked or path.exists() or self._is_lock_of_ours(path):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.rng.randbytes(self.rng.randint(0, 40)))
            self.foreign[path] = path.read_bytes()

    def _is_lock_of_ours(self, path: Path) -> bool:
        return path.name == ".lock" and (path.parent / ".landcover.json").exists()

    def command(self) -> list[str]:
        f, rng = self.folder, self.rng
        run = str(f / rng.choice(("run", "run", "run", "new", "out")))
        config, zones = str(f / "city" / "scene.yaml"), str(f / "zones.gpkg")
        commands: tuple[Callable[[], list[str]], ...] = (
            lambda: ["map", config, "--run", run, *WORDS],
            lambda: ["map", config, "--run", run, *WORDS, "--tiles.core_px", "64"],
            lambda: ["map", config, "--run", str(f), *WORDS],
            lambda: ["resume", run],
            lambda: ["publish", run],
            lambda: ["publish", run, "--probabilities", "true"],
            lambda: ["report", run],
            lambda: ["zonal", run, zones],
            lambda: ["zonal", run, str(f / "run" / "zonal" / "zones.gpkg")],
            lambda: ["doubt", run, "--count", "3"],
            lambda: ["sample", run, "--n", "40"],
            lambda: ["assess", run, str(f / "run" / "samples" / "sample-n40-seed0.gpkg")],
            lambda: ["compare", run, str(f / "run"), "--out", str(f / rng.choice(("out", "new")))],
            lambda: ["compare", run, "--out", str(f / "out")],
            lambda: ["correct", run, str(f / "edits.gpkg"), "--workers", "0"],
            lambda: ["correct", run, "--undo"],
            lambda: ["catalog", str(f)],
            lambda: ["catalog", str(f / "out")],
            lambda: ["evaluate", run, "--truth", str(f / "city" / "truth.tif")],
            lambda: ["verify", run],
            lambda: ["status", run],
            lambda: ["batch", str(f / "batch.yaml")],
            lambda: ["sample-prior", "--out", str(f / "out" / "report.md")],
            lambda: ["import-prior", str(f / "no.pth"), "--out", str(f / "out")],
            lambda: ["export-prior", "--out", str(f / rng.choice(("out", "new")))],
        )
        return rng.choice(commands)()

    def harmed(self) -> list[str]:
        return [
            str(path.relative_to(self.folder))
            for path, content in self.foreign.items()
            if not path.is_file() or path.read_bytes() != content
        ]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    config = write_scene(folder / "city")
    config.write_text(config.read_text().replace("workers: 1", "workers: 0"))
    assert main(["map", str(config), "--run", str(folder / "run"), *WORDS]) == 0
    assert main(["publish", str(folder / "run")]) == 0
    square = shapely.box(586_010, 4_475_900, 586_150, 4_475_990)
    geopandas.GeoDataFrame(geometry=[square], crs=26917).to_file(folder / "zones.gpkg")
    edits = geopandas.GeoDataFrame({"class": ["water"]}, geometry=[square], crs=26917)
    edits.to_file(folder / "edits.gpkg")
    (folder / "batch.yaml").write_text("cities: [city/scene.yaml]\nout: runs\n")
    return folder


def lived_through(template: Path, folder: Path, case: int, table: Counter[str]) -> None:
    shutil.copytree(template, folder)
    world = World(folder, random.Random(case))
    before = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(world.rng.randint(1, 3)):
            world.plant()
            words = world.command()
            code = main(words)
            assert not world.harmed(), f"case {case}, {' '.join(words)}: {world.harmed()}"
            table[f"{words[0]}: exit {code}"] += 1
            assert code in (0, 1, 2, 3), words
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


@pytest.mark.filterwarnings("ignore::landcover_pnp.errors.LandcoverWarning")
@pytest.mark.parametrize("case", SAMPLE)
def test_foreign_files_stay_as_they_are(template: Path, tmp_path: Path, case: int) -> None:
    lived_through(template, tmp_path / "world", case, Counter())


@pytest.mark.laws
@pytest.mark.filterwarnings("ignore::landcover_pnp.errors.LandcoverWarning")
def test_foreign_files_stay_as_they_are_in_every_case(template: Path, tmp_path: Path) -> None:
    table: Counter[str] = Counter()
    for case in range(CASES):
        lived_through(template, tmp_path / "world", case, table)
    print(f"\n{CASES} cases, no foreign file touched; commands by exit code:")
    for outcome, count in sorted(table.items()):
        print(f"  {outcome}: {count}")
