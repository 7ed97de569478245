"""Which band is which: told by tags, descriptions and settings, refused where they do not."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from inputs import ORIGIN, colours, two_halves, write_scene, write_tif
from rasterio.enums import ColorInterp

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import RasterError
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.checks import read_layers
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.bands import (
    ORDER,
    BandName,
    BandNames,
    choose_bands,
    described,
    name_bands,
)

LEVELS = {"red": 40, "green": 90, "blue": 140, "nir": 200, "other": 250, "alpha": 255}
"""What the tests' bands hold, so that each is known by its values."""

SPELLED = {
    "red": ("Red", "red", "R", "r", "Band 1 (Red)", "B04 red", "rot", "RED_1", "rouge"),
    "green": ("Green", "green", "G", "Band_2: green", "grün", "GREEN band", "vert"),
    "blue": ("Blue", "b", "B", "band 1 blue", "blau", "bleu"),
    "nir": ("NIR", "nir", "Near Infrared", "near-infrared", "NearInfrared_1", "N", "nir08",
            "near infra-red", "Infrared", "near IR", "Infrarot"),
    "other": ("Red Edge", "RedEdge", "red_edge", "SWIR 1", "short-wave infrared", "far red",
              "thermal infrared", "Pan", "NDVI", "coastal"),
    "alpha": ("Alpha", "alpha band", "opacity"),
    None: ("", None, "Band 4", "B4", "B04", "band_1", "1", "naip_2014", "RGB", "Red Green Blue",
           "red or blue", "sr_band3", "X"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "texts"), SPELLED.items(), ids=map(str, SPELLED))
def test_descriptions_that_say_one_thing_are_understood(
    name: BandName | None, texts: tuple[str, ...]
) -> None:
    assert {text: described(text) for text in texts} == dict.fromkeys(texts, name)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_any_description_is_one_thing_or_nothing(text: str) -> None:
    assert described(text) in (None, *ORDER, "alpha", "other")


def image(path: Path, bands: tuple[BandName, ...], dtype: str = "uint8", **profile: Any) -> Path:
    """An image whose bands hold their own level."""
    pixels = np.stack([np.full((240, 240), LEVELS[name], dtype) for name in bands])
    return write_tif(path, pixels, **profile)


def say(
    path: Path,
    descriptions: tuple[str, ...] | None = None,
    tags: tuple[ColorInterp, ...] | None = None,
) -> None:
    with rasterio.open(path, "r+") as target:
        if tags:
            target.colorinterp = tags
        if descriptions:
            target.descriptions = descriptions


def prepared(path: Path, bands: list[BandName] | None = None) -> Scene:
    nlcd = write_tif(path.with_name("nlcd.tif"), two_halves(41, 24))
    return prepare_scene(plan_scene(RasterFiles(path, nlcd, bands=bands), 4.0), path.parent / "s")


def levels(scene: Scene) -> dict[str, int]:
    values = scene.image(scene.extent).mean(axis=(1, 2)) * scene.image_scale
    assert len(scene.bands) == scene.image_bands == len(values)
    return {name: round(float(v)) for name, v in zip(scene.bands, values, strict=True)}


def right(*names: BandName) -> dict[str, int]:
    return {name: LEVELS[name] for name in ORDER if name in names}


ORDERS = [p for n in (3, 4) for p in itertools.permutations(ORDER, n) if {"red", "green"} <= set(p)]


@pytest.mark.parametrize("bands", ORDERS, ids="-".join)
def test_every_order_is_read_by_descriptions_whatever_gdal_tags(
    bands: tuple[BandName, ...], tmp_path: Path
) -> None:
    path = image(tmp_path / "image.tif", bands)
    say(path, tuple(name.upper() for name in bands))
    scene = prepared(path)
    assert levels(scene) == right(*bands)
    assert scene.valid(scene.extent).all()
    [report, _] = read_layers(RasterFiles(path, tmp_path / "nlcd.tif"))
    for number, name in enumerate(bands, start=1):
        assert f"{number} {'near infrared' if name == 'nir' else name}" in report.found


@pytest.mark.parametrize("bands", ORDERS[::5], ids="-".join)
def test_every_order_is_read_by_tags_and_by_the_setting(
    bands: tuple[BandName, ...], tmp_path: Path
) -> None:
    path = image(tmp_path / "image.tif", bands, photometric="minisblack")
    named = prepared(path, list(bands))
    assert levels(named) == right(*bands)
    say(path, tags=tuple(ColorInterp[name] for name in bands))
    assert levels(prepared(path)) == right(*bands)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_of_five_bands_those_that_are_named_are_used(dtype: str, tmp_path: Path) -> None:
    bands: tuple[BandName, ...] = ("blue", "green", "red", "other", "nir")
    path = image(tmp_path / "image.tif", bands, dtype)
    with pytest.raises(RasterError, match=f"5 colour bands of {dtype}"):
        prepared(path)
    assert levels(prepared(path, list(bands)))["nir"] == LEVELS["nir"]
    say(path, ("Blue", "Green", "Red", "Red edge", "NIR"))
    assert levels(prepared(path)) == right(*bands)


def test_a_fourth_band_that_is_called_near_infrared_is_no_mask(tmp_path: Path) -> None:
    pixels = colours(4)
    pixels[3] = np.where(np.arange(240) < 120, 0, 255)  # water and lawn, as sharp as a mask
    path = write_tif(tmp_path / "image.tif", pixels, photometric="rgb", alpha="yes")
    assert prepared(path).bands == ("red", "green", "blue")
    for bands, texts in ((["red", "green", "blue", "nir"], None), (None, ("", "", "", "NIR"))):
        if texts:
            say(path, texts)
        scene = prepared(path, bands)
        assert scene.bands == ORDER
        assert scene.valid(scene.extent).all()


def test_a_band_that_is_called_alpha_is_a_mask(tmp_path: Path) -> None:
    pixels = colours(5)
    pixels[4] = np.where(np.arange(240) < 40, 0, 255)
    path = write_tif(tmp_path / "image.tif", pixels, photometric="minisblack")
    for bands, texts in (
        (["red", "green", "blue", "nir", "alpha"], None),
        (None, ("red", "green", "blue", "nir", "alpha")),
    ):
        if texts:
            say(path, texts)
        scene = prepared(path, bands)
        assert scene.bands == ORDER
        assert scene.valid(scene.extent).mean() == 50 / 60


REFUSED: dict[str, tuple[int, Any, Any, str]] = {
    "one name twice": (4, ("red", "green", "blue", "blue"), None, "blue is there twice"),
    "two kinds of infrared": (4, ("R", "G", "NIR1", "NIR2"), None, "nir is there twice"),
    "no green": (3, ("red", "blue", "nir"), None, "there is no green"),
    "near infrared first, the rest unknown": (4, ("NIR", "", "", ""), None, "what band 2 is"),
    "blue third of two": (3, ("", "NIR", "red"), None, "what band 1 is"),
    "red edge among unknown ones": (4, ("", "red edge", "", ""), None, "what band 1 is"),
    "two bands": (2, ("red", "green"), None, "there is no blue, near infrared"),
    "a tag against a description": (
        3,
        ("red", "green", "blue"),
        (ColorInterp.blue, ColorInterp.green, ColorInterp.red),
        "band 1 is tagged blue and described 'red'",
    ),
    "near infrared tagged first, and described last": (
        4,
        ("red", "green", "blue", "nir"),
        (ColorInterp.nir, ColorInterp.red, ColorInterp.green, ColorInterp.blue),
        "band 1 is tagged nir and described 'red'",
    ),
    "a tag twice": (3, None, (ColorInterp.red, ColorInterp.red, ColorInterp.blue), "red is there"),
    "a palette of other colours": (
        4,
        None,
        (ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black),
        "there is no red, green, blue",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_say_what_its_bands_are_is_refused(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count, texts, tags, message = REFUSED[kind]
    config = write_scene(tmp_path)
    path = write_tif(tmp_path / "image.tif", colours(count), photometric="minisblack")
    say(path, texts, tags)
    for command in ("check", "map"):
        words = ["--run", str(tmp_path / "run")] if command == "map" else []
        assert main([command, str(config), *words]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert "scene.rasters.bands" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (["red", "green"], "names 2 bands, and .* has 3"),
        (["red", "green", "blue", "nir"], "names 4 bands, and .* has 3"),
        (["red", "green", "other"], "there is no blue, near infrared"),
        (["red", "red", "green"], "red is there twice"),
    ],
)
def test_a_setting_that_does_not_fit_the_file_is_refused(
    bands: list[BandName], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RasterError, match=message):
        prepared(image(tmp_path / "image.tif", ("red", "green", "blue")), bands)


def test_a_setting_of_other_words_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    assert main(["check", str(config), "--scene.rasters.bands", "[red, gren, blue]"]) == 2
    assert "gren" in capsys.readouterr().err


TAGS = ["undefined", "gray", "red", "green", "blue", "alpha", "nir", "pan", "palette"]
TEXTS = [None, "", "Red", "G", "blue", "NIR", "Alpha", "Red edge", "Band 3"]


@given(st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TEXTS)), min_size=1, max_size=6))
def test_what_is_read_says_nothing_against_itself(bands: list[tuple[str, str | None]]) -> None:
    tags, texts = zip(*bands, strict=True)
    try:
        chosen = choose_bands("a.tif", name_bands("a.tif", tags, texts))
    except RasterError as error:
        assert "scene.rasters.bands" in error.fix
        return
    assert list(chosen.names) == [name for name in ORDER if name in chosen.names]
    assert {"red", "green"} <= set(chosen.names)
    assert len(chosen.names) >= 3
    assert len(set(chosen.indexes)) == len(chosen.indexes)
    said = [described(text) for text in texts]
    for name, index in zip(chosen.names, chosen.indexes, strict=True):
        assert said[index - 1] in (None, name)
    for number, name in enumerate(said, start=1):
        if name in ORDER:
            assert number in chosen.indexes


def test_the_documented_order_holds_where_nothing_is_said() -> None:
    nothing = BandNames((None, None, None, None), "", ("1", "2", "3", "4"))
    assert choose_bands("a.tif", nothing).indexes == (1, 2, 3, 4)
    assert "in the documented order" in str(choose_bands("a.tif", nothing))


def test_images_of_one_area_may_store_their_bands_in_other_orders(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    for number, bands in enumerate((ORDER, ORDER[::-1])):
        origin = (ORIGIN[0] + 240 * number, ORIGIN[1])
        path = image(tmp_path / "tiles" / f"{number}.tif", bands, origin=origin)
        say(path, bands)
    nlcd = write_tif(tmp_path / "nlcd.tif", np.full((20, 20), 41, np.uint8), 30.0)
    plan = plan_scene(RasterFiles(tmp_path / "tiles", nlcd), 4.0)
    assert levels(prepare_scene(plan, tmp_path / "s")) == right(*ORDER)
    assert sum(note.startswith("bands read as") for note in plan.notes) == 2


def accuracy(folder: Path, bands: tuple[str, ...], *words: str) -> float:
    """Of the map of the standard scene with vegetation that near infrared shows too."""
    config = write_scene(folder)
    forest = np.broadcast_to(np.arange(240) < 120, (240, 240))
    noise = np.random.default_rng(0).normal(0, 6, (4, 240, 240))
    means = {"red": (50, 160), "green": (75, 155), "blue": (45, 150), "nir": (190, 120)}
    layers = [np.where(forest, *means[name]) + noise[i] for i, name in enumerate(bands)]
    write_tif(folder / "image.tif", np.clip(layers, 1, 254).astype(np.uint8))
    say(folder / "image.tif", bands)
    settings = load_settings(MapSettings, config, ["--workers", "0", *words])
    return map_city(settings, folder / "run").scores["map"].accuracy


@pytest.mark.parametrize("bands", [("nir", "red", "green"), ("blue", "green", "red", "nir")])
def test_a_map_of_bands_in_another_order_is_as_good(bands: tuple[str, ...], tmp_path: Path) -> None:
    usual = accuracy(tmp_path / "usual", ("red", "green", "blue"))
    assert accuracy(tmp_path / "other", bands) > usual - 0.02


def test_an_image_without_blue_is_published_in_false_colours(tmp_path: Path) -> None:
    accuracy(tmp_path, ("nir", "red", "green"))
    assert main(["publish", str(tmp_path / "run")]) == 0
    with rasterio.open(tmp_path / "run" / "products" / "image.tif") as source:
        assert source.descriptions == ("near infrared", "red", "green")
        assert source.read(1)[:, :25].mean() > source.read(2)[:, :25].mean() + 50


SQUARE = Affine.scale(1, -1)
SHAPES = {
    "square": (SQUARE, True),
    "NAIP in degrees, warped": (Affine.scale(1, -1.25), True),
    "1.49 : 1": (Affine.scale(1.49, -1), True),
    "1.51 : 1": (Affine.scale(1.51, -1), False),
    "1 : 1.51": (Affine.scale(1, -1.51), False),
    "1 : 8": (Affine.scale(1, -8), False),
    "8 : 1": (Affine.scale(8, -1), False),
    "turned": (Affine.rotation(30) @ SQUARE, True),
    "turned and long": (Affine.rotation(30) @ Affine.scale(1, -2), False),
    "turned by 45 degrees and long": (Affine.rotation(45) @ Affine.scale(3, -1), False),
    "south up": (Affine.scale(1, 1), True),
    "south up and long": (Affine.scale(1, 2), False),
    "mirrored": (Affine.scale(-1, -1), True),
    "sheared": (Affine.shear(40, 0) @ SQUARE, False),
    "sheared a little": (Affine.shear(5, 0) @ SQUARE, True),
    "a quarter turned": (Affine.rotation(90) @ SQUARE, True),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_pixels_far_from_square_are_refused(kind: str, tmp_path: Path) -> None:
    shape, square = SHAPES[kind]
    path = write_tif(tmp_path / "image.tif", colours())
    with rasterio.open(path, "r+") as target:
        target.transform = Affine.translation(*ORIGIN) @ shape
    wide = write_tif(
        tmp_path / "nlcd.tif",
        np.full((300, 300), 41, np.uint8),
        30.0,
        origin=(ORIGIN[0] - 4500, ORIGIN[1] + 4500),
    )
    files = RasterFiles(path, wide)
    if square:
        plan_scene(files, 16.0)
        return
    with pytest.raises(RasterError, match=r"has pixels of .* x .* m") as refused:
        plan_scene(files, 16.0)
    assert "gdalwarp" in refused.value.fix


def test_pixels_that_are_square_in_their_crs_alone_are_refused(tmp_path: Path) -> None:
    place = {"crs": "EPSG:4087", "origin": (0.0, 6_900_000.0)}  # plate carree at 62 degrees north
    path = write_tif(tmp_path / "image.tif", colours(), **place)
    nlcd = write_tif(tmp_path / "nlcd.tif", two_halves(41, 24), **place)
    with pytest.raises(RasterError, match=r"x 0\.4.* m on the ground"):
        plan_scene(RasterFiles(path, nlcd), 4.0)
