"""Profiles: one word sets what is not given, and nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from settings_values import as_yaml, other_texts

from landcover_pnp.config import load_settings, plain
from landcover_pnp.config.schema import walk
from landcover_pnp.errors import SettingsError
from landcover_pnp.pipeline.profiles import DEFAULT_PROFILE, PROFILES
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.student.settings import StudentSettings

SCENE = {"scene.rasters.image": "a.tif", "scene.rasters.coarse": "b.tif"}
WORDS = [f"--{key}={text}" for key, text in SCENE.items()]
FILLED = [(word, name) for word, profile in PROFILES.items() for name in profile.values]


def loaded(file: Mapping[str, str], words: Mapping[str, str], folder: Path) -> MapSettings:
    """Settings of a file of some keys and a command line of others."""
    config = folder / "map.yaml"
    config.write_text(as_yaml(MapSettings, {**SCENE, **file}))
    return load_settings(MapSettings, config, [f"--{key}={text}" for key, text in words.items()])


def value(settings: MapSettings, name: str) -> object:
    """A value by its dotted key, as settings.json holds it."""
    found = plain(settings)
    for part in name.split("."):
        found = found[part]
    return found


def other_text(name: str, text: str) -> str:
    """Another value than a profile's; of a block, its defaults."""
    found = other_texts(MapSettings).get(name, "{}")
    return (
        found if found != text else json.dumps(value(load_settings(MapSettings, None, WORDS), name))
    )


def test_the_default_profile_is_that_of_the_classes(tmp_path: Path) -> None:
    scene = loaded({}, {}, tmp_path).scene
    assert loaded({}, {}, tmp_path) == MapSettings(scene)
    assert loaded({"profile": DEFAULT_PROFILE}, {}, tmp_path) == MapSettings(scene)


@pytest.mark.parametrize(("word", "name"), FILLED)
def test_a_profile_sets_what_is_not_given_and_what_is_given_wins(
    word: str, name: str, tmp_path: Path
) -> None:
    text = PROFILES[word].values[name]
    by_hand = value(loaded({}, {name: text}, tmp_path), name)
    assert by_hand != value(loaded({}, {}, tmp_path), name) or word == "paper"  # it may pin one
    for file, words in (({"profile": word}, {}), ({}, {"profile": word})):
        assert value(loaded(file, words, tmp_path), name) == by_hand
        other = other_text(name, text)
        for theirs in (({**file, name: other}, words), (file, {**words, name: other})):
            won = value(loaded(*theirs, tmp_path), name)
            assert won == value(loaded({}, {name: other}, tmp_path), name) != by_hand


def test_a_word_on_the_command_line_wins_over_that_in_the_file(tmp_path: Path) -> None:
    found = loaded({"profile": "paper"}, {"profile": "fast"}, tmp_path)
    assert found == loaded({"profile": "fast"}, {}, tmp_path)


def test_a_block_that_is_given_in_part_or_as_null_is_given(tmp_path: Path) -> None:
    words = {"profile": "fast", "student.model": "unet"}
    assert loaded({}, words, tmp_path).student == StudentSettings("unet")
    assert loaded({"student": "null"}, {}, tmp_path).student is None


@pytest.mark.parametrize("word", PROFILES)
def test_stored_settings_are_complete_whichever_profile_they_came_from(
    word: str, tmp_path: Path
) -> None:
    settings = loaded({"profile": word}, {}, tmp_path)
    stored = plain(settings)
    assert "profile" not in stored
    (tmp_path / "settings.json").write_text(json.dumps(stored))
    for other in PROFILES:
        words = [f"--profile={other}"]
        assert load_settings(MapSettings, tmp_path / "settings.json", words) == settings


@pytest.mark.parametrize(
    ("wrong", "near"), [("papr", "paper"), ("ballanced", "balanced"), ("FAST", "fast")]
)
def test_an_unknown_profile_is_answered_with_the_nearest(
    wrong: str, near: str, tmp_path: Path
) -> None:
    for file, words in (({"profile": wrong}, {}), ({}, {"profile": wrong})):
        with pytest.raises(SettingsError, match=f"profile is {wrong}") as error:
            loaded(file, words, tmp_path)
        assert f"did you mean '{near}'" in error.value.fix


def test_the_help_tells_what_each_profile_is() -> None:
    first = next(iter(walk(MapSettings)))
    assert first.name == "profile"
    assert all(f"{word}: {p.summary}" in first.meaning for word, p in PROFILES.items())
