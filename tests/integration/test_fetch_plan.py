"""What a place or a configuration would take, told before it is fetched or mapped."""

import json
from pathlib import Path

import pytest
from fetched import bytes_sent, served_place, words_of
from inputs import write_scene
from stac_place import bbox

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.forecast import LEAST_KM2, measured_in
from landcover_pnp.pipeline.settings import MapSettings


def write_run(folder: Path, km2: float, seconds: float, **told: object) -> None:
    """What a finished run says of itself."""
    folder.mkdir(parents=True)
    summary = {"area_km2": km2, "seconds": seconds, "kept": 0, "failed": 0, "engine": "evidence"}
    settings = {"scene": {"resolution_m": 4.0}, "student": None, "workers": 2, **told}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "settings.json").write_text(json.dumps(settings))


def test_a_plan_of_a_place_fetches_no_pixel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(Path("runs/other"), 10.0, 500.0)
    with served_place(tmp_path / "place") as server:
        words = words_of(server, tmp_path / "out", area=("--bbox", bbox(20, 20, 300, 140)))
        assert main(["plan", *words[1:], "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["images"] == 2
        assert told["area_km2"] == pytest.approx(0.0336, rel=0.1)
        assert 0 < told["read_gb"] < 0.001 < told["disk_gb"] + 0.001
        assert told["throughput"]["seconds_per_km2"] == pytest.approx(100.0)
        assert told["hours"] == pytest.approx(
            told["area_km2"] * 100 / told["processes"] / 3600, rel=1e-6
        )
        assert not (tmp_path / "out").exists()
        assert set(bytes_sent(server).values()) <= {2**15, 2138}, "headers alone"
        assert main(["plan", *words[2:]]) == 0  # `place` may be left out before an option
        assert "hours with" in capsys.readouterr().out


def test_a_plan_of_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_scene(tmp_path)
    assert main(["plan", str(config), "--profile", "fast", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["command"] == "plan map"
    assert told["area_km2"] == pytest.approx(0.0576)
    assert told["read_gb"] == 0
    assert "synthetic city" in told["throughput"]["measured"]
    assert told["hours"] > 0
    assert not Path("runs").exists()
    assert main(["plan", "map", str(tmp_path / "none.yaml")]) == 2


def test_speed_is_taken_from_the_largest_run_of_the_same_kind(tmp_path: Path) -> None:
    settings = load_settings(MapSettings, write_scene(tmp_path), ["--profile", "fast"])
    runs = tmp_path / "runs"
    assert measured_in(runs, settings) is None
    write_run(runs / "tiny", LEAST_KM2 / 2, 1.0)
    write_run(runs / "student", 50.0, 1.0, student={"model": "forest"})
    write_run(runs / "fine", 50.0, 1.0, scene={"resolution_m": 2.0})
    write_run(runs / "unknown", 50.0, 1.0, workers=None)
    (runs / "broken").mkdir()
    (runs / "broken" / "summary.json").write_text("[]")
    assert measured_in(runs, settings) is None
    write_run(runs / "small", 2.0, 40.0)
    write_run(runs / "large", 4.0, 60.0)
    found = measured_in(runs, settings)
    assert found is not None
    assert found.seconds_per_km2 == pytest.approx(30.0)
    assert "large" in found.measured
