"""Only claimed names are ever removed or replaced, whatever else lies in and around a folder."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.errors import RequestError
from landcover_pnp.storage.owned_folder import (
    MARKER,
    OwnedFolder,
    TileNames,
    held,
    make_owned,
    require_apart,
)
from landcover_pnp.storage.replaced_folder import replaced

PARTS = st.sampled_from(
    ["scene", "tiles", "record.json", "r0000c0000_map.tif", "r9.tif", ".partial-x", "a b", "ü.tif"]
)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
TILES = TileNames("tiles", 2, 3, ("_map.tif", ".json"))


def plant(folder: Path, names: set[str]) -> dict[str, bytes]:
    """Writes files that are nobody's; those whose folder is a file already are left out."""
    planted = {}
    for name in sorted(names):
        path = folder / name
        if any(parent.is_file() for parent in path.parents) or path.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"foreign {name}")
        planted[name] = path.read_bytes()
    return planted


def unharmed(folder: Path, planted: dict[str, bytes]) -> bool:
    return all((folder / name).read_bytes() == content for name, content in planted.items())


@given(names=st.sets(NAMES, min_size=1, max_size=6))
def test_a_folder_with_files_of_others_is_refused(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("foreign")
    planted = plant(folder, names)
    visible = any(not name.startswith(".partial-") for name in planted)
    try:
        with held(folder, "map run", ("settings.json",)):
            assert not visible
    except RequestError as error:
        assert visible
        assert "new or empty folder" in str(error)
    assert unharmed(folder, planted)


@given(ours=st.sets(NAMES, max_size=5), foreign=st.sets(NAMES, max_size=5))
def test_nothing_but_claimed_names_is_removed(
    tmp_path_factory: pytest.TempPathFactory, ours: set[str], foreign: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("ours")
    ours = {name for name in ours if not any(f"{name}/" in f"{o}/" for o in ours - {name})}
    owned = make_owned(folder, "map run", *ours)
    written = plant(folder, ours)
    planted = plant(folder, {name for name in foreign if not owned.owns(name)})
    owned.remove(*written, *planted)
    owned.remove_partials()
    assert unharmed(folder, planted)
    assert not any((folder / name).is_file() for name in written)
    owned.clear()
    assert unharmed(folder, planted)
    assert folder.exists() == bool(planted)


@given(
    st.from_regex(r"r000[0-4]c000[0-4](_map\.tif|_map\.tif\.old|\.json|_x\.tif)", fullmatch=True)
    | st.from_regex(r"r\d{4}c\d{4}(_map\.tif|_map\.tif\.old|\.json|_x\.tif)", fullmatch=True)
)
def test_names_of_tiles_are_those_of_the_grid(name: str) -> None:
    row, column, ending = int(name[1:5]), int(name[6:10]), name[10:]
    ours = row < 2 and column < 3 and ending in ("_map.tif", ".json")
    assert (f"tiles/{name}" in TILES) == ours
    assert f"other/{name}" not in TILES


def test_tiles_of_another_grid_go_and_foreign_ones_stay(tmp_path: Path) -> None:
    owned = make_owned(tmp_path, "map run")
    owned.claim(tiles=TILES)
    plant(tmp_path, {"tiles/r0001c0002_map.tif", "tiles/r0000c0000.json"})
    foreign = plant(tmp_path, {"tiles/roads_x.tif", "tiles/r0005c0000_map.tif"})
    smaller = TileNames("tiles", 1, 1, TILES.endings)
    owned.claim(tiles=smaller)
    owned.remove_other_tiles(smaller)
    assert unharmed(tmp_path, foreign)
    assert not (tmp_path / "tiles" / "r0001c0002_map.tif").exists()
    assert (tmp_path / "tiles" / "r0000c0000.json").exists()
    larger = TileNames("tiles", 6, 1, TILES.endings)
    with pytest.raises(RequestError, match=r"r0005c0000_map\.tif is there already"):
        owned.claim(tiles=larger)


def test_what_lies_under_a_name_before_it_is_claimed_is_not_replaced(tmp_path: Path) -> None:
    owned = make_owned(tmp_path, "map run", "settings.json")
    planted = plant(tmp_path, {"landcover.tif"})
    with pytest.raises(RequestError, match=r"landcover\.tif is there already"):
        owned.claim("landcover.tif")
    assert unharmed(tmp_path, planted)
    assert "landcover.tif" not in json.loads((tmp_path / MARKER).read_text())["names"]


def test_a_run_inside_another_is_refused_and_one_around_it_too(tmp_path: Path) -> None:
    make_owned(tmp_path / "outer" / "inner", "map run", "settings.json")
    plant(tmp_path / "outer", {"notes.txt"})
    with (
        pytest.raises(RequestError, match="not of its making"),
        held(tmp_path / "outer", "map run"),
    ):
        pass
    inside = tmp_path / "outer" / "inner" / "tiles" / "run"
    with pytest.raises(RequestError, match="lies in"), held(inside, "map run"):
        pass
    assert not inside.exists()


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    make_owned(tmp_path / "a", "comparison", "difference.tif")
    with pytest.raises(RequestError, match="the folder of a comparison"):
        OwnedFolder.take(tmp_path / "a", "map run")


@pytest.mark.parametrize("content", ["", "null", "5", "{}", '{"format": 2, "kind": 3}', "\0"])
def test_a_damaged_marker_is_made_again_where_the_folder_shows_what_it_is(
    tmp_path: Path, content: str
) -> None:
    make_owned(tmp_path, "map run", "settings.json", "summary.json")
    plant(tmp_path, {"settings.json", "summary.json"})
    (tmp_path / MARKER).write_text(content)
    with held(tmp_path, "map run", ("settings.json",), ("settings.json", "summary.json")) as owned:
        assert owned.owns("summary.json")
    with pytest.raises(RequestError):
        (tmp_path / MARKER).write_text(content)
        OwnedFolder.take(tmp_path, "map run")


@given(foreign=st.sets(NAMES, max_size=4), new=st.sets(st.sampled_from(["a.tif", "b.qml"])))
def test_a_replaced_folder_keeps_what_is_not_ours(
    tmp_path_factory: pytest.TempPathFactory, foreign: set[str], new: set[str]
) -> None:
    run = tmp_path_factory.mktemp("run")
    owned = make_owned(run, "map run")
    with replaced(owned, "products") as folder:
        plant(folder, {"a.tif", "old.tif"})
    planted = plant(run / "products", foreign)
    with replaced(owned, "products") as folder:
        plant(folder, new)
    assert unharmed(run / "products", planted)
    left = {p.relative_to(run / "products").as_posix() for p in (run / "products").rglob("*.*")}
    assert {"a.tif", "b.qml", "old.tif"} & left == new


def test_a_new_file_does_not_take_the_place_of_a_foreign_one(tmp_path: Path) -> None:
    owned = make_owned(tmp_path, "map run")
    with replaced(owned, "products") as folder:
        plant(folder, {"a.tif"})
    planted = plant(tmp_path / "products", {"notes.txt"})
    with (
        pytest.raises(RequestError, match=r"notes\.txt is there already"),
        replaced(owned, "products") as folder,
    ):
        plant(folder, {"a.tif", "notes.txt"})
    assert unharmed(tmp_path / "products", planted)
    assert (tmp_path / "products" / "a.tif").is_file()


def test_outputs_that_are_inputs_are_refused_through_links_too(tmp_path: Path) -> None:
    (tmp_path / "run" / "scene").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    for path in (tmp_path / "run" / "scene" / "naip.tif", tmp_path / "link" / "scene" / "x.tif"):
        with pytest.raises(RequestError, match="lies where this command writes"):
            require_apart([path], [tmp_path / "run" / "scene"])
    require_apart([tmp_path / "run" / "naip.tif"], [tmp_path / "run" / "scene"])
