"""A canary in every file of a folder that is handed over: no command executes it, none breaks."""

import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from inputs import colours, write_scene

from landcover_pnp.cli import main
from landcover_pnp.prior.callbacks import CHECKPOINT, Keeper

MAP = (
    *("--tiles.core_px", "30", "--tiles.halo_px", "8", "--workers", "0"),
    *("--inference.engine", "evidence"),
)
FOREST = ("--rounds", "1", "--forest.trees", "3", "--forest.sample_px", "500")
OWN_FOREST = tuple(word.replace("--", "--student.") for word in FOREST)


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def plain_pickle(canary: Path) -> bytes:
    return pickle.dumps(Canary(canary), protocol=2)


def torch_archive(canary: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", plain_pickle(canary))
        archive.writestr("archive/version", "3\n")
    return content.getvalue()


def array_of_objects(canary: Path) -> bytes:
    content = io.BytesIO()
    np.savez(content, model=np.array([Canary(canary)], dtype=object))
    return content.getvalue()


def yaml_tag(canary: Path) -> bytes:
    return f"!!python/object/apply:os.mkdir ['{canary}']\n".encode()


KINDS = {
    ".safetensors": (plain_pickle, torch_archive, array_of_objects),
    ".ckpt": (plain_pickle, torch_archive),
    ".json": (plain_pickle, yaml_tag),
    ".yaml": (yaml_tag,),
}


def planted(folder: Path, name: str, canary: Path) -> Iterator[None]:
    """The file in each form that something could execute."""
    for kind in KINDS.get(Path(name).suffix, (plain_pickle,)):
        (folder / name).write_bytes(kind(canary))
        yield


def test_the_canaries_sing(tmp_path: Path) -> None:
    for number, kind in enumerate((plain_pickle, torch_archive, array_of_objects, yaml_tag)):
        canary = tmp_path / str(number)
        content = kind(canary)
        if kind is yaml_tag:
            yaml.load(content, Loader=yaml.UnsafeLoader)  # noqa: S506
        elif kind is array_of_objects:
            _ = np.load(io.BytesIO(content), allow_pickle=True)["model"]
        elif kind is torch_archive:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                pickle.loads(archive.read("archive/data.pkl"))  # noqa: S301
        else:
            pickle.loads(content)  # noqa: S301
        assert canary.exists()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = colours()
    image[1, :, :120] += 20  # trees are green
    return write_scene(tmp_path_factory.mktemp("scene"), image=image)


@pytest.fixture(scope="module")
def drawn(config: Path) -> Path:
    """A run with a student of its own, published."""
    run = config.parent / "drawn"
    assert main(["map", str(config), "--run", str(run), *MAP, *OWN_FOREST]) == 0
    assert main(["publish", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def taught(config: Path) -> Path:
    """A run without one, on which ``train-student`` has trained one."""
    run = config.parent / "taught"
    assert main(["map", str(config), "--run", str(run), *MAP, "--student", "null"]) == 0
    assert main(["train-student", str(run), *FOREST]) == 0
    return run


def commands_on(run: Path, config: Path, out: Path, *, own: bool) -> list[list[str]]:
    """All commands that read a run folder; those that mend it come last."""
    folder, truth = str(run), str(config.parent / "truth.tif")
    student = OWN_FOREST if own else ("--student", "null")
    return [
        ["status", folder],
        ["verify", folder],
        ["evaluate", folder, "--truth", truth],
        ["report", folder],
        ["compare", folder, folder, "--out", str(out / "comparison")],
        ["catalog", str(run.parent)],
        ["train-student", folder, *FOREST],
        ["publish", folder],
        ["resume", folder],
        ["map", str(config), "--run", folder, *MAP, *student],
        ["publish", folder],
        ["verify", folder],
    ]


def nothing_is_executed(
    folder: Path, name: str, tmp_path: Path, commands: Callable[[Path], list[list[str]]]
) -> None:
    canary, copy = tmp_path / "canary", tmp_path / "given" / folder.name
    shutil.copytree(folder, copy)
    for _ in planted(copy, name, canary):
        for words in commands(copy):
            assert main(words) in (0, 1, 2, 3), words
            assert not canary.exists(), f"{words[0]} executes what is in {name}"
    shutil.rmtree(tmp_path / "given")


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


SAMPLE = (
    *("settings.json", "summary.json", "journal.jsonl", ".landcover.json", "scene/scene.json"),
    *("student/model.safetensors", "student/record.json", "tiles/r0000c0000_map.tif"),
    *("probabilities/student.json", "products/item.json"),
)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_run_s_file_is_not_executed(name: str, config: Path, drawn: Path, tmp_path: Path) -> None:
    nothing_is_executed(
        drawn, name, tmp_path, lambda run: commands_on(run, config, tmp_path, own=True)
    )


@pytest.mark.laws
@pytest.mark.parametrize("group", [".", "scene", "tiles", "student", "probabilities", "products"])
def test_no_file_of_a_run_is_executed(
    group: str, config: Path, drawn: Path, tmp_path: Path
) -> None:
    names = [n for n in files_in(drawn) if Path(n).parent.as_posix() == group]
    assert names
    for name in names:
        nothing_is_executed(
            drawn, name, tmp_path, lambda run: commands_on(run, config, tmp_path, own=True)
        )


@pytest.mark.parametrize("name", ["student.json", "probabilities/student.tif"])
def test_a_student_of_several_runs_is_not_executed(
    name: str, config: Path, taught: Path, tmp_path: Path
) -> None:
    nothing_is_executed(
        taught, name, tmp_path, lambda run: commands_on(run, config, tmp_path, own=False)
    )


TINY = (
    *("--denoiser.crop_px", "8", "--denoiser.channels", "[8, 16]", "--denoiser.head_channels", "8"),
    *("--denoiser.norm_groups", "4", "--batch_size", "4", "--steps", "4", "--save_every", "2"),
    *("--synthetic_maps", "3", "--synthetic_width_m", "256"),
)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a training of four steps."""
    config = tmp_path_factory.mktemp("training") / "training.yaml"
    config.write_text("labels: []\n")
    return config


@pytest.fixture(scope="module")
def prior(training: Path) -> Path:
    folder = training.parent / "prior"
    assert main(["train-prior", str(training), "--out", str(folder), *TINY]) == 0
    return folder


@pytest.fixture(scope="module")
def unfinished(training: Path) -> Path:
    """The folder of a training that was stopped after two of its steps."""
    folder, saved = training.parent / "unfinished", []

    def stopped(self: Keeper, step: int, module: object) -> None:
        if saved:
            raise KeyboardInterrupt
        saved.append(step)
        kept(self, step, module)  # type: ignore[arg-type]

    kept = Keeper._keep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "_keep", stopped)
        assert main(["train-prior", str(training), "--out", str(folder), *TINY]) == 130
    assert (folder / CHECKPOINT).is_file()
    return folder


def commands_with(folder: Path, config: Path, training: Path, out: Path) -> list[list[str]]:
    """All commands that read a prior's folder."""
    prior = str(folder)
    few = ("--steps", "2", "--samples", "2")
    shutil.rmtree(out, ignore_errors=True)
    engine = ("--inference.engine", "denoise", "--inference.prior", prior)
    judged = ("--crops", "2", "--training_crops", "2", "--out", str(out / "judged"))
    return [
        ["sample-prior", "--prior", prior, "--out", str(out / "samples.png"), *few],
        ["judge-prior", prior, *judged, *few],
        ["export-prior", "--prior", prior, "--out", str(out / "exported")],
        ["import-prior", prior, "--out", str(out / "imported")],
        ["check", str(config), *MAP, *engine],
        ["map", str(config), "--run", str(out / "run"), *MAP, *engine, "--student", "null"],
        ["catalog", str(folder.parent), "--prior", prior],
        ["train-prior", str(training), "--out", str(out / "more"), "--start", prior, *TINY],
        ["train-prior", str(training), "--out", prior, *TINY],
    ]


@pytest.mark.parametrize(
    ("fixture", "name"),
    [("prior", "diffusion_pytorch_model.safetensors"), ("unfinished", CHECKPOINT)],
)
def test_a_prior_s_file_is_not_executed(
    fixture: str,
    name: str,
    config: Path,
    training: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    folder = request.getfixturevalue(fixture)

    def commands(f: Path) -> list[list[str]]:
        words = commands_with(f, config, training, tmp_path / "out")
        return [w for w in words if w[0] in ("check", "export-prior", "train-prior")]

    nothing_is_executed(folder, name, tmp_path, commands)


@pytest.mark.laws
@pytest.mark.parametrize("fixture", ["prior", "unfinished"])
def test_no_file_of_a_prior_is_executed(
    fixture: str, config: Path, training: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(fixture)
    for name in files_in(folder):
        nothing_is_executed(
            folder, name, tmp_path, lambda f: commands_with(f, config, training, tmp_path / "out")
        )
