"""Configuration files that no one would write on purpose: refused, on their line."""

import os
import re
from pathlib import Path

import pytest

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.config.yaml_file import DEEPEST, MOST_BYTES
from landcover_pnp.errors import SettingsError
from landcover_pnp.pipeline.settings import BatchSettings, MapSettings
from landcover_pnp.products.settings import PublishSettings

BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MISTAKES: dict[str, tuple[bytes | str, str]] = {
    "a key twice": ("seed: 1\nworkers: 0\nseed: 2\n", r"'seed' twice: \S+:3 and line 1"),
    "a key twice in a block": ("tiles:\n  core_px: 1\n  core_px: 2\n", r"'core_px' twice: \S+:3"),
    "a key by both names": (
        "tiles: {ring_px: 3, halo_px: 4}",
        r"tiles.ring_px \(\S+:1\) beside tiles.halo_px",
    ),
    "a tab": ("tiles:\n\tcore_px: 1\n", r"(?s):2 is no YAML: a tab.*not by tabs"),
    "aliases without end": (BOMB, "values from .* on, aliases written out"),
    "an alias of itself": ("scene: &a {rasters: *a}\n", r"an alias of itself at \S+:1"),
    "merged into itself": ("scene: &a\n  <<: *a\n", r"an alias of itself at \S+:"),
    "deep lists": ("seed: " + "[" * 900 + "]" * 900, f"more than {DEEPEST} levels"),
    "deeper lists": ("seed: " + "[" * 90_000, f"more than {DEEPEST} levels"),
    "an object of Python": (
        "scene: !!python/object/apply:os.system [touch canary]\n",
        r"tagged tag:yaml.org,2002:python/object/apply:os.system at \S+:1",
    ),
    "a key that is a list": ("? [a, b]\n: 1\n", r"a key that is no word at \S+:1"),
    "two documents": ("seed: 1\n---\nseed: 2\n", "no YAML"),
    "Latin letters": ("seed: 1\ntitle: \xe9".encode("latin-1"), r":2 is no UTF-8 \(byte 0xe9\)"),
    "UTF-16": ("seed: 1".encode("utf-16"), "no UTF-8"),
    "a zero byte": (b"seed: 1\n\0", "no YAML"),
    "too much": (b"#" * (MOST_BYTES + 1), "has more than 4 MB"),
    "an unfinished text": ('seed: "1\n', r"no YAML"),
    "one word": ("seed", "holds text"),
    "a block that is a list": ("tiles:\n- 5\n", r"tiles is \[5\] \(\S+:1\)"),
    "a list that is a block": (
        "weak_labels: {source_scenes: {a: b}}",
        r"source_scenes is \{a: b\}",
    ),
    "no value": ("seed:\n", r"seed is null \(\S+:1\)"),
    "a wrong value far down": (
        "scene:\n  rasters:\n    image: a\n    nlcd: b\n    roads: {path: c, codes: [1, x]}\n",
        r"scene.rasters.roads.codes is \[1, x\] \(\S+:5\)",
    ),
    "a value out of its range": (
        "student: {unet:\n {steps: 0}}",
        r"student.unet.steps is 0 \(\S+:2\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_that_cannot_be_meant(
    mistake: str,
    as_json: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    content, says = MISTAKES[mistake]
    config = tmp_path / "city.yaml"
    config.write_bytes(content.encode() if isinstance(content, str) else content)
    assert main(["map", str(config), *["--json"] * as_json]) == 2
    said = capsys.readouterr()
    assert re.search(says, said.err), said.err
    assert said.err.count("found:") == said.err.count("expected:") == said.err.count("fix:") == 1
    assert len(said.err) < 2000
    assert bool(said.out) == as_json
    assert sorted(tmp_path.iterdir()) == [config]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), Path("/dev/stdin")):
        with pytest.raises(SettingsError, match="no configuration file"):
            load_settings(MapSettings, path)
    for path in (
        tmp_path / "none",
        tmp_path / "a\0b",
        tmp_path / ("x" * 300),
        Path("/etc/passwd/x"),
    ):
        with pytest.raises(SettingsError, match="no configuration file"):
            load_settings(MapSettings, path)


def test_aliases_and_merged_blocks_are_read(tmp_path: Path) -> None:
    config = tmp_path / "city.yaml"
    config.write_text(
        "scene:\n  rasters:\n    image: a.tif\n    nlcd: b.tif\n"
        "    roads: &line {path: c.gpkg, width_m: 3}\n"
        "    water: {<<: *line, path: d.gpkg}\n    buildings: *line\n"
    )
    rasters = load_settings(MapSettings, config).scene.rasters
    assert rasters is not None and rasters.water is not None and rasters.buildings is not None
    assert rasters.water.path == tmp_path / "d.gpkg"
    assert rasters.water.width_m == 3
    assert rasters.buildings.path == tmp_path / "c.gpkg"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("2024", "2024"),
        ("no", "no"),
        ("1e3", "1e3"),
        ("2024-01-01", "2024-01-01"),
        ('"null"', "null"),
        ("null", None),
        ("~", None),
        ("", None),
        ('"a: b"', "a: b"),
        ("é", "é"),
    ],
)
def test_a_text_is_taken_as_it_stands(text: str, title: str | None, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"title: {text}\n", encoding="utf-8")
    assert load_settings(PublishSettings, tmp_path / "c.yaml").title == title


def test_an_empty_path_is_not_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text('cities: [a.yaml]\nout: ""\n')
    with pytest.raises(SettingsError, match=r"out is '' \(\S+:2\)"):
        load_settings(BatchSettings, tmp_path / "c.yaml")
    with pytest.raises(SettingsError, match=r"out is '' \(command line\)"):
        load_settings(BatchSettings, overrides=["--cities", "[a.yaml]", "--out", ""])
