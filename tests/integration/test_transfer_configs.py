"""The shipped transfer configurations load, name files that are there, and can be carried out."""

import shutil
from pathlib import Path

import pytest

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.transfer.cities import City, open_city, require_sensible, require_usable
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.scenes.settings import Look, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.owned_folder import make_owned

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "transfer"
REAL: dict[str, tuple[Look, int]] = {  # the data set's folders, and how many tiles to draw
    "pittsburgh_pa-2010_1m-train": ("humid_east", 2),
    "durham_nc-2012_1m-test": ("piedmont", 2),
    "austin_tx-2012_1m-test": ("hill_country", 1),
    "phoenix_az-2010_1m-test": ("desert", 1),
}


def planned(settings: TransferSettings, folder: Path) -> list[City]:
    """The cities of a run after all checks that come before any work."""
    require_sensible(settings)
    owned = make_owned(folder, "transfer run", beside=True)
    cities = [open_city(city, owned) for city in (settings.source, *settings.targets)]
    require_usable(cities, settings.resolution_m, settings.methods)
    return cities


def write_data_set(root: Path, scratch: Path) -> None:
    """Synthetic cities under the names of the four real ones."""
    for folder, (look, tiles) in REAL.items():
        (root / f"{folder}_tiles-debuffered").mkdir(parents=True)
        for number in range(tiles):
            drawn = write_city(SyntheticSettings(look, 128, number), scratch)
            for path in drawn.folder.iterdir():
                name = path.name.replace(drawn.tile, f"tile{number}")
                shutil.move(path, root / f"{folder}_tiles-debuffered" / name)


@pytest.fixture
def enviroatlas(tmp_path: Path) -> Path:
    """The configuration of the data set, whose root is a small one."""
    root, config = tmp_path / "enviroatlas_lotp", tmp_path / "enviroatlas.yaml"
    write_data_set(root, tmp_path / "scratch")
    text = (CONFIGS / "enviroatlas.yaml").read_text()
    assert "../../data/enviroatlas_lotp" in text
    config.write_text(text.replace("../../data/enviroatlas_lotp", str(root)))
    return config


def test_the_data_sets_tiles_are_found(enviroatlas: Path, tmp_path: Path) -> None:
    cities = planned(load_settings(TransferSettings, enviroatlas), tmp_path / "cities")
    assert [len(city.tiles) for city in cities] == [tiles for _, tiles in REAL.values()]
    assert all(city.truth for city in cities)


def test_synthetic_cities_are_drawn_and_usable(tmp_path: Path) -> None:
    settings = load_settings(TransferSettings, CONFIGS / "synthetic.yaml")
    assert len(planned(settings, tmp_path)) == 4


def test_real_windows_are_usable_and_only_the_source_has_truth(tmp_path: Path) -> None:
    settings = load_settings(TransferSettings, CONFIGS / "ea_mini.yaml")
    if not settings.source.rasters or not settings.source.rasters.image.is_file():
        pytest.skip("the folder ../shared is not there")
    source, *targets = planned(settings, tmp_path)
    assert source.truth
    assert not any(city.truth for city in targets)


@pytest.mark.slow
def test_the_data_sets_configuration_runs_to_its_end(enviroatlas: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--run", str(run), "--workers", "0", "--inference.engine", "evidence"]
    words += ["--methods", "[majority, source_unet_weak, evidence, student_finetuned]"]
    words += ["--protocols", "[source_refined]"]
    words += ["--student.unet.steps", "3", "--student.unet.steps_more", "3"]
    assert main(["transfer", str(enviroatlas), *words]) == 0
    for tile in ("tile0", "tile1"):
        assert (run / "durham_nc" / "source_refined" / tile / "student_finetuned.tif").is_file()
    table = (run / "table.md").read_text()
    assert all(f"## {city}" in table for city in ("pittsburgh_pa", "durham_nc", "phoenix_az"))
