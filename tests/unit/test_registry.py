"""Engines as plug-ins: of other packages and of the running program, right ones and wrong ones."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from engine_packages import Own, OwnSettings, example, install, observations
from inputs import write_scene

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import SettingsError
from landcover_pnp.inference import registry
from landcover_pnp.inference.checks import engine_class
from landcover_pnp.inference.engine import infer, require_usable
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.registry import engine, engine_names, package_of, register_engine
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline import map as map_stage
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.records import Record

WORDS = ["--tiles.core_px", "60", "--tiles.halo_px", "0", "--workers", "0"]
"""One tile in this process."""

PACKAGES = ("their_package", "one_package", "other_package")

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def others_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test installs, imports or registers is gone after it."""
    engine_names()
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    yield
    for package in PACKAGES:
        sys.modules.pop(package, None)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package in a folder of its own."""

    def add(package: str, code: str, **engines: str) -> None:
        folder = install(tmp_path / f"site-{package}", package, code, **engines)
        monkeypatch.syspath_prepend(folder)

    return add


def test_an_engine_of_another_package_maps_a_scene(
    installed: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that the documents show: command line, configuration and Python agree."""
    installed("their_package", example(), sharp="Sharp")
    config = write_scene(tmp_path / "city")
    config.write_text(config.read_text().replace("engine: evidence", "sharp: {power: 3}"))
    words = ["map", str(config), *WORDS, "--inference.engine", "sharp"]
    assert main([*words, "--run", str(tmp_path / "cli")]) == 0, capsys.readouterr().err
    maps = {}
    for method in ("map", "weak_labels", "evidence"):
        with rasterio.open(tmp_path / "cli" / "probabilities" / f"{method}.tif") as source:
            maps[method] = decode(source.read())
    expected = maps["weak_labels"] ** 3
    np.testing.assert_allclose(maps["map"], expected / expected.sum(axis=0), atol=1e-4)
    assert not np.array_equal(maps["evidence"], maps["map"])

    their = importlib.import_module("their_package")
    options = {
        "sharp": their.SharpSettings(power=3),
        "evidence": EvidenceSettings(spectral_indices=False),
    }
    inference = InferenceSettings("sharp", options=options)
    settings = load_settings(MapSettings, config, [*WORDS, "--inference.engine", "sharp"])
    assert settings.inference == inference
    assert map_city(settings, tmp_path / "cli").progress.kept == 1
    (record,) = (tmp_path / "cli" / "tiles").glob("*.json")
    made_of = json.loads(record.read_text())["ingredients"]
    assert made_of["inference.sharp.power"] == 3
    assert made_of["inference.package.sharp"] == "their_package 1.0"
    assert load_settings(MapSettings, tmp_path / "cli" / "settings.json") == settings


def test_help_lists_it_without_torch(tmp_path: Path) -> None:
    install(tmp_path, "their_package", example(), sharp="Sharp")
    program = (
        "import sys; from landcover_pnp.cli import main; main(['map', '--help']); "
        "main(['map', '--inference.sharp.help']); sys.exit('torch' in sys.modules)"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "guided,sharp}" in done.stdout
    assert done.stdout.count("--inference.sharp.power POWER") == 2
    assert "The power; 1 leaves them as they are." in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inference.engine", "shrap"], "did you mean 'sharp'?"),
        (["--inference.sharp.powr", "3"], "did you mean 'inference.sharp.power'?"),
        (["--inference.sharp.power", "much"], "inference.sharp.power is much"),
        (["--inference.sharp", "3"], "keys and values: power"),
        (["--inference.engine", "sharp", "--inference.sharp.power", "-1"], "power is -1.0, below"),
    ],
)
def test_its_settings_are_checked_like_any_others(
    words: list[str],
    message: str,
    installed: Install,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    installed("their_package", example(), sharp="Sharp")
    config, run = write_scene(tmp_path / "city"), tmp_path / "run"
    assert main(["map", str(config), *WORDS, *words, "--run", str(run)]) == 2
    assert message in capsys.readouterr().err
    assert not run.exists()


def test_a_wrong_key_of_its_block_in_a_file_is_named(installed: Install, tmp_path: Path) -> None:
    installed("their_package", example(), sharp="Sharp")
    config = write_scene(tmp_path)
    config.write_text(config.read_text().replace("engine: evidence", "sharp: {powr: 3}"))
    with pytest.raises(SettingsError, match=r"(?s)'inference\.sharp\.powr'.*did you mean 'power'"):
        load_settings(MapSettings, config)


MODULE = "from landcover_pnp.inference.registry import register_engine\n"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (example(), "Sharp"),
        (example() + "\nsharp = Sharp()\n", "sharp"),
        (example().replace("class Sharp:", "@register_engine\nclass Sharp:"), ""),
        (example() + "\nregister_engine(Sharp())\n", ""),
    ],
    ids=["class", "instance", "module with a decorator", "module with a call"],
)
def test_an_entry_point_names_a_class_an_instance_or_a_module(
    code: str, what: str, installed: Install
) -> None:
    installed("their_package", MODULE + code, sharp=what)
    assert "sharp" in engine_names()
    assert package_of("sharp") == "their_package 1.0"
    assert infer(observations(), InferenceSettings("sharp"), None, 0).any()


BROKEN = {
    "cannot be imported": ("import torch_of_tomorrow", "Sharp", "No module named 'torch_of_tom"),
    "not there": ("", "Sharp", "has no attribute 'Sharp'"),
    "no engine": ("Sharp = 5", "Sharp", "needs_prior is no bool; Settings is no frozen dataclass"),
    "no engine in the module": ("", "", "their_package registers no engine"),
    "bad name": (example().replace('"sharp"', '"Sharp it"'), "Sharp", "name is 'Sharp it'"),
    "a key's name": (example().replace('"sharp"', '"view_px"'), "Sharp", "'view_px' is a key"),
    "not frozen": (example().replace("(frozen=True)", ""), "Sharp", "no frozen dataclass"),
    "no default": (example().replace(" = 2.0", ""), "Sharp", "Settings.power has no default"),
    "no run": (example().replace("def run", "def go"), "Sharp", "no method run"),
    "no check": (example().replace("def check", "def go"), "Sharp", "no method check"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_package_that_is_broken_harms_nobody_else_and_is_named_if_asked_for(
    kind: str, installed: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, what, reason = BROKEN[kind]
    installed("their_package", code, sharp=what)
    assert engine_names() == ("algorithm1", "denoise", "evidence", "fill", "guided")
    assert infer(observations(), InferenceSettings("evidence"), None, 0).any()
    config, run = write_scene(tmp_path / "city"), tmp_path / "run"
    words = ["map", str(config), *WORDS, "--inference.engine", "sharp", "--run", str(run)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "the engine 'sharp' of their_package 1.0 cannot be loaded" in said
    assert reason in said
    assert not run.exists()


@pytest.mark.parametrize("what", ["Sharp", ""], ids=["class", "module with a decorator"])
@pytest.mark.parametrize("name", ["sharp", "denoise"])
def test_two_engines_of_one_name_are_refused(
    name: str, what: str, installed: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = example().replace('"sharp"', f'"{name}"')
    if not what:
        code = MODULE + code.replace("class Sharp:", "@register_engine\nclass Sharp:")
    packages = ["one_package", "other_package"] if name == "sharp" else ["one_package"]
    for package in packages:
        installed(package, code, **{name: what})
    config, run = write_scene(tmp_path / "city"), tmp_path / "run"
    words = ["map", str(config), *WORDS, "--inference.engine", name, "--run", str(run)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"two engines named '{name}'" in said
    assert all(f"{package} 1.0" in said for package in packages)
    assert ("landcover-pnp" in said) == (name == "denoise")
    assert not run.exists()


def test_an_engine_of_the_program_is_registered_again_but_not_another_of_its_name(
    installed: Install,
) -> None:
    assert register_engine(Own) is Own
    assert type(engine("own")) is Own
    assert package_of("own") == "the module engine_packages"
    register_engine(type("Own", (Own,), {"__module__": Own.__module__, "__qualname__": "Own"}))
    assert type(engine("own")) is not Own
    for name, other in (("own", "the module engine_p"), ("denoise", "landcover-pnp")):
        stranger = type("Stranger", (Own,), {"name": name})
        with pytest.raises(SettingsError, match=rf"(?s)two engines named '{name}'.*{other}"):
            register_engine(stranger)
    installed("their_package", example().replace('"sharp"', '"theirs"'), theirs="Sharp")
    with pytest.raises(SettingsError, match=r"of their_package 1\.0 and of the module"):
        register_engine(type("Stranger", (Own,), {"name": "theirs"}))


def test_a_script_s_engine_is_the_same_one_in_its_workers() -> None:
    """They import the script under another name."""
    for module in ("__mp_main__", "__main__", "__mp_main__"):
        register_engine(type("Own", (Own,), {"__module__": module, "__qualname__": "Own"}))
    assert engine_class(engine("own")).__module__ == "__mp_main__"


def test_workers_get_to_know_the_engines_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Weak(Own):
        name = "weak"

        def run(self, task: Any) -> Any:
            return task.observations.weak_labels

    register_engine(Weak)
    work = map_stage.infer_tile

    def elsewhere(job: Any, tile: str) -> Record:
        registry._registered.pop("weak")  # as in a process that has not registered it
        return work(job, tile)

    monkeypatch.setattr(map_stage, "infer_tile", elsewhere)
    settings = load_settings(
        MapSettings, write_scene(tmp_path), [*WORDS, "--inference.engine", "weak"]
    )
    assert not map_city(settings, tmp_path / "run").reasons


def test_a_run_whose_engine_fails_says_so_tile_by_tile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_engine(type("Wrong", (Own,), {"returned": np.zeros(3), "__module__": "their_module"}))
    config, run = write_scene(tmp_path / "city"), tmp_path / "run"
    words = ["map", str(config), *WORDS, "--inference.engine", "own", "--run", str(run)]
    assert main(words) in (1, 3)
    said = capsys.readouterr().err
    assert "the engine 'own' of the module their_module returned an array of shape" in said
    assert "Traceback" not in said


def test_an_error_of_any_kind_in_its_check_is_the_engine_s() -> None:
    class Careless(Own):
        def check(self, settings: OwnSettings, prior: Any) -> None:
            raise AttributeError("'NoneType' object has no attribute 'schedule'")

    register_engine(Careless)
    with pytest.raises(SettingsError, match=r"'own' of the module .* refuses: 'NoneType'"):
        require_usable(InferenceSettings("own"), None)


def test_no_key_of_inference_can_be_an_engine_s_name() -> None:
    for field in fields(InferenceSettings):
        with pytest.raises(SettingsError, match="is a key of inference"):
            register_engine(type("Own", (Own,), {"name": field.name}))
