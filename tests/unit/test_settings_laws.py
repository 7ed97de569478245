"""A setting is the same wherever it is given, and wrong ones are blamed where they stand."""

import random
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from settings_values import as_yaml, other_texts

from landcover_pnp.cli.main import COMMANDS
from landcover_pnp.config import load_settings
from landcover_pnp.config.schema import in_words, is_list, leaves, walk
from landcover_pnp.errors import SettingsError

SCHEMAS = [s for s in dict.fromkeys(c.settings for c in COMMANDS.values()) if fields(s)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
@pytest.mark.parametrize("seed", range(1))
def test_every_key_is_the_same_in_the_file_and_on_the_command_line(
    schema: type[Any], seed: int
) -> None:
    texts = dict(other_texts(schema))
    words = [f"--{name}={text}" for name, text in texts.items()]
    random.Random(seed).shuffle(words)
    Path("all.yaml").write_text(as_yaml(schema, texts))
    by_options = load_settings(schema, None, words)
    assert load_settings(schema, Path("all.yaml")) == by_options
    some = dict(random.Random(seed).sample(sorted(texts.items()), len(texts) // 2))
    rest = [word for word in words if word[2:].partition("=")[0] not in some]
    Path("some.yaml").write_text(as_yaml(schema, some) or "{}")
    assert load_settings(schema, Path("some.yaml"), rest) == by_options


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_a_value_of_the_wrong_type_is_named_with_its_key_and_place(schema: type[Any]) -> None:
    keys = [k for k in walk(schema) if k.block is None and str not in leaves(k.kind)]
    keys = [k for k in keys if Path not in leaves(k.kind) or is_list(k.kind)]
    for number, key in enumerate(keys):
        *above, last = key.name.split(".")
        text = "".join(f"{'  ' * i}{name}:\n" for i, name in enumerate(above))
        Path("c.yaml").write_text(f"# a comment\n{text}{'  ' * len(above)}{last}: no such\n")
        place = f"c.yaml:{len(above) + 2}"
        ways = [(place, Path("c.yaml"), [])]
        if number % 9 == 0:  # each takes a parser of all options
            ways.append(("command line", None, [f"--{key.name}", "no such"]))
        for where, config, words in ways:
            with pytest.raises(SettingsError) as refused:
                load_settings(schema, config, words)
            assert refused.value.found == f"{key.name} is no such ({where})"
            assert refused.value.expected == in_words(key.kind)
            assert refused.value.fix
