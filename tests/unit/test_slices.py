"""Slices of a batch: each city in one of them, one table in whatever order they come."""

import csv
import itertools
import json
import multiprocessing
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import write_scene

from landcover_pnp.cli import main
from landcover_pnp.errors import SettingsError
from landcover_pnp.pipeline import batch
from landcover_pnp.pipeline.batch_table import CityResult
from landcover_pnp.pipeline.slices import Slice, table_held
from landcover_pnp.storage.lock import LOCK

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["landcover_pnp.pipeline.batch"])

NAMES = ("Erie", "akron", "boise", "akron-2", "davis")
"""In the order of the configuration, which is not the alphabet's."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def config(scene: Path, tmp_path: Path) -> Path:
    text = scene.read_text().replace("image.tif", f"{scene.parent}/image.tif")
    for layer in ("nlcd", "truth"):
        text = text.replace(f": {layer}.tif", f": {scene.parent}/{layer}.tif")
    for name in NAMES:
        (tmp_path / f"{name}.yaml").write_text(text)
    config = tmp_path / "cities.yaml"
    config.write_text(f"cities: [{', '.join(f'{name}.yaml' for name in NAMES)}]\nout: runs\n")
    return config


def as_if_mapped(name: str, *_: object) -> CityResult:
    return CityResult(name, 0, tiles=len(name))


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_map", as_if_mapped)


def rows(config: Path) -> list[dict[str, str]]:
    with (config.parent / "runs" / "cities.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@given(st.integers(0, 40), st.integers(1, 50), st.randoms())
def test_slices_hold_each_city_once(cities: int, count: int, order: random.Random) -> None:
    numbers = list(range(1, count + 1))
    order.shuffle(numbers)
    parts = [Slice(number, count).cities(range(cities)) for number in numbers]
    assert sorted(itertools.chain(*parts)) == list(range(cities))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    "text",
    ["0/20", "21/20", "3/0", "0/0", "3", "3/", "/20", "a/b", "3/20/1", "-1/3", "3/ 20", "", "٣/٤"],
)
def test_there_is_no_such_slice(
    text: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match="slice is"):
        Slice.of(text)
    assert main(["batch", str(config), f"--slice={text}"]) == 2
    assert "3/20" in capsys.readouterr().err
    assert not (config.parent / "runs").exists()


@pytest.mark.usefixtures("mapped")
def test_the_table_of_all_slices_is_that_of_the_batch(config: Path, tmp_path: Path) -> None:
    assert main(["batch", str(config), "--out", str(tmp_path / "whole")]) == 0
    whole = (tmp_path / "whole" / "cities.csv").read_bytes()
    for order in ((1, 2, 3), (3, 1, 2), (2, 2, 3, 1, 1)):  # a slice given again is nothing new
        out = tmp_path / "-".join(map(str, order))
        for number in order:
            words = ["batch", str(config), "--out", str(out), "--slice", f"{number}/3"]
            assert main(words) == 0
        assert (out / "cities.csv").read_bytes() == whole
        assert [path.name for path in out.iterdir() if path.name.startswith(".slice")] == []


@pytest.mark.usefixtures("mapped")
def test_a_slice_without_a_city_says_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", str(config), "--slice", "1/9"]) == 0
    capsys.readouterr()
    assert main(["batch", str(config), "--slice", "7/9"]) == 0
    assert "slice 7/9: 0 maps of 5 cities" in capsys.readouterr().out
    assert [row["city"] for row in rows(config)] == ["Erie"]


@pytest.mark.usefixtures("mapped")
def test_what_may_not_work_beside_a_slice(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Slice(1, 2).held(config.parent / "runs"):
        for words in (["--slice", "1/2"], ["--slice", "1/3"], []):
            capsys.readouterr()
            assert main(["batch", str(config), *words]) == 2
            assert "in use by process" in capsys.readouterr().err
        assert main(["batch", str(config), "--slice", "2/2"]) == 0
    assert [row["city"] for row in rows(config)] == ["akron", "akron-2"]
    assert main(["batch", str(config), "--slice", "1/2"]) == 0
    assert [row["city"] for row in rows(config)] == list(NAMES)


@pytest.mark.usefixtures("mapped")
def test_no_slice_begins_beside_a_whole_batch(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("landcover_pnp.pipeline.slices.WAIT_S", 0.1)
    with table_held(config.parent / "runs"):
        assert main(["batch", str(config), "--slice", "1/2"]) == 2
    assert "in use by process" in capsys.readouterr().err


@pytest.mark.usefixtures("mapped")
def test_a_slice_that_died_is_given_again(config: Path) -> None:
    assert main(["batch", str(config), "--slice", "2/2"]) == 0
    assert main(["batch", str(config), "--slice", "1/2"]) == 0
    before = rows(config)
    for folder in (config.parent / "runs", config.parent / "runs" / ".slice-1-of-2"):
        folder.mkdir(exist_ok=True)
        with Slice(2, 2).held(config.parent / "runs"):
            lock = config.parent / "runs" / ".slice-2-of-2" / LOCK
            holder = json.loads(lock.read_text())
        (folder / LOCK).write_text(json.dumps({**holder, "pid": 2**30}))
    assert main(["batch", str(config), "--slice", "1/2"]) == 0
    assert rows(config) == before


@pytest.mark.usefixtures("mapped")
def test_cities_that_cannot_be_mapped_have_a_row_in_a_slice_too(config: Path) -> None:
    (config.parent / "boise.yaml").write_text("scenes: {}")
    assert main(["batch", str(config), "--slice", "3/5"]) == 1
    assert main(["batch", str(config), "--slice", "3/5", "--strict"]) == 2
    assert main(["batch", str(config), "--slice", "1/5"]) == 0
    table = {row["city"]: row for row in rows(config)}
    assert table["boise"]["exit_code"] == "2"
    assert "unknown key" in table["boise"]["reason"]
    config.write_text(config.read_text().replace("boise.yaml, ", ""))
    assert main(["batch", str(config), "--slice", "1/5"]) == 0
    assert [row["city"] for row in rows(config)] == ["Erie"]  # a city that is no more has no row


def in_a_process(config: Path, part: str) -> None:
    batch._map = as_if_mapped  # type: ignore[assignment]
    raise SystemExit(main(["batch", str(config), "--slice", part]))


def test_slices_at_work_at_once_lose_no_row(config: Path) -> None:
    jobs = [FORKS.Process(target=in_a_process, args=(config, f"{n}/2")) for n in (1, 2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(100)
    assert [job.exitcode for job in jobs] == [0, 0]
    assert [row["city"] for row in rows(config)] == list(NAMES)
