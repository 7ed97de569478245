"""Working grids that a prior serves, or does not; advice about them is followed to the letter."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_tif

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import PriorError, RequestError, SettingsError
from landcover_pnp.inference.choice import SERVES
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.plan import plan_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.transfer.cities import require_sensible
from landcover_pnp.pipeline.transfer.settings import (
    TransferCity,
    TransferMethod,
    TransferSettings,
)
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

LEFT, UP = ORIGIN
PIXELS_M = (0.6, 1.0, 3.5, 4.0, 4.3, 4.401, 5.0, 7.77777, 10.0, 23.5912345, 30.0, 100.0)


def write_city(folder: Path, pixel_m: float, engine: str | None = None) -> Path:
    """A scene of 12 x 12 image pixels or, where they are small, of 48 m; without truth."""
    size = max(12, round(48 / pixel_m))
    write_tif(folder / "image.tif", colours(size=size), pixel_m)
    write_tif(folder / "nlcd.tif", two_halves(41, 24, size), pixel_m)
    config = folder / "city.yaml"
    engine_line = "" if engine is None else f"inference: {{engine: {engine}}}\n"
    config.write_text(
        "scene:\n  rasters: {image: image.tif, nlcd: nlcd.tif}\n"
        f"{engine_line}profile: fast\nworkers: 0\n"
    )
    return config


def says(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    code = main(list(words))
    return code, capsys.readouterr().err


def followed(config: Path, fix: str) -> Iterator[str]:
    """Does what a fix says, as a reader would who thinks of nothing else: words for the command."""
    text, fix = config.read_text(), fix.partition(", or ")[0]
    for key in re.findall(r"inference\.(\w+)", fix.partition(" out")[0]):
        assert f"{key}: " in text, f"there is no inference.{key} to leave out"
        text = re.sub(rf"\b{key}: [^,}}]+,?\s*", "", text)
    config.write_text(text)
    for key, number in re.findall(r"set ([\w.]+) to ([\d.e+-]*\d)", fix):
        yield from (f"--{key}", number)


@pytest.mark.parametrize("engine", [None, "denoise", "evidence"])
@pytest.mark.parametrize("pixel_m", PIXELS_M)
def test_advice_works_for_whoever_follows_it(
    pixel_m: float, engine: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_city(tmp_path, pixel_m, engine)
    for wanted in ("4", "24", "1000"):
        text = config.read_text()
        code, message = says("check", str(config), "--scene.resolution_m", wanted, capsys=capsys)
        if code:
            assert code == 2
            words = ["--scene.resolution_m", wanted]
            words += followed(config, message.partition("fix: ")[2])
            assert says("check", str(config), *words, capsys=capsys)[0] == 0, message
        config.write_text(text)


def test_an_area_too_small_for_the_pixels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_city(tmp_path, 1.0)
    config.write_text(config.read_text().replace("nlcd.tif}", "nlcd.tif, area: area.gpkg}"))
    for side in (2, 5, 10, 16, 30):
        outline = shapely.box(LEFT + 8, UP - 8 - side, LEFT + 8 + side, UP - 8)
        gpd.GeoDataFrame(geometry=[outline], crs=UTM).to_file(tmp_path / "area.gpkg")
        words = ["check", str(config), "--scene.resolution_m", "40"]
        code, message = says(*words, capsys=capsys)
        assert code == 2
        fix = message.partition("fix: ")[2]
        if side == 2:  # the image is too coarse for one pixel a cluster
            assert fix == "enlarge the area of interest\n"
        else:
            assert says(*words, *followed(config, fix), capsys=capsys)[0] == 0, message


@pytest.mark.parametrize("resolution_m", [3.6, 3.99, 4.0, 4.2, 4.4])
def test_a_prior_serves_its_own_resolution_within_a_tenth(
    resolution_m: float, tmp_path: Path
) -> None:
    for engine in ("denoise", "algorithm1"):
        config = write_city(tmp_path, 1.0, engine)
        words = ["--scene.resolution_m", str(resolution_m)]
        plan = plan_map(load_settings(MapSettings, config, words))
        assert plan.engine.inference.engine == engine
        assert plan.engine.prior is not None
    assert SERVES == 0.1


@pytest.mark.parametrize("resolution_m", [1.0, 3.59, 4.41, 8.0, 24.0])
def test_beyond_that_no_engine_that_needs_one_runs_and_the_default_needs_none(
    resolution_m: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--scene.resolution_m", str(resolution_m)]
    config = write_city(tmp_path, 1.0)
    words += ["--clusters.clusters", "4"]
    plan = plan_map(load_settings(MapSettings, config, words))
    assert plan.engine.inference.engine == "evidence"
    assert plan.engine.prior is None
    assert main(["check", str(config), *words]) == 0
    for engine in ("denoise", "guided", "algorithm1", "fill"):
        named = write_city(tmp_path, 1.0, engine)
        with pytest.raises(PriorError, match=f"asked for by the engine {engine}"):
            plan_map(load_settings(MapSettings, named, words))
        run = tmp_path / "run"
        refused = says("check", str(named), *words, capsys=capsys)
        made = says("map", str(named), *words, "--run", str(run), capsys=capsys)
        assert refused[0] == made[0] == 2
        assert refused[1].replace(" check:", " map:") == made[1]
        assert not run.exists()


def test_an_engine_that_was_not_named_is_recorded_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run = write_city(tmp_path, 1.0), tmp_path / "run"
    words = ["map", str(config), "--run", str(run)]
    assert main(words) == 0
    assert json.loads((run / "summary.json").read_text())["engine"] == "evidence"
    assert json.loads((run / "settings.json").read_text())["inference"]["engine"] is None
    record = json.loads((run / "probabilities" / "record.json").read_text())
    assert record["ingredients"]["inference.engine"] == "evidence"
    assert main(["report", str(run)]) == 0
    assert "engine evidence" in (run / "report.html").read_text()
    # named or not, the engine that a map was made by is the same
    capsys.readouterr()
    assert main([*words, "--inference.engine", "evidence"]) == 0
    assert "tiles done, 0 left" in capsys.readouterr().out
    # another one's map is made again, and said
    assert main([*words, "--inference.engine", "denoise"]) == 0
    assert "inference.engine" in capsys.readouterr().out
    assert json.loads((run / "summary.json").read_text())["engine"] == "denoise"


def tiny_prior(folder: Path, resolution_m: float) -> Path:
    tiny = DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4)
    Prior(build_network(tiny, 0), NoiseSchedule(), resolution_m, tiny.crop_px).save(folder)
    return folder


def test_a_prior_of_another_resolution_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Naming it is asking for it: the default engine does not pass it over either."""
    prior = tiny_prior(tmp_path / "prior", 8.0)
    config = write_city(tmp_path, 1.0)
    config.write_text(config.read_text() + f"inference: {{prior: {prior}}}\n")
    code, message = says("check", str(config), capsys=capsys)
    assert code == 2
    assert f"{prior}, asked for by inference.prior" in message
    assert "fix: set scene.resolution_m to 8, or " in message
    plan = plan_map(load_settings(MapSettings, config, ["--scene.resolution_m", "8"]))
    assert plan.engine.inference.engine == "denoise"
    evidence = load_settings(MapSettings, config, ["--inference.engine", "evidence"])
    assert plan_map(evidence).engine.prior is None
    words = ["--scene.resolution_m", "8", "--inference.prior", str(tmp_path / "none")]
    with pytest.raises(PriorError, match="no prior in"):
        plan_map(load_settings(MapSettings, config, words))


def test_a_transfer_asks_before_it_draws_a_city(tmp_path: Path) -> None:
    city = TransferCity("a")
    deaf = InferenceSettings(options={"evidence": EvidenceSettings(spectral_indices=False)})
    methods: list[TransferMethod] = ["student_no_indices"]
    require_sensible(TransferSettings(city, [], resolution_m=8.0, methods=methods, inference=deaf))
    with pytest.raises(SettingsError, match="it would hand them on"):
        require_sensible(TransferSettings(city, [], resolution_m=8.0, methods=methods))
    named = TransferSettings(city, [], resolution_m=8.0, inference=InferenceSettings("denoise"))
    with pytest.raises(RequestError, match="label maps at 4 m for a working grid of 8 m"):
        require_sensible(named)
