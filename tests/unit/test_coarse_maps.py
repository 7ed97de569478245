"""Coarse maps of any legend, and percentages, in scenes."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from inputs import codes_of, colours, two_halves, write_tif
from numpy.typing import NDArray

from landcover_pnp.config import load_settings, plain
from landcover_pnp.errors import GridError, LegendError, RasterError, SettingsError
from landcover_pnp.evidence.scene_labels import labels_of
from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.grid import Box
from landcover_pnp.pipeline.plan import files_of
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.checks import read_layers
from landcover_pnp.scenes.opening import CoarseMap, open_scene
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import CoarseFile, RasterFiles

SIZE = 60


def prepared(files: RasterFiles, folder: Path, said: list[str] | None = None) -> Scene:
    def working(*notes: str) -> None:
        if said is not None:
            said.extend(notes)

    return prepare_scene(plan_scene(files, 4.0), folder / "scene", working)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "image.tif", colours(size=SIZE))


def halves(left: int, right: int, dtype: str = "uint8") -> NDArray[np.generic]:
    return np.where(np.indices((SIZE, SIZE))[1] < SIZE // 2, left, right).astype(dtype)


@pytest.mark.parametrize(
    ("legend", "left", "right", "dtype"),
    [
        ("nlcd", 41, 24, "uint8"),
        ("worldcover", 10, 50, "uint8"),
        ("esri", 2, 7, "int16"),
        ("dynamic_world", 0, 6, "uint8"),  # 0 is water
        ("corine", 311, 112, "uint16"),
        ("corine", 23, 2, "int8"),  # as it is published
        ("ccap", 10, 2, "int32"),
    ],
)
def test_the_codes_of_every_legend_are_read(
    legend: str, left: int, right: int, dtype: str, image: Path, tmp_path: Path
) -> None:
    pixels = halves(left, right, dtype)
    pixels[:4] = 101
    path = write_tif(tmp_path / "map.tif", pixels, nodata=101)
    scene = prepared(RasterFiles(image, path, legend=legend), tmp_path)
    (found,) = scene.legends
    assert found.name == legend
    numbers = scene.coarse(scene.extent)[0]
    assert (numbers[:1] == 0).all()
    codes = {311: 311, 112: 112, 23: 311, 2: 112} if legend == "corine" else {}
    shown = codes_of(scene)[1:]
    assert (shown[:, 1] == codes.get(left, left)).all()
    assert (shown[:, -2] == codes.get(right, right)).all()
    assert (numbers[1:] > 0).all()
    assert any("has no data on 6.7% of the grid" in note for note in scene.notes)


def test_several_maps_keep_their_own_legends_and_grids(image: Path, tmp_path: Path) -> None:
    first = write_tif(tmp_path / "nlcd.tif", halves(41, 24))
    coarse = np.array([[10, 50, 50, 30, 30, 80]] * 6, np.uint8)
    second = write_tif(tmp_path / "wc.tif", coarse, 10.0)
    maps = [CoarseMap(first), CoarseMap(second, "worldcover")]
    scene = open_scene(image, coarse=maps)
    assert [legend.name for legend in scene.legends] == ["nlcd", "worldcover"]
    numbers = scene.coarse(scene.extent)
    assert numbers.shape == (2, 15, 15)
    legend = scene.legends[1]
    assert set(np.array(legend.codes)[numbers[1] - 1].ravel()) == {10, 30, 50, 80}
    np.testing.assert_array_equal(numbers[0], open_scene(image, nlcd=first).coarse(scene.extent)[0])


def own_legend(path: Path, grass: float = 0.6) -> Path:
    cover = {"trees and forest": 1 - grass, "grass and herbaceous": grass}
    classes = [
        {"code": 41, "name": "park", "colour": [0, 9, 0], "role": "grass", "cover": cover},
        {
            "code": 24,
            "name": "town",
            "colour": [9, 0, 0],
            "role": "developed",
            "cover": {"impervious": 1.0},
        },
    ]
    tree = {"name": "own", "title": "Own", "product": "mine", "source": "me", "resolution_m": 20}
    path.write_text(yaml.safe_dump({**tree, "classes": classes}))
    return path


def test_a_legend_file_is_an_input_of_the_scene(image: Path, tmp_path: Path) -> None:
    nlcd = write_tif(tmp_path / "nlcd.tif", halves(41, 24))
    files = RasterFiles(image, nlcd, legend=own_legend(tmp_path / "own.yaml"))
    said: list[str] = []
    first = prepared(files, tmp_path, said)
    assert first.legends[0].codes == (41, 24)
    assert prepared(files, tmp_path, said).fingerprint == first.fingerprint
    assert said == []
    own_legend(tmp_path / "own.yaml", grass=0.5)
    assert prepared(files, tmp_path, said).fingerprint != first.fingerprint
    assert said == ["scene prepared again, changed since the last run: own.yaml (legend)"]
    reports = {report.layer: report.found for report in read_layers(files)}
    assert reports["legend"] == "2 classes"
    assert reports["coarse"].endswith("legend own: 41 park 50.0%, 24 town 50.0%")


def test_percentages_become_shares(image: Path, tmp_path: Path) -> None:
    nlcd = write_tif(tmp_path / "nlcd.tif", halves(41, 24))
    paved = halves(5, 100)
    paved[:4] = 127
    files = RasterFiles(
        image,
        nlcd,
        impervious=write_tif(tmp_path / "imp.tif", paved, nodata=127),
        canopy=write_tif(tmp_path / "tcc.tif", halves(80, 0).astype(np.float32)),
    )
    scene = prepared(files, tmp_path)
    assert scene.percent_m == {"impervious": 30, "canopy": 30}
    share = scene.percent("impervious", scene.extent)
    assert np.isnan(share[0]).all()
    np.testing.assert_allclose(share[1:, 0], 0.05, atol=1e-6)
    np.testing.assert_allclose(share[1:, -1], 1)
    np.testing.assert_allclose(scene.percent("canopy", scene.extent)[:, 0], 0.8)
    opened = open_scene(image, nlcd=nlcd, impervious=files.impervious, canopy=files.canopy)
    assert opened.percent_m == scene.percent_m


WRONG_PERCENTAGES = {
    "not declared as no data": (halves(5, 255), LegendError, r"holds 255 \(120 px\)"),
    "below 0": (halves(5, -1, "int16"), LegendError, r"holds -1 \(120 px\)"),
    "shares": (halves(0, 1) * np.float32(0.7), LegendError, "no value above 0.7"),
    "two bands": (np.zeros((2, SIZE, SIZE), np.uint8), RasterError, "2 bands of uint8"),
    "complex": (halves(1, 2).astype(np.complex64), RasterError, "1 bands of complex64"),
}


@pytest.mark.parametrize("case", WRONG_PERCENTAGES)
def test_wrong_percentages_are_refused(case: str, image: Path, tmp_path: Path) -> None:
    pixels, kind, said = WRONG_PERCENTAGES[case]
    nlcd = write_tif(tmp_path / "nlcd.tif", halves(41, 24))
    files = RasterFiles(image, nlcd, canopy=write_tif(tmp_path / "tcc.tif", pixels))
    with pytest.raises(kind, match=said):
        prepared(files, tmp_path)
    assert not (tmp_path / "scene").exists()


def test_maps_and_percentages_without_data_are_refused(image: Path, tmp_path: Path) -> None:
    nlcd = write_tif(tmp_path / "nlcd.tif", halves(41, 24))
    empty = write_tif(tmp_path / "empty.tif", halves(0, 0))
    more = [CoarseFile(empty, "worldcover")]
    with pytest.raises(GridError, match=r"empty.tif \(WorldCover\) has no data anywhere"):
        prepared(RasterFiles(image, nlcd, more_coarse=more), tmp_path)
    nothing = write_tif(tmp_path / "nothing.tif", halves(99, 99), nodata=99)
    with pytest.raises(GridError, match=r"nothing.tif \(percentages of canopy\) has no data"):
        prepared(RasterFiles(image, nlcd, canopy=nothing), tmp_path)


def test_unknown_codes_of_any_map_are_listed_with_counts(image: Path, tmp_path: Path) -> None:
    nlcd = write_tif(tmp_path / "nlcd.tif", halves(41, 24))
    files = RasterFiles(image, nlcd, legend="worldcover")
    with pytest.raises(
        LegendError, match=r"WorldCover\): 24 \(120 px\), 41 \(105 px\)[\s\S]*codes of nlcd"
    ):
        prepared(files, tmp_path)
    more = [CoarseFile(nlcd, "esri")]
    with pytest.raises(LegendError, match=r"Esri land cover\): 24 \(120 px\), 41 \(105 px\)"):
        prepared(RasterFiles(image, nlcd, more_coarse=more), tmp_path)


def configured(folder: Path, text: str, *words: str) -> MapSettings:
    config = folder / "city.yaml"
    config.write_text(text)
    return load_settings(MapSettings, config, words)


def test_the_legend_is_named_beside_the_map_or_by_the_weak_labels(tmp_path: Path) -> None:
    plain_scene = "scene: {rasters: {image: a.tif, coarse: b.tif}}\n"
    assert files_of(configured(tmp_path, plain_scene)).legend == "nlcd"
    weak = configured(tmp_path, plain_scene + "weak_labels: {legend: worldcover}\n")
    assert files_of(weak).legend == "worldcover"
    words = ["--weak_labels.legend", "corine"]
    assert files_of(configured(tmp_path, plain_scene, *words)).legend == "corine"
    beside = plain_scene.replace("b.tif", "b.tif, legend: esri")
    assert files_of(configured(tmp_path, beside)).legend == "esri"
    own = configured(tmp_path, plain_scene + "weak_labels: {legend: legends/own.yaml}\n")
    assert files_of(own).legend == tmp_path / "legends" / "own.yaml"
    more = "more_coarse: [{path: c.tif, legend: dynamic_world}, {path: d.tif, legend: own.yaml}]"
    several = configured(tmp_path, plain_scene.replace("b.tif", f"b.tif, {more}"))
    legends = [file.legend for file in files_of(several).coarse_maps]
    assert legends == ["nlcd", "dynamic_world", tmp_path / "own.yaml"]
    (tmp_path / "again.json").write_text(yaml.safe_dump(plain(several)))
    assert load_settings(MapSettings, tmp_path / "again.json") == several


def test_nlcd_stays_a_good_name_for_the_coarse_map(tmp_path: Path) -> None:
    text = "scene: {rasters: {image: a.tif, nlcd: b.tif, nlcd_values: indices}}\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        old = configured(tmp_path, text)
        words = ["--scene.rasters.nlcd", "c.tif", "--scene.rasters.nlcd_values=codes"]
        given = configured(tmp_path, text, *words)
    assert old.scene.rasters is not None
    assert old.scene.rasters.coarse == tmp_path / "b.tif"
    assert old.scene.rasters.coarse_values == "indices"
    assert given.scene.rasters == replace(
        old.scene.rasters, coarse=Path("c.tif"), coarse_values="codes"
    )
    with pytest.raises(SettingsError, match=r"nlcd .*beside scene.rasters.coarse"):
        configured(tmp_path, "scene: {rasters: {image: a.tif, nlcd: b.tif, coarse: c.tif}}\n")


def test_an_unknown_legend_names_the_nearest(image: Path, tmp_path: Path) -> None:
    text = "scene: {rasters: {image: image.tif, nlcd: image.tif}}\nweak_labels: {legend: corrine}\n"
    files = files_of(configured(tmp_path, text))
    with pytest.raises(SettingsError, match=r"no legend 'corrine'[\s\S]*did you mean 'corine'"):
        plan_scene(files, 4.0)


def test_notes_call_maps_by_their_titles(image: Path, tmp_path: Path) -> None:
    path = write_tif(tmp_path / "wc.tif", two_halves(10, 50, SIZE), 2.0)
    plan = plan_scene(RasterFiles(image, path, legend="worldcover"), 4.0)
    assert "WorldCover resampled from 2 m" in plan.notes


def test_weak_labels_do_not_depend_on_the_window(image: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = 60  # working pixels: wider than any blur reaches
    image = write_tif(tmp_path / "wide.tif", colours(size=size), 4.0)
    nlcd = rng.choice([21, 24, 41, 71], (size // 6, size // 6)).repeat(6, 0).repeat(6, 1)
    worldcover = rng.choice([10, 30, 50, 80], (size // 2, size // 2)).repeat(2, 0).repeat(2, 1)
    paved = rng.integers(0, 101, (size // 6, size // 6)).repeat(6, 0).repeat(6, 1)
    layers = {"nlcd": nlcd, "worldcover": worldcover, "impervious": paved, "canopy": 100 - paved}
    paths = {
        name: write_tif(tmp_path / f"{name}.tif", pixels.astype(np.uint8), 4.0)
        for name, pixels in layers.items()
    }
    maps = [CoarseMap(paths[name], name) for name in ("nlcd", "worldcover")]
    scene = open_scene(image, coarse=maps, impervious=paths["impervious"], canopy=paths["canopy"])
    matrices = [legend.definitions for legend in scene.legends]
    whole = labels_of(scene, scene.extent, matrices, WeakLabelSettings()).probabilities
    for box in (Box(0, 7, 0, 60), Box(20, 31, 33, 41), Box(59, 60, 59, 60)):
        part = labels_of(scene, box, matrices, WeakLabelSettings()).probabilities
        np.testing.assert_allclose(part, whole[:, *box.within(scene.extent)], atol=1e-6)
