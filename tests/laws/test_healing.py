"""What verify names, the same commands mend, to the same bytes: files x damages."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from inputs import colours, write_scene

from landcover_pnp.cli import main

WORDS = (
    *("--tiles.core_px", "30", "--tiles.halo_px", "8", "--workers", "0"),
    *("--inference.engine", "evidence", "--student.rounds", "1"),
    *("--student.forest.trees", "4", "--student.forest.sample_px", "1000"),
)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def garbage(file: Path) -> None:
    file.write_bytes(b"\x80\x04 no such thing \x00\xff" * 9)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": cut,
    "bit flipped": flip,
    "emptied": empty,
    "garbage": garbage,
    "deleted": Path.unlink,
}

SAMPLE = (
    ("tiles/r0000c0001_map.tif", "truncated"),
    ("tiles/r0001c0000.json", "deleted"),
    ("student/model.safetensors", "bit flipped"),
    ("probabilities/student.tif", "garbage"),
    ("scene/coarse.tif", "emptied"),
    ("scene/scene.json", "garbage"),
    ("landcover.qml", "bit flipped"),
    ("summary.json", "garbage"),
    ("settings.json", "truncated"),
    ("journal.jsonl", "bit flipped"),
    (".landcover.json", "deleted"),
    ("products/landcover.tif.aux.xml", "bit flipped"),
    ("published.json", "deleted"),
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = colours()
    image[1, :, :120] += 20  # trees are green
    return write_scene(tmp_path_factory.mktemp("scene"), image=image)


@pytest.fixture(scope="module")
def finished(config: Path) -> Path:
    """A run with a student, published; not to be changed."""
    run = config.parent / "run"
    made(config, run)
    assert main(["verify", str(run)]) == 0
    return run


def made(config: Path, run: Path) -> None:
    assert main(["map", str(config), "--run", str(run), *WORDS]) == 0
    assert main(["publish", str(run), "--title", "City"]) == 0


def contents(run: Path) -> dict[str, Any]:
    """What must be the same again: bytes, but for the time that records tell, and the journal."""
    return {
        file.relative_to(run).as_posix(): timeless(file)
        for file in run.rglob("*")
        if file.is_file() and ".changed" not in file.name
    }


def timeless(file: Path) -> Any:
    if file.name == "journal.jsonl":
        return None
    if file.suffix == ".json":
        content = json.loads(file.read_bytes())
        if isinstance(content, dict) and "states" in content:
            return {k: v for k, v in content.items() if k not in ("seconds", "states", "check")}
    return file.read_bytes()


def healed(config: Path, run: Path, name: str, damage: str, said: Callable[[], str]) -> None:
    before = contents(run)
    DAMAGES[damage](run / name)
    said()
    assert main(["verify", str(run)]) == 1
    assert any(line.startswith(f"{name} ") for line in said().splitlines()), "not named"
    made(config, run)
    assert main(["verify", str(run)]) == 0, said()
    assert contents(run) == before
    said()
    made(config, run)
    assert contents(run) == before


@pytest.mark.parametrize(("name", "damage"), SAMPLE, ids=[f"{n}-{d}" for n, d in SAMPLE])
def test_damage_is_named_and_mended(
    name: str,
    damage: str,
    config: Path,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    healed(config, run, name, damage, lambda: "".join(capsys.readouterr()))


GROUPS = (".", "scene", "tiles", "student", "probabilities", "products")
"""Folders of a run."""


@pytest.fixture(scope="module")
def table(finished: Path) -> Iterator[dict[tuple[str, str], str]]:
    """What became of each file after each damage; printed at the end."""
    cells: dict[tuple[str, str], str] = {}
    yield cells
    names = sorted({name for name, _ in cells})
    width = max(map(len, names))
    lines = [f"{'file':<{width}}  " + "  ".join(f"{damage:<11}" for damage in DAMAGES)]
    for name in names:
        row = "  ".join(f"{cells.get((name, damage), ''):<11}" for damage in DAMAGES)
        lines.append(f"{name:<{width}}  {row}")
    mended = sum(cell == "mended" for cell in cells.values())
    lines.append(f"{len(cells)} cases, {mended} named by verify and mended to the same bytes")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


@pytest.mark.laws
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file_and_every_damage(
    group: str,
    damage: str,
    config: Path,
    finished: Path,
    table: dict[tuple[str, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdout", said)
    monkeypatch.setattr(sys, "stderr", said)

    def told() -> str:
        text = said.getvalue()
        said.seek(0)
        said.truncate()
        return text

    names = [p.relative_to(finished).as_posix() for p in (finished / group).iterdir()]
    for name in (name for name in sorted(names) if (finished / name).is_file()):
        run = Path(shutil.copytree(finished, tmp_path / "run"))
        table[name, damage] = "WRONG"
        healed(config, run, name, damage, told)
        table[name, damage] = "mended"
        shutil.rmtree(run)


def test_the_groups_are_all_folders(finished: Path) -> None:
    folders = {p.parent.relative_to(finished).as_posix() for p in finished.rglob("*.*")}
    assert folders == set(GROUPS)


GONE = {
    "a tile": ("tiles/r0001c0001*", ["tiles/r0001c0001.json"]),
    "all tiles": ("tiles/*", ["tiles/r0000c0000.json", "tiles/r0001c0001.json"]),
    "a tile of the student": ("student/r0000c0001*", ["student/r0000c0001.json"]),
    "the student": ("student/*", ["student/record.json", "student/r0000c0000.json"]),
    "the mosaic": ("probabilities/*", ["probabilities/record.json", "probabilities/student.json"]),
    "the map": ("[lcpew]*.[tqj][ims]*", ["products.json"]),
    "the products": ("p[ru][ob][dl]*/*", ["products/landcover.tif", "products/report.html"]),
    "the products and their record": ("published.json", ["published.json"]),
    "the scene": ("scene/*", ["scene/record.json"]),
}
"""Files that vanish together with their records, and what verify is to name at least."""


@pytest.mark.parametrize("what", GONE)
def test_what_vanished_with_its_record_is_missed(
    what: str,
    config: Path,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    before = contents(run)
    pattern, named = GONE[what]
    gone = list(run.glob(pattern))
    assert gone
    for path in gone:
        path.unlink()
    capsys.readouterr()
    assert main(["verify", str(run)]) == 1
    said = capsys.readouterr().err.splitlines()
    for name in named:
        assert f"{name} is missing" in said
    made(config, run)
    assert main(["verify", str(run)]) == 0
    assert contents(run) == before


def test_a_style_that_was_edited_is_kept_beside_the_new_one(
    config: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    before = contents(run)
    edited = [run / "landcover.qml", run / "products" / "landcover.qgz", run / "settings.json"]
    for path in edited:
        path.write_text("mine")
    made(config, run)
    said = capsys.readouterr().out
    assert contents(run) == before
    for path in edited:
        assert path.with_name(f"{path.name}.changed").read_text() == "mine"
        assert f"{path.name}.changed" in said
    edited[0].write_text("mine again")
    made(config, run)
    assert (run / "landcover.qml.changed").read_text() == "mine"
    assert (run / "landcover.qml.changed-2").read_text() == "mine again"


def test_settings_that_were_edited_are_not_gone_on_with(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    settings = run / "settings.json"
    settings.write_text(settings.read_text().replace('"seed": 0', '"seed": 1'))
    written = settings.read_bytes()
    assert main(["resume", str(run)]) == 2
    assert "settings.json has been changed since it was written" in capsys.readouterr().err
    assert settings.read_bytes() == written


READERS = ("publish", "report", "evaluate", "compare", "train-student")


@pytest.mark.parametrize("command", READERS)
def test_a_damaged_map_is_not_read(
    command: str,
    config: Path,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    flip(run / "landcover.tif")
    words = {
        "evaluate": ["--truth", str(config.parent / "truth.tif")],
        "compare": [str(run), "--out", str(tmp_path / "out")],
    }
    assert main([command, str(run), *words.get(command, [])]) == 2
    said = capsys.readouterr().err
    assert "landcover.tif has been changed since it was written" in said
    assert "repeat `landcover map`" in said
    assert "fetch" not in said


def test_a_tile_cut_short_does_not_stop_the_next_mosaic(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    before = contents(run)
    cut(run / "tiles" / "r0000c0000_map.tif")
    (run / "probabilities" / "map.tif").unlink()
    made(config, run)
    assert contents(run) == before
