"""Freshness of what else is kept: priors, students of several runs, transfer runs, products."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fresh import another, content, leaves, stamps, value_of
from inputs import colours, two_halves, write_scene, write_tif
from masked_priors import tiny_masked
from sidecars import bare, mask, nodata, world

from landcover_pnp.config import load_settings
from landcover_pnp.errors import RequestError, SettingsError
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.publish import publish
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.train_student import train_student
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.pipeline.transfer.stage import run_transfer
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings, LabelFolder, TrainPriorSettings
from landcover_pnp.prior.training import train_prior
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.student.settings import ForestSettings, StudentSettings

SIZE = 96
"""Side of the scenes, metres."""

FOREST = StudentSettings(rounds=1, forest=ForestSettings(trees=2, sample_px=500, radii_m=[1.5]))

pytestmark = pytest.mark.filterwarnings("ignore::landcover_pnp.errors.LandcoverWarning")


def small_scene(folder: Path, seed: int = 0) -> Path:
    return write_scene(
        folder,
        image=colours(size=SIZE, seed=seed),
        nlcd=two_halves(41, 24, SIZE),
        truth=two_halves(40, 30 if seed == 2 else 20, SIZE),
    )


# ---- training of a prior --------------------------------------------------------------------


def label_folder(folder: Path, maps: int = 3) -> LabelFolder:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(maps):
        labels = rng.integers(1, 6, (4, 4), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
        write_tif(folder / f"{i}.tif", labels, 4.0)
    return LabelFolder(folder, legend="working")


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> TrainPriorSettings:
    """Settings of a training that is finished; tests change copies of its label maps."""
    folder = tmp_path_factory.mktemp("training")
    first, second = label_folder(folder / "a"), label_folder(folder / "b")
    bare(second.path / "0.tif", np.full((64, 64), 3, np.uint8))
    world(second.path / "0.tfw")
    settings = TrainPriorSettings(
        out=folder / "prior",
        labels=[first, second],
        denoiser=DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4),
        steps=2,
        batch_size=2,
        save_every=2,
    )
    train_prior(settings)
    return settings


@pytest.fixture
def copied(training: TrainPriorSettings, tmp_path: Path) -> TrainPriorSettings:
    shutil.copytree(training.out.parent, tmp_path / "training")
    folders = [replace(f, path=tmp_path / "training" / f.path.name) for f in training.labels]
    return replace(training, out=tmp_path / "training" / "prior", labels=folders)


def moved_to_the_other_folder(folder: Path) -> None:
    """The same maps in the same order, but others weigh as much as one another."""
    (folder / "a" / "2.tif").replace(folder / "b" / "-.tif")


LABEL_CHANGES: dict[str, Callable[[Path], object]] = {
    "world file": lambda f: (f / "b" / "0.tfw").write_text("2\n0\n0\n-2\n586001\n4475999\n"),
    "declared no data": lambda f: nodata(f / "a" / "1.tif", 2),
    "mask": lambda f: mask(f / "a" / "1.tif", np.tri(16, dtype=bool)),
    "another map": lambda f: shutil.copy(f / "a" / "1.tif", f / "a" / "9.tif"),
    "a map in the other folder": moved_to_the_other_folder,
}


@pytest.mark.parametrize("change", LABEL_CHANGES)
def test_a_finished_training_is_not_taken_for_one_of_other_label_maps(
    change: str, copied: TrainPriorSettings
) -> None:
    assert train_prior(copied).state == "finished before, nothing done"
    LABEL_CHANGES[change](copied.out.parent)
    with pytest.raises(SettingsError, match="other values of label_maps"):
        train_prior(copied)


OF_NO_ACCOUNT_TO_A_PRIOR = {
    "out": "another folder is another prior",
    "save_every": "says when the prior is looked at, not what it learns",
    "workers": "crops come from the number of the step, whoever cuts them",
}

OTHER_TRAINING: dict[str, Any] = {
    "denoiser.channels": [8, 8],
    "denoiser.condition": "class_shares",
    "accelerator": "cpu",
    "licence": "ODbL-1.0",
    "strategy": "ddp",
    "devices": 2,
    "synthetic_width_m": 1700,
    "ema_decay": 0.5,
    "level_median": 0.5,
    "masked.channels": [16, 32],
    "masked.blocks": [2, 2],
}


@pytest.mark.parametrize("name", leaves(TrainPriorSettings))
def test_every_setting_of_a_training(
    name: str, training: TrainPriorSettings, tmp_path: Path
) -> None:
    """A training is hours of work: other settings are refused by name, not started anew."""
    value = OTHER_TRAINING.get(name)
    if name == "start":
        value = tmp_path / "start"
        Prior(build_network(training.denoiser, 1), NoiseSchedule(), 4.0, 8).save(value)
    elif name == "out":
        value = tmp_path / "other"
    elif name == "labels":
        value = training.labels[:1]
    elif value is None:
        value = another(leaves(TrainPriorSettings)[name], value_of(training, name))
    settings = changed(training, name, value)
    if name in OF_NO_ACCOUNT_TO_A_PRIOR:
        trained = "trained" if name == "out" else "finished before, nothing done"
        assert train_prior(settings).state == trained
        return
    with pytest.raises(SettingsError) as refused:
        train_prior(settings)
    assert {"labels": "label_"}.get(name, name) in refused.value.found
    assert "holds a finished training with other values" in refused.value.found


def changed(settings: Any, name: str, value: Any) -> Any:
    """Settings with another value of one, by its dotted name."""
    first, _, rest = name.partition(".")
    inner = changed(getattr(settings, first), rest, value) if rest else value
    return dataclasses.replace(settings, **{first: inner})


# ---- a student of several runs --------------------------------------------------------------


def test_a_student_does_not_learn_from_another_image_than_was_mapped(tmp_path: Path) -> None:
    config, run = small_scene(tmp_path / "city"), tmp_path / "run"
    map_city(load_settings(MapSettings, config, ["--workers", "0"]), run)
    train_student(FOREST, [run])
    before = stamps(run)
    mask(tmp_path / "city" / "image.tif")
    with pytest.raises(RequestError, match=r"image\.tif\.msk \(image\)[\s\S]*landcover resume"):
        train_student(FOREST, [run])
    assert stamps(run) == before
    (tmp_path / "city" / "image.tif.msk").unlink()
    train_student(FOREST, [run])


# ---- transfer runs --------------------------------------------------------------------------


def two_cities(folder: Path) -> Path:
    """Configuration of a transfer run of quick methods between two small cities."""
    for number, name in enumerate(("source", "target", "other")):
        small_scene(folder / name, number)
    files = {
        name: {
            "name": name if name != "other" else "target",
            "rasters": {
                "image": f"{folder}/{name}/image.tif",
                "nlcd": f"{folder}/{name}/nlcd.tif",
                "truth": {"path": f"{folder}/{name}/truth.tif"},
            },
        }
        for name in ("source", "target", "other")
    }
    (folder / "other.yaml").write_text(json.dumps([files["other"]]))
    config = folder / "transfer.yaml"
    settings = {
        "source": files["source"],
        "targets": [files["target"]],
        "matrix_sources": ["source"],
        "methods": ["majority", "source_forest", "weak_labels", "student", "half_city"],
        "inference": {"engine": "evidence"},
        "student": {"rounds": 1, "forest": {"trees": 2, "sample_px": 500, "radii_m": [1.5]}},
        "tiles": {"core_px": 10, "halo_px": 3},
        "workers": 0,
    }
    config.write_text(yaml.safe_dump(settings))
    return config


def unlike_a_fresh_run(run: Path, fresh: Path) -> list[str]:
    """Maps and what they are made of, in which a run is other than a fresh one."""
    found, expected = content(run), content(fresh)
    names = (n for n in expected if "/" in n and not n.endswith(("settings.json", "summary.json")))
    return [name for name in names if found.get(name) != expected[name]]


TRANSFER_CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "the source's truth, by a mask": (
        lambda f: mask(f / "source" / "truth.tif", np.indices((SIZE, SIZE))[0] < 60),
        # p(class | NLCD) stays: all that is left is as pure. Students count the source's truth
        # among what they are made of, since the fine-tuned one learns from it.
        {"majority", "source_forest", "student"},
    ),
    "the target's image, by a mask": (
        lambda f: mask(f / "target" / "image.tif", np.indices((SIZE, SIZE))[0] < 80),
        {"majority", "source_forest", "weak_labels", "student", "half_city"},
    ),
    "the target's truth": (
        lambda f: write_tif(f / "target" / "truth.tif", two_halves(20, 40, SIZE)),
        {"half_city"},
    ),
}


def follows(change: str, folder: Path, *words: str) -> None:
    """The law: inputs of a finished transfer run change, its maps are those of a fresh one."""
    settings = load_settings(TransferSettings, two_cities(folder / "inputs"), words)
    act, expected = TRANSFER_CHANGES[change]
    run_transfer(settings, folder / "run")
    before = stamps(folder / "run")
    act(folder / "inputs")
    run_transfer(settings, folder / "run")
    run_transfer(settings, folder / "fresh")
    assert unlike_a_fresh_run(folder / "run", folder / "fresh") == []
    made = made_maps(before, stamps(folder / "run"))
    assert made == expected & set(settings.methods)


def test_a_transfer_run_follows_what_lies_beside_the_source_s_truth(tmp_path: Path) -> None:
    quick = ("--methods", "[majority, weak_labels]")
    follows("the source's truth, by a mask", tmp_path, *quick)


@pytest.mark.laws
@pytest.mark.parametrize("change", TRANSFER_CHANGES)
def test_a_transfer_run_follows_its_inputs(change: str, tmp_path: Path) -> None:
    follows(change, tmp_path)


def made_maps(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """Methods of the target whose maps are others."""
    maps = {n for n in after if n.startswith("target/") and n.count("/") == 2 and n.endswith("tif")}
    return {Path(name).stem for name in maps if after[name] != before.get(name)}


SHARED = ("source", "inference", "clusters", "tiles", "student", "refinement")
"""Blocks that maps have too: ``test_fresh_settings`` changes all their settings, here is one."""

OTHER_TRANSFER = {
    "source.rasters.truth.path": ("{folder}/other/truth.tif",),
    "targets": ("{others}",),
    "matrix_sources": ("[definitions_refined]",),
    "methods": ("[weak_labels, source_forest]",),
    "seeds": ("[1]",),
    "scores": ("published",),
    "interval_over_seeds": ("true",),
    "inference.evidence.iterations": ("2",),
    "clusters.clusters": ("4",),
    "tiles.halo_px": ("2",),
    "student.rounds": ("2",),
    "refinement.keep": ("0.25",),
    "resolution_m": ("6",),
    "workers": ("1",),
}

IN_RUNS_WITH = {
    "interval_over_seeds": ("--seeds", "[0, 1]"),
    "refinement.keep": ("--matrix_sources", "[definitions_refined]"),
}
"""Words of the run before, where the usual one's settings leave a setting without meaning."""

OF_NO_ACCOUNT_TO_MAPS = {
    "scores": "how maps are scored",
    "interval_over_seeds": "what the table says of several seeds",
    "methods": "maps of a method do not depend on which others are made",
    "matrix_sources": "the maps of each lie in a folder of their own",
    "workers": "tiles come out the same whoever makes them",
}


@pytest.fixture(scope="module")
def transfer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transfer")
    run_transfer(load_settings(TransferSettings, two_cities(folder)), folder / "run")
    return folder


@pytest.mark.laws
@pytest.mark.parametrize("name", OTHER_TRANSFER)
def test_every_setting_of_a_transfer_run(name: str, transfer: Path, tmp_path: Path) -> None:
    alone = {n for n in leaves(TransferSettings) if n.split(".")[0] not in SHARED}
    assert alone <= OTHER_TRANSFER.keys()
    config, base, run = transfer / "transfer.yaml", IN_RUNS_WITH.get(name, ()), tmp_path / "run"
    if base:
        run_transfer(load_settings(TransferSettings, config, base), run)
    else:
        shutil.copytree(transfer / "run", run)
    before = stamps(run)
    others = (transfer / "other.yaml").read_text()
    words = [w.replace("{folder}", str(transfer)) for w in OTHER_TRANSFER[name]]
    words = [w.replace("{others}", others) for w in words]
    settings = load_settings(TransferSettings, config, [*base, f"--{name}", *words])
    run_transfer(settings, run)
    run_transfer(settings, tmp_path / "fresh")
    assert unlike_a_fresh_run(run, tmp_path / "fresh") == []
    made = made_maps(before, {n: stamp for n, stamp in stamps(run).items() if n in before})
    assert bool(made) != (name in OF_NO_ACCOUNT_TO_MAPS)
    again = "made again: " + ", ".join(sorted(made))
    what = f"harmless: {OF_NO_ACCOUNT_TO_MAPS[name]}" if not made else again
    sys.stdout.write(f"{name:32} {what}\n")


# ---- products -------------------------------------------------------------------------------


@pytest.mark.laws
@pytest.mark.parametrize("name", leaves(PublishSettings))
def test_every_setting_of_publishing(name: str, tmp_path: Path) -> None:
    config, run = small_scene(tmp_path / "city"), tmp_path / "run"
    tiny_masked().save(tmp_path / "prior")
    words = ["--workers", "0", "--inference.prior", str(tmp_path / "prior")]
    map_city(load_settings(MapSettings, config, words), run)
    fresh = Path(shutil.copytree(run, tmp_path / "fresh" / "run"))
    value = "another title" if name == "title" else None
    value = value or another(leaves(PublishSettings)[name], value_of(PublishSettings(), name))
    settings = replace(PublishSettings(), **{name: value})
    publish(run)
    before = content(run)
    publish(run, settings)
    publish(fresh, settings)
    assert content(run) == content(fresh)
    differing = sorted(n for n, said in content(run).items() if before.get(n) != said)
    sys.stdout.write(f"{name:16} made again, other are: {', '.join(differing)}\n")
