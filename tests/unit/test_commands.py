"""How the command line explains itself and answers odd words."""

import re

import pytest

from landcover_pnp.cli import main
from landcover_pnp.cli.main import COMMANDS
from landcover_pnp.config.schema import walk


@pytest.mark.parametrize("name", COMMANDS)
def test_help_speaks_of_options_as_a_user_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert COMMANDS[name].summary.split()[0] in said
    assert "<class" not in said
    assert not re.search(r"\(default: [^)]*\)\s+\(default:", said)
    has_options = len(re.findall(r"^  --(?!strict|json)", said, re.MULTILINE)) > 0
    assert has_options == ("[--KEY VALUE ...]" in said)
    assert said == said.rstrip() + "\n"
    assert [key.name for key in walk(COMMANDS[name].settings) if not key.meaning] == []


def test_an_optional_block_of_settings_is_explained_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["map", "--student.help"]) == 0
    said = capsys.readouterr().out
    assert "--student.forest.trees" in said
    assert "--seed" not in said
    assert main(["map", "--studnet.help"]) == 2
    assert "did you mean 'student'?" in capsys.readouterr().err
    assert main(["status", "--student.help"]) == 2
    assert "no block: there are none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["map", "city.yaml", "--run"], "option --run without a value"),
        (["zonal"], "no RUN"),
        (["zonal", "run"], "no ZONES"),
        (["compare"], "no RUN_A"),
        (["compare", "a", "--out", "b"], "no RUN_B, and no corrections in a"),
        (["status", "run", "--color", "no"], "unknown option --color"),
    ],
)
def test_missing_words_are_named(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"landcover {words[0]}: found: {says}" in capsys.readouterr().err
