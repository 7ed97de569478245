"""Students on disk: the same predictions to the bit, and nothing executed or believed unchecked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from test_image_models import SMALL, training_window

from landcover_pnp.errors import ModelError, RasterError
from landcover_pnp.evidence.index_borders import Border, IndexBorders
from landcover_pnp.student import image_models
from landcover_pnp.student.settings import ForestSettings, StudentSettings
from landcover_pnp.student.stored_model import open_student, save_student
from landcover_pnp.student.texture import texture
from landcover_pnp.student.training import ImageKind, Round, Student, image_model

Arrays = dict[str, NDArray[Any]]

BORDERS: dict[str, Any] = {
    "bands": ["red", "green", "blue"],
    "vegetation": None,
    "brightness": None,
    "redness": None,
    "notes": [],
}

IMAGE = ImageKind(3, 2.0)
FOREST = ForestSettings(trees=6, sample_px=300, leaf_px=3)
SETTINGS = {
    name: StudentSettings(model=name, forest=FOREST, unet=SMALL)  # type: ignore[arg-type]
    for name in ("forest", "unet")
}


def trained(name: str) -> Student:
    model, window = image_model(SETTINGS[name], IMAGE), training_window()
    window.target[:] = np.random.default_rng(0).dirichlet(np.ones(5), (24, 24)).transpose(2, 0, 1)
    model.fit([window], seed=0)
    share = np.array([0.1, 0.4, 0, 0.5, 0], np.float32)
    borders = IndexBorders(
        ("red", "green", "blue"), Border(0.01, 0.02), None, Border(0.05, 0.01), ("no forest",)
    )
    return Student(IMAGE, model, share, borders, "map", (Round(0.25, 0.1), Round(0.1, 0.2)))


@pytest.fixture(scope="module")
def students() -> dict[str, Student]:
    return {name: trained(name) for name in SETTINGS}


@pytest.fixture(scope="module")
def stored(students: dict[str, Student], tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """Bytes of each student's file, by name."""
    folder = tmp_path_factory.mktemp("models")
    for name, student in students.items():
        save_student(folder / name, student, SETTINGS[name])
    return {name: np.frombuffer((folder / name).read_bytes(), np.uint8) for name in students}


def opened(name: str, content: bytes) -> Student:
    return open_student(content, "model", IMAGE, SETTINGS[name])


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_opened_predicts_the_same_bytes(
    name: str, students: dict[str, Student], stored: Arrays, tmp_path: Path
) -> None:
    one, other = students[name], opened(name, stored[name].tobytes())
    image = training_window(seed=2).image[:, :37, :21]
    assert one.model.predict(image).tobytes() == other.model.predict(image).tobytes()
    np.testing.assert_array_equal(one.share, other.share)
    assert (one.borders, one.teacher, one.rounds) == (other.borders, other.teacher, other.rounds)
    save_student(tmp_path / "again", other, SETTINGS[name])
    assert (tmp_path / "again").read_bytes() == stored[name].tobytes()


def test_a_forest_predicts_what_scikit_learn_s_does(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[ExtraTreesRegressor] = []

    class Kept(ExtraTreesRegressor):  # type: ignore[misc]
        def fit(self, *data: object) -> object:
            fitted.append(self)
            return super().fit(*data)

    monkeypatch.setattr(image_models, "ExtraTreesRegressor", Kept)
    forest = image_model(SETTINGS["forest"], IMAGE)
    assert isinstance(forest, image_models.Forest)
    forest.fit([training_window()], seed=0)
    forest.restore(forest.arrays())
    image = training_window(seed=2).image
    pixels = texture(image, forest.radii_px).reshape(-1, image[0].size).T
    expected = fitted[0].predict(pixels).T.reshape(5, *image.shape[1:])
    np.testing.assert_allclose(forest.predict(image), expected, atol=1e-6)


def test_a_forest_is_given_no_other_bands(students: dict[str, Student]) -> None:
    with pytest.raises(RasterError, match="2 bands"):
        students["forest"].model.predict(training_window().image[:2])


def first_inner(a: Arrays) -> int:
    return int(np.flatnonzero(a["model.left"] >= 0)[0])


def leaf(a: Arrays) -> int:
    return int(np.flatnonzero(a["model.left"] < 0)[0])


def assign(name: str, where: Callable[[Arrays], object], value: Any) -> Callable[[Arrays], None]:
    def change(a: Arrays) -> None:
        a[f"model.{name}"][where(a)] = value

    return change


def drop(name: str) -> Callable[[Arrays], None]:
    return lambda a: void(a.pop(name))


def cast(name: str, dtype: type) -> Callable[[Arrays], None]:
    return lambda a: a.update({name: a[name].astype(dtype)})


def cut(name: str) -> Callable[[Arrays], None]:
    return lambda a: a.update({name: a[name][:-1]})


def void(_: object) -> None: ...


FOREST_FAULTS: dict[str, Callable[[Arrays], None]] = {
    "child is its own parent": assign("left", first_inner, 0),
    "child before its parent": assign("right", lambda a: np.flatnonzero(a["model.left"] > 5)[0], 2),
    "child beyond the tree": assign("left", first_inner, 2**30),
    "child in another tree": lambda a: assign("right", first_inner, a["model.nodes"][0])(a),
    "negative child": assign("left", first_inner, -7),
    "two parents": lambda a: assign("right", first_inner, a["model.left"][first_inner(a)])(a),
    "one child": assign("right", first_inner, -1),
    "leaf with a child": assign("right", leaf, 2),
    "feature beyond": assign("feature", first_inner, 23),
    "feature negative": assign("feature", first_inner, -1),
    "threshold NaN": assign("threshold", first_inner, np.nan),
    "threshold infinite": assign("threshold", first_inner, np.inf),
    "leaf NaN": assign("leaves", lambda _: (0, 0), np.nan),
    "leaf negative": assign("leaves", lambda _: (0, slice(None)), [-1, 2, 0, 0, 0]),
    "leaf of no mass": assign("leaves", lambda _: 0, 0),
    "leaf above 1": assign("leaves", lambda _: (0, 0), 1.5),
    "no nodes": assign("nodes", lambda _: 0, 0),
    "negative nodes": assign("nodes", lambda _: 0, -3),
    "more nodes than there are": assign("nodes", lambda _: 0, 2**62),
    "a tree less": cut("model.nodes"),
    "a node less": cut("model.left"),
    "a feature less": cut("model.feature"),
    "a leaf less": cut("model.leaves"),
    "children of another type": cast("model.left", np.int64),
    "leaves of another type": cast("model.leaves", np.float32),
    "no thresholds": drop("model.threshold"),
}
UNET_FAULTS: dict[str, Callable[[Arrays], None]] = {
    "weight NaN": assign("head.bias", lambda _: 0, np.nan),
    "deviation 0": assign("deviation", lambda _: 0, 0),
    "deviation negative": assign("deviation", lambda _: 1, -1),
    "no head": drop("model.head.weight"),
    "of half precision": cast("model.head.weight", np.float16),
    "a class less": cut("model.head.bias"),
    "another array": lambda a: a.update({"model.other": np.zeros(3, np.float32)}),
}
ANY_FAULTS: dict[str, Callable[[Arrays], None]] = {
    "no shares": drop("share"),
    "shares NaN": lambda a: void(a["share"].__setitem__(0, np.nan)),
    "shares negative": lambda a: void(a["share"].__setitem__(0, -0.1)),
    "shares above 1": lambda a: void(a["share"].__setitem__(0, 2)),
    "shares of four classes": cut("share"),
    "shares of another type": cast("share", np.float64),
}
FAULTS = [("forest", f, c) for f, c in (FOREST_FAULTS | ANY_FAULTS).items()] + [
    ("unet", f, c) for f, c in (UNET_FAULTS | ANY_FAULTS).items()
]


def header_of(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    return dict(json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["student"]))


@pytest.mark.parametrize(
    ("name", "fault", "change"), FAULTS, ids=[f"{n}-{f}" for n, f, _ in FAULTS]
)
def test_arrays_that_are_no_model_are_refused(
    name: str, fault: str, change: Callable[[Arrays], None], stored: Arrays
) -> None:
    content = stored[name].tobytes()
    arrays = {key: array.copy() for key, array in safetensors.numpy.load(content).items()}
    change(arrays)
    with pytest.raises(ModelError, match="is trained again"):
        opened(name, safetensors.numpy.save(arrays, {"student": json.dumps(header_of(content))}))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"legend": ["water"]},
        {"image": {"bands": 4, "pixel_m": 2.0}},
        {"image": {"bands": 3, "pixel_m": 1.0}},
        {"settings": {}},
        {"borders": {**BORDERS, "vegetation": {"middle": 7.0, "slope": 0.1}}},
        {"borders": {**BORDERS, "brightness": {"middle": 0.5, "slope": 0.0}}},
        {"borders": {**BORDERS, "redness": {"middle": float("nan"), "slope": 0.1}}},
        {"borders": {**BORDERS, "redness": {"middle": "dark", "slope": 0.1}}},
        {"borders": {**BORDERS, "redness": {"middle": 0.1}}},
        {"borders": {**BORDERS, "bands": ["red", "green"]}},
        {"borders": {**BORDERS, "hidden": 1}},
        {"borders": 5},
        {"rounds": [{"changed": float("inf"), "agreement": 0.0}]},
        {"rounds": 5},
        {"rounds": [None]},
    ],
    ids=repr,
)
def test_a_model_of_something_else_is_refused(change: dict[str, Any], stored: Arrays) -> None:
    content = stored["forest"].tobytes()
    about = json.dumps({**header_of(content), **change})
    content = safetensors.numpy.save(safetensors.numpy.load(content), {"student": about})
    with pytest.raises(ModelError, match="is not the student of these settings"):
        opened("forest", content)


@pytest.mark.parametrize("about", ["", "[", "null", "5", '"text"', "[" * 100_000, "{}"])
def test_a_header_that_says_nothing_is_refused(about: str, stored: Arrays) -> None:
    arrays = safetensors.numpy.load(stored["forest"].tobytes())
    for header in ({"student": about}, {"other": about}, None):
        with pytest.raises(ModelError):
            opened("forest", safetensors.numpy.save(arrays, header))


@given(
    name=st.sampled_from(sorted(SETTINGS)),
    at=st.floats(0, 1, exclude_max=True),
    damage=st.one_of(st.none(), st.binary(min_size=1, max_size=12)),
)
def test_damaged_bytes_are_refused_or_harmless(
    name: str, at: float, damage: bytes | None, stored: Arrays
) -> None:
    """A file's hash tells of all damage; without it, no bytes may do more than change numbers."""
    content = bytearray(stored[name].tobytes())
    # Half of the damage goes to the first kilobytes, which hold the header and the trees' shape.
    place = int(at * (len(content) if at > 0.5 else min(20_000, len(content))))
    if damage is None:
        del content[place:]
    else:
        content[place : place + len(damage)] = damage
    try:
        student = opened(name, bytes(content))
    except ModelError:
        return
    p = student.model.predict(training_window(seed=2).image)
    assert p.shape == (5, 48, 48)
