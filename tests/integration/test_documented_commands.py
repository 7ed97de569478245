"""Every command of the documents: run on small files or, the long ones, up to their stage."""

import importlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import torch
from distributed.cli import dask_scheduler, dask_worker
from documented import Documented, in_comments, in_markdown, in_messages, in_text
from guided_unet import GuidedUNet
from inputs import ORIGIN, UTM, colours, two_halves, write_tif
from script_words import call_main

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.plan import plan_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.guided_tensors import Shape
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings
from landcover_pnp.products.sample import write_sample
from landcover_pnp.products.settings import SampleSettings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))

COMMANDS = {
    str(command): command
    for path in (*DOCUMENTS, *CONFIGS)
    for command in (in_comments(path) if path in CONFIGS else in_markdown(path))
}

STAGES = {
    "demo": "pipeline.demo.run_demo",
    "map": "pipeline.map.map_city",
    "batch": "pipeline.batch.map_cities",
    "transfer": "pipeline.transfer.stage.run_transfer",
    "train-student": "pipeline.train_student.train_student",
    "train-prior": "prior.training.train_prior",
    "cut-crops": "prior.crop_cutting.cut_crops",
    "fetch": "fetch.place.fetch_place",
    "plan": "fetch.plan.area_of",
    "fill": "pipeline.fill.fill_map",
    "fetch enviroatlas": "fetch.enviroatlas.fetch_enviroatlas",
    "sample-prior": "prior.sampling.sample_prior",
}
"""Commands that take minutes: it is enough that they reach their stage."""

PLACEHOLDERS = {
    "ADDRESS": "tcp://HEAD:8786",
    "CITY.yaml": "city.yaml",
    "CONFIG": "my_city.yaml",
    "ENGINE": "evidence",
    "FOLDER": "runs",
    "MAP": "runs/my_city",
    "PRIOR": "data/priors/synthetic",
    "RUN": "runs/my_city",
    "RUN_A": "runs/my_city",
    "RUN_B": "runs/other",
    "SIDE_PX": "100",
    "/shared/runs/my_city": "runs/my_city",
    "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT": "3/20",
    "$SLURM_CPUS_PER_TASK": "1",
    "runs/batch": "runs",
}
"""Words that a reader replaces, and what is there in this test."""

FEW = {
    "judge-prior": ["--crops", "8", "--samples", "4", "--steps", "2"],
    "correct": ["--workers", "0"],
}
"""What makes a command's work small."""


class ReachedError(Exception):
    """A long command has read its words and files, and begins its work."""


def typed(command: Documented) -> list[str]:
    """The words as a reader would type them here."""
    # Brackets are around what may be left out; a list in quotes keeps its own.
    words = [w if " " in w else w.strip("[]") for w in command.words if w != "..."]
    if words[:1] == ["import-prior"]:
        return ["exported" if word == "DIR" else word for word in words]
    return [PLACEHOLDERS.get(word, word) for word in words]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the files lie that the documents speak of, and a run of the first map."""
    desk = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "configs", desk / "configs")
    synthetic = desk / "configs" / "prior" / "synthetic.yaml"
    synthetic.write_text(synthetic.read_text().replace("width_m: 1600", "width_m: 256"))
    shutil.copy(ROOT / "configs" / "cities" / "own_files.yaml", desk / "my_city.yaml")
    (desk / "cities.yaml").write_text("cities: [my_city.yaml]")
    (desk / "sources.yaml").write_text("objects: {osm: north-carolina-latest.osm.pbf}")
    (desk / "durham").mkdir()
    shutil.copy(desk / "my_city.yaml", desk / "durham" / "scene.yaml")
    city = desk / "my_city"
    city.mkdir()
    write_tif(city / "naip.tif", colours(4))
    write_tif(city / "nlcd_30m.tif", np.array([[41, 41], [24, 24]], np.uint8).T.repeat(4, 0), 60.0)
    write_tif(desk / "labels.tif", two_halves(40, 20))
    left, top = ORIGIN
    house = shapely.box(left + 150, top - 120, left + 170, top - 100)
    street = shapely.LineString([(left + 130, top), (left + 130, top - 240)])
    district = shapely.box(left, top - 240, left + 100, top)
    for path, shape in (
        (city / "roads.gpkg", street),
        (city / "buildings.shp", house),
        (city / "water.geojson", house),
        (desk / "zones.gpkg", district),
        (desk / "edits.gpkg", house),
    ):
        names = {"name": ["a"], "class": ["water"]}
        gpd.GeoDataFrame(names, geometry=[shape], crs=UTM).to_file(path)
    tiny = DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4)
    for name in ("synthetic", "small", "mine"):
        prior = Prior(build_network(tiny, 0), NoiseSchedule(), tiny.resolution_m, tiny.crop_px)
        prior.save(desk / "data" / "priors" / name)
    network = GuidedUNet(Shape(6, 6, (32, 64), 1, (False, True)), heads=4)
    torch.save(network.state_dict(), desk / "unet.pth")
    assert main(["export-prior", "--out", str(desk / "exported")]) == 0
    (desk / "exported" / "prior.json").unlink()  # what diffusers writes is left
    shutil.copy(desk / "my_city.yaml", desk / "city.yaml")
    words = ["--run", str(desk / "runs" / "my_city"), "--workers", "0"]
    assert main(["map", str(desk / "my_city.yaml"), *words]) == 0
    shutil.copytree(desk / "runs" / "my_city", desk / "runs" / "other")
    sample = write_sample(desk / "runs" / "my_city", SampleSettings(seed=1)).sample
    gpd.read_file(sample).assign(**{"class": "water"}).to_file(desk / "sample.gpkg")
    return desk


def landcover(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """Runs a command, a long one up to its stage; fails on any exit code but 0."""
    name, *rest = words
    if name == "judge-prior" and not any("synthetic" in word for word in rest):
        stage = "prior.judging.judge_prior"  # by label files that are not part of the project
    elif name == "plan" and rest[0].endswith(".yaml"):
        stage = ""  # seconds
    elif "--validate" in rest:
        stage = "products.stac_validation.validate_catalogue"  # fetches schemas
    else:
        stage = STAGES.get(" ".join(words[:2]), STAGES.get(name, ""))
    if not stage or "--help" in rest:
        assert main([*words, *FEW.get(name, [])]) == 0
        return

    def reached(settings: object, *_: object, **__: object) -> None:
        if isinstance(settings, MapSettings) and rest[0] in ("city.yaml", "my_city.yaml"):
            plan_map(settings)
        raise ReachedError

    module, function = stage.rsplit(".", 1)
    patch.setattr(importlib.import_module(f"landcover_pnp.{module}"), function, reached)
    with pytest.raises(ReachedError):
        main(words)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_documents_works(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[name]
    monkeypatch.chdir(desk)
    for word in command.words:
        if word.startswith(("benchmarks/", "configs/", "landcover_pnp/", "pipelines/", "tests/")):
            assert (ROOT / word).exists(), f"{word} is not there"
    words = typed(command)
    if command.program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in words:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target}"
    elif command.program == "dask":
        kind = {"scheduler": dask_scheduler, "worker": dask_worker}[words[0]]
        kind.main.make_context(words[0], words[1:])
    elif command.program == "landcover":
        alone = len(words) < 2  # the command's name, in a sentence
        landcover([*words, "--help"] if alone and words else words or ["--help"], monkeypatch)
    elif words[0].startswith(("benchmarks/", "pipelines/")):
        call_main(ROOT / words[0], words[1:])
    capsys.readouterr()


SCRIPTS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "pipelines").glob("*.py")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_has_help(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "__main__" not in script.read_text(encoding="utf-8"):
        return  # what others import
    call_main(script, ["--help"])
    assert capsys.readouterr().out.startswith("usage: ")


def named_in(overview: str) -> list[str]:
    """The commands of the program's help, those of two words too."""
    return re.findall(r"^  ([\w-]+(?: [\w-]+)?)  +\w", overview, re.MULTILINE)


def known_options(name: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Options that the help of a command lists, those of its optional blocks too."""
    capsys.readouterr()
    assert main([*name.split(), "--help"]) == 0
    said = capsys.readouterr().out
    found = set(re.findall(r"--[\w.-]+", said))
    for block in re.findall(r"--([\w.]+)\.help", said):
        assert main([*name.split(), f"--{block}.help"]) == 0
        found |= set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    return found


def test_every_command_named_in_a_help_or_a_message_exists(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    names = named_in(overview)
    assert {"map", "check", "batch", "train-prior"} <= set(names)
    texts = {"--help": overview}
    options = {name: known_options(name, capsys) for name in names}
    for name in names:
        main([*name.split(), "--help"])
        texts[f"{name} --help"] = capsys.readouterr().out
    said = [c for where, text in texts.items() for c in in_text(where, text)]
    for path in sorted((ROOT / "landcover_pnp").rglob("*.py")):
        said += in_messages(path)
    said = [c for c in said if c.program == "landcover" and c.words and c.words[0].islower()]
    assert len(said) > 20
    for command in said:
        name, *words = command.words
        if words and f"{name} {words[0]}" in names:
            name, words = f"{name} {words[0]}", words[1:]
        elif name not in names:  # the first of a group
            name = next((n for n in names if n.startswith(f"{name} ")), name)
        assert name in names, f"{command}: no such command"
        wrong = set(_options(words)) - options[name] - {"--help"}
        assert not wrong, f"{command}: no such option"


def _options(words: Sequence[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if re.fullmatch(r"--[\w.-]+(=.*)?", word)]


def test_options_that_stand_alone_in_the_documents_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--help"])
    names = named_in(capsys.readouterr().out)
    known = set.union(*(known_options(name, capsys) for name in names))
    known |= {"--nthreads", "--student"}  # of dask; of blocks that can be left out
    for script in SCRIPTS:
        known |= set(
            re.findall(r'add_argument\(\s*"(--[\w-]+)"', script.read_text(encoding="utf-8"))
        )
    for path in DOCUMENTS:
        for span in re.findall(r"`(--[^`]+)`", path.read_text(encoding="utf-8")):
            assert set(_options(span.split())) <= known, f"{path.name}: {span}"


def test_the_first_map_of_the_readme(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block `Map your own city` as it stands there, with the configuration that is shipped."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Map your own city")[2].partition("\n## ")[0]
    commands = [c for c in in_markdown(ROOT / "README.md", section) if "my_city" in str(c)]
    assert [c.words[0] for c in commands] == ["check", "map", "publish", "evaluate"]
    monkeypatch.chdir(desk)
    shutil.rmtree("runs/my_city")
    quick = ["--workers", "0"]
    for command in commands:
        words = typed(command)
        assert main([*words, *(quick if words[0] == "map" else [])]) == 0
    settings = load_settings(MapSettings, Path("runs/my_city/settings.json"))
    assert settings.student is not None
    assert Path("runs/my_city/products/landcover.qgz").is_file()
