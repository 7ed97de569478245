"""Words of the command line in any order, with any slip of the finger, in text and as JSON."""

import contextlib
import dataclasses
import difflib
import io
import json
import os
import re
import string
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from settings_values import as_yaml, other_texts

from landcover_pnp.cli import main
from landcover_pnp.cli.main import COMMANDS
from landcover_pnp.cli.program import FLAGS, Program
from landcover_pnp.config.schema import walk
from landcover_pnp.errors import LandcoverWarning

NAMES = sorted(set(COMMANDS) - {"completion"})
CONFIG = "landcover.test.yaml"


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder with a configuration for every command, which all examples read."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("here"))
    for name, command in COMMANDS.items():
        if command.config:
            folder = Path(name)
            folder.mkdir()
            text = as_yaml(command.settings, other_texts(command.settings))
            (folder / "settings.json").write_text(text)  # of a run, for `resume`
    yield
    os.chdir(before)


def arguments(name: str) -> list[str]:
    """Arguments that a command takes."""
    command = COMMANDS[name]
    if command.config and "CONFIG" in command.arguments:
        return [f"{name}/settings.json"]
    given = [f"{name}" for _ in command.arguments]
    return given + ["another"] * any(" " in argument for argument in command.arguments)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """A command and its words, each option with its value; in any order."""
    name = draw(st.sampled_from(NAMES))
    texts = other_texts(COMMANDS[name].settings) if fields(name) else {}
    chosen = draw(st.sets(st.sampled_from(sorted(texts)), max_size=4)) if texts else set()
    needed = {k.name for k in walk(COMMANDS[name].settings) if k.default is dataclasses.MISSING}
    parts = [[word] for word in arguments(name)]
    for key in sorted(chosen | needed & set(texts)):
        together = draw(st.booleans())
        parts.append([f"--{key}={texts[key]}"] if together else [f"--{key}", texts[key]])
    parts += [[flag] for flag in draw(st.sets(st.sampled_from(sorted(FLAGS))))]
    return name, parts


def fields(name: str) -> bool:
    return bool(dataclasses.fields(COMMANDS[name].settings))


def understood(name: str, words: list[str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LandcoverWarning)
        request = Program(COMMANDS, {name}).understood(words)
    return request._replace(strict=False)


def said(words: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()


def flat(parts: list[list[str]]) -> list[str]:
    return [word for part in parts for word in part]


@settings(max_examples=25, deadline=None)
@given(requests(), st.data())
def test_words_may_stand_in_any_order(
    request: tuple[str, list[list[str]]], data: st.DataObject
) -> None:
    name, parts = request
    paths = [part for part in parts if part[0] in arguments(name)]
    others = [part for part in parts if part not in paths]
    mixed = data.draw(st.permutations(others))
    for number, path in enumerate(paths):  # among each other they keep their order
        mixed.insert(data.draw(st.integers(number, len(mixed))) if number else 0, path)
    mixed.sort(key=lambda part: part[0] not in FLAGS or data.draw(st.booleans()))
    before = [part for part in mixed if part[0] in FLAGS and data.draw(st.booleans())]
    behind = [part for part in mixed if part not in before]
    expected = understood(name, [name, *flat(paths), *flat(others)])
    assert understood(name, [*flat(before), name, *flat(behind)]) == expected


def slipped(draw: st.DrawFn, word: str) -> str:
    """A word with one letter gone, doubled, changed, added or exchanged with the next."""
    at = draw(st.integers(0, len(word) - 1))
    letter = draw(st.sampled_from(string.ascii_lowercase))
    return draw(
        st.sampled_from(
            [
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + letter + word[at + 1 :],
                word[:at] + letter + word[at:],
                word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
            ]
        )
    )


def require_nearest(wrong: str, right: str, error: str) -> None:
    """The message names a known word that is no further from the wrong one than the right one."""
    named = re.search(r"did you mean '([^']+)'\?", error)
    assert named, error
    near, meant = (difflib.SequenceMatcher(None, wrong, w).ratio() for w in (named[1], right))
    assert near >= meant - 1e-9, error


@settings(max_examples=30, deadline=None)
@given(requests(), st.data())
def test_a_slip_in_a_word_is_answered_with_the_nearest(
    request: tuple[str, list[list[str]]], data: st.DataObject
) -> None:
    name, parts = request
    options = [i for i, part in enumerate(parts) if part[0].startswith("--")]
    at = data.draw(st.sampled_from([None, *options]))
    known = {key.name for key in walk(COMMANDS[name].settings)} | {"json", "strict", "help"}
    known |= set(COMMANDS[name].options)
    if at is None:
        wrong, right = data.draw(st.composite(slipped)(name)), name
        assume(wrong not in COMMANDS and wrong and not wrong.startswith("-"))
        words = [wrong, *flat(parts)]
    else:
        right, equals, value = parts[at][0].removeprefix("--").partition("=")
        wrong = data.draw(st.composite(slipped)(right))
        assume(wrong not in known and wrong)
        words = [name, *flat([*parts[:at], [f"--{wrong}{equals}{value}", *parts[at][1:]]])]
        words += flat(parts[at + 1 :])
    assume("--strict" not in words)
    code, out, err = said(words)
    assert code == 2, err
    assert "Traceback" not in err
    assert err.count("found:") == 1
    require_nearest(wrong, right, err)
    if "--json" in words:
        answer = json.loads(out)
        assert answer["exit_code"] == 2
        assert answer["fix"] in err
    else:
        assert not out


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([n for n in NAMES if COMMANDS[n].config]), st.data())
def test_a_slip_in_a_key_of_the_file_is_blamed_on_its_line(name: str, data: st.DataObject) -> None:
    schema = COMMANDS[name].settings
    known = {key.name for key in walk(schema)}
    right = data.draw(st.sampled_from(sorted(k for k in known if "." not in k)))
    wrong = data.draw(st.composite(slipped)(right))
    assume(wrong not in known and re.fullmatch(r"[a-z_]\w*", wrong))
    assume(wrong not in ("y", "n", "on", "no", "yes", "true", "null"))
    folder = Path("slips")
    folder.mkdir(exist_ok=True)
    lines = as_yaml(schema, other_texts(schema)).splitlines()
    lines = [line for line in lines if not line.startswith(f"{right}:")]
    at = data.draw(st.integers(0, len(lines)))
    lines.insert(at, f"{wrong}: 1")
    (folder / "settings.json").write_text("\n".join(lines))
    target = folder if name == "resume" else folder / "settings.json"
    code, _, err = said([name, str(target)])
    assert code == 2
    assert f"unknown key {wrong!r} in slips/settings.json:{at + 1}\n" in err
    require_nearest(wrong, right, err)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=6))
def test_no_words_at_all_show_a_traceback(words: list[str]) -> None:
    assume(not {"-h", "--help", "--version"} & set(words))
    assume(not set(words) & set(COMMANDS))
    code, _, err = said(words or ["nothing"])
    assert code == 2
    assert "Traceback" not in err


@dataclass(frozen=True)
class Answer:
    """What a command found.

    Attributes:
        folder: A path.
        shares: Numbers, one of them none.
        exit_code: As the command's.
    """

    folder: Path
    shares: tuple[float, ...]
    exit_code: int

    @property
    def total(self) -> float:
        """Something that follows."""
        return 1.5


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("code", [0, 1, 3])
def test_every_command_answers_with_one_json_object(
    name: str, code: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def noisy(_: Any) -> Answer:
        print("progress")  # noqa: T201
        os.write(1, b"from a library in C\n")
        return Answer(Path("some/folder"), (0.25, float("nan")), code)

    command = dataclasses.replace(COMMANDS[name], run=noisy)
    monkeypatch.setitem(COMMANDS, name, command)
    texts = other_texts(command.settings) if fields(name) else {}
    needed = [k.name for k in walk(command.settings) if k.default is dataclasses.MISSING]
    words = [f"--{key}={texts[key]}" for key in needed if key in texts]
    given = ["bash"] if name == "completion" else arguments(name)
    assert main([name, *given, *words, "--json"]) == code
    out, err = capfd.readouterr()
    assert json.loads(out) == {
        "command": name,
        "exit_code": code,
        "folder": "some/folder",
        "shares": [0.25, None],
        "total": 1.5,
    }
    assert "progress" in err
    assert "from a library in C" in err


def test_a_bug_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(COMMANDS, "status", dataclasses.replace(COMMANDS["status"], run=broken))
    with pytest.raises(ZeroDivisionError):
        main(["status", "run", "--json"])


@pytest.mark.parametrize(
    ("error", "code", "fields"),
    [
        (KeyboardInterrupt(), 130, {"error": "StoppedError"}),
        (LandcoverWarning("odd"), 2, {"error": "SettingsError", "expected": "no warning"}),
        (PermissionError(13, "Permission denied", "x"), 1, {"found": "Permission denied: x"}),
    ],
)
def test_every_end_is_an_answer(
    error: BaseException,
    code: int,
    fields: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ends(_: Any) -> None:
        raise error

    monkeypatch.setitem(COMMANDS, "status", dataclasses.replace(COMMANDS["status"], run=ends))
    assert main(["status", "run", "--json"]) == code
    out, err = capfd.readouterr()
    answer = json.loads(out)
    assert answer.keys() == {"command", "exit_code", "error", "found", "expected", "fix"}
    assert answer["exit_code"] == code
    assert fields.items() <= answer.items()
    assert answer["found"] in err
