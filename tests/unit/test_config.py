import typing
from pathlib import Path

import pytest
import yaml

from landcover_pnp.config import keys, load_settings
from landcover_pnp.config.schema import block_of, takes_parts
from landcover_pnp.errors import RenamedWarning, SettingsError
from landcover_pnp.pipeline.settings import BatchSettings, DemoSettings, MapSettings
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.prior.settings import TrainPriorSettings
from landcover_pnp.products.settings import PublishSettings

CONFIGS = Path(__file__).parents[2] / "configs"
SCENE = "scene: {rasters: {image: a.tif, nlcd: ../b.tif, roads: {path: /r.tif, codes: [1, 2]}}}\n"


def load(folder: Path, text: str, *overrides: str) -> MapSettings:
    (folder / "c.yaml").write_text(text)
    return load_settings(MapSettings, folder / "c.yaml", overrides)


def test_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    rasters = load(tmp_path, SCENE).scene.rasters
    assert rasters is not None
    assert rasters.roads is not None
    assert rasters.image == tmp_path / "a.tif"
    assert rasters.coarse == tmp_path / "../b.tif"
    assert rasters.roads.path == Path("/r.tif")
    assert rasters.roads.codes == [1, 2]


def test_options_win_over_the_file(tmp_path: Path) -> None:
    words = ["--seed", "5", "--scene.rasters.image=z.tif", "--inference.engine", "evidence"]
    settings = load(tmp_path, SCENE + "seed: 3", *words)
    assert settings.seed == 5
    assert settings.scene.rasters is not None
    assert settings.scene.rasters.image == Path("z.tif")
    assert settings.inference.engine == "evidence"


def test_options_fill_a_block_that_the_file_leaves_null(tmp_path: Path) -> None:
    settings = load(tmp_path, SCENE + "student: null", "--student.windows", "7")
    assert settings.student is not None
    assert settings.student.windows == 7


def test_a_block_with_nothing_in_it_has_its_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, SCENE + "tiles:\n  # core_px: 256") == load(tmp_path, SCENE)


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (SCENE + "tiles: 5", [], "(?s)tiles is 5.*core_px.*below `tiles:`"),
        (SCENE + "tiles: 5", ["--tiles.core_px", "256"], "tiles is 5"),
        ("scene: {rasters: a.tif}", [], "(?s)scene.rasters is a.tif.*keys and values: image"),
        (SCENE, ["--tiles", "5"], "(?s)tiles is 5.*--tiles.KEY VALUE"),
        (SCENE + "sed: 3", [], "(?s)unknown key 'sed'.*did you mean 'seed'"),
        (SCENE.replace("image", "imag"), [], "(?s)'scene.rasters.imag'.*did you mean 'image'"),
        (SCENE + "seed: x", [], "(?s)seed is x.*int"),
        (SCENE.replace("[1, 2]", "5"), [], "(?s)scene.rasters.roads.codes is 5.*list"),
        (
            SCENE.replace("image: a.tif, ", ""),
            [],
            r"no value for scene.rasters.image \(\S+c.yaml:1\)",
        ),
        (
            SCENE + "inference: {engine: evidnce}",
            [],
            "(?s)evidnce.*one of 'algorithm1', 'denoise'.*did you mean 'evidence'",
        ),
        (SCENE, ["--sed", "3"], "(?s)unknown option --sed.*did you mean 'seed'"),
        (SCENE, ["--seed"], "--seed without a value"),
        (SCENE, ["stray"], "unknown option stray"),
        ("- a", [], "holds list"),
        ("", [], "holds nothing"),
        ("a: [", [], "is no YAML"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, text: str, words: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, text, *words)


def _one_key_of_each_kind() -> list[str]:
    found = {
        str(kind): name
        for name, kind in keys(MapSettings).items()
        if block_of(kind) is None and not takes_parts(kind)
    }
    return [*found.values()]


@pytest.mark.parametrize("name", _one_key_of_each_kind())
@pytest.mark.parametrize("value", [{"path": "a.tif", "legend": "nlcd"}, ["a.tif", "b.tif"]])
def test_one_value_is_neither_keys_nor_a_list(name: str, value: object, tmp_path: Path) -> None:
    for part in reversed(name.split(".")):
        value = {part: value}
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, yaml.safe_dump(value, sort_keys=False))
    told = "has keys of its own: path, legend" if "path" in str(value) else "is a list"
    assert f"{name} {told} (" in refused.value.found
    assert "c.yaml" in refused.value.found


def test_a_coarse_map_with_its_legend_is_told_where_the_legend_stands(tmp_path: Path) -> None:
    text = "scene: {rasters: {image: a.tif, coarse: {path: b.tif, legend: worldcover}}}"
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, text)
    assert refused.value.fix == (
        "give the value alone, `coarse: VALUE`, and beside `coarse:`, not below it, legend"
    )


def test_texts_and_paths_are_taken_as_they_are() -> None:
    words = ["--title", "Demo: a city", "--min_area_m2", "50"]
    assert load_settings(PublishSettings, overrides=words) == PublishSettings(
        title="Demo: a city", min_area_m2=50
    )
    assert load_settings(PublishSettings, overrides=["--title", "null"]).title is None
    assert load_settings(DemoSettings, overrides=["--out", "2024"]).out == Path("2024")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no configuration file"):
        load_settings(MapSettings, tmp_path / "none.yaml")


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*/*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_configuration_loads(config: Path) -> None:
    schemas = {"cities": MapSettings, "prior": TrainPriorSettings, "transfer": TransferSettings}
    load_settings(BatchSettings if config.stem == "batch" else schemas[config.parent.name], config)


def test_keys_cover_every_group() -> None:
    names = set(keys(MapSettings))
    assert {"seed", "scene.rasters.roads.path", "inference.algorithm1.steps"} <= names
    assert set(typing.get_type_hints(MapSettings)) <= names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--min_area_m2", "-1"], "min_area_m2 is -1"),
        (["--simplify_m", ".nan"], "simplify_m is nan"),
        (["--min_area_m2", "[1"], r"min_area_m2 is \[1 \(command line\)"),
    ],
)
def test_values_out_of_range_are_named(words: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(PublishSettings, overrides=words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noise: {steps: 0}", "steps is 0"),
        ("noise: {beta_start: 0.5, beta_end: 0.1}", "beta_end is 0.1"),
        ("crops: {scale_jitter: 0.9}", "scale_jitter is 0.9"),
        ("labels: [{path: a, weight: 0}]", "weight is 0"),
        ("denoiser: {resolution_m: -4}", "resolution_m is -4"),
        ("batch_size: 0", "batch_size is 0"),
    ],
)
def test_values_of_groups_and_lists_have_ranges_too(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "c.yaml").write_text(f"out: a\n{text}\n")
    with pytest.raises(SettingsError, match=message):
        load_settings(TrainPriorSettings, tmp_path / "c.yaml")


NUMBERS = [
    name
    for name, kind in keys(MapSettings).items()
    if {int, float} & set(typing.get_args(kind) or (kind,))
    if not name.startswith(("inference", "tiles"))  # refused by engines and tile grids
]


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_of_a_map_is_negative(name: str, tmp_path: Path) -> None:
    config = tmp_path / "city.yaml"
    config.write_text("scene: {rasters: {image: a, nlcd: b, roads: {path: c}}}\n")
    words = [] if not name.startswith("scene.rasters") else ["--scene.rasters.buildings.path", "d"]
    words += ["--scene.rasters.water.path", "e"] if words else []
    words += ["--scene.rasters.clouds.path", "f"] if words else []
    value = "[-8]" if "list" in str(keys(MapSettings)[name]) else "-1"
    with pytest.raises(SettingsError, match=f"{name.rpartition('.')[2]} is \\[?-"):
        load_settings(MapSettings, config, [*words, f"--{name}", value])


def test_old_names_of_keys_and_words_are_read_with_a_warning(tmp_path: Path) -> None:
    config = tmp_path / "city.yaml"
    config.write_text("tiles: {ring_px: 3}\nweak_labels: {repair: {keep: 0.3}}\nscene: {}\n")
    words = ["--weak_labels.repair.keep", "0.7", "--weak_labels.protocol", "source"]
    with pytest.warns(RenamedWarning) as said:
        settings = load_settings(MapSettings, config, words)
    assert settings.tiles.halo_px == 3
    assert settings.weak_labels.matrix_source == "source"
    assert settings.weak_labels.refinement is not None
    assert settings.weak_labels.refinement.keep == 0.7
    assert any("ring_px" in str(w.message) and "halo_px" in str(w.message) for w in said)
    config.write_text("protocols: [source, source_repaired]\nsource: {name: a}\ntargets: []\n")
    with pytest.warns(RenamedWarning) as said:
        transfer = load_settings(TransferSettings, config)
    assert any("source_refined" in str(w.message) for w in said)
    assert transfer.matrix_sources == ["source", "source_refined"]


def test_old_words_are_read_on_the_command_line_too() -> None:
    needed = ["--source", "{name: a}", "--targets", "[]"]
    with pytest.warns(RenamedWarning) as said:
        transfer = load_settings(
            TransferSettings, overrides=[*needed, "--protocols", "[source, source_repaired]"]
        )
    assert transfer.matrix_sources == ["source", "source_refined"]
    names = [
        "--protocols is called --matrix_sources now",
        "source_repaired is called source_refined",
    ]
    assert all(any(name in str(w.message) for w in said) for name in names)


def test_a_block_given_after_its_parts_takes_their_place(tmp_path: Path) -> None:
    config = tmp_path / "city.yaml"
    config.write_text("scene: {}\nstudent: {model: forest}\n")
    parts = ["--student.rounds", "1", "--student.forest.trees", "6"]
    assert load_settings(MapSettings, config, [*parts, "--student", "null"]).student is None
    kept = load_settings(MapSettings, config, ["--student", "null", *parts]).student
    assert kept is not None
    assert kept.rounds == 1
