"""The commands that documents tell a reader to type, found in their text."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("landcover", "make", "python", "python3", "dask")
"""Programs whose commands are taken, whatever folder they are called from."""

SHELLS = ("", "sh", "bash", "console", "shell")
"""Languages of code blocks that hold commands."""

ENDS = ("&", "&&", "||", "|", ";", ">", "2>", "done")
"""Words at which a command ends."""

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
IN_COMMENT = re.compile(rf"\b(?:{'|'.join(PROGRAMS)}) [\w-]+ .*")


class Documented(NamedTuple):
    """A command as it stands in a document.

    Attributes:
        where: File and line.
        program: One of ``PROGRAMS``.
        words: What follows it.
    """

    where: str
    program: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where} {self.program} {' '.join(self.words)}"


def in_markdown(path: Path, text: str | None = None) -> Iterator[Documented]:
    """Commands of a Markdown file's code blocks and code spans; several lines may be one span."""
    text = path.read_text(encoding="utf-8") if text is None else text
    for match in FENCED.finditer(text):
        if match[1] in SHELLS:
            at = text.count("\n", 0, match.start(2)) + 1
            yield from _in_lines(path, match[2], at)
    # Blanked, not cut out: lines keep their numbers, and spans do not run across a block.
    prose = FENCED.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    for match in INLINE.finditer(prose):
        if "\n\n" not in match[1]:
            line = prose.count("\n", 0, match.start()) + 1
            yield from _command(f"{path.name}:{line}", " ".join(match[1].split()), start=True)


def in_comments(path: Path) -> Iterator[Documented]:
    """Commands in the comments of a YAML file, in back quotes or to the end of the line."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        _, sign, comment = line.partition("#")
        spans = INLINE.findall(comment) if sign else []
        rest = IN_COMMENT.findall(INLINE.sub("", comment)) if sign else []
        for span in (*spans, *rest):
            yield from _command(f"{path.name}:{number}", span, start=True)


def in_text(where: str, text: str) -> Iterator[Documented]:
    """Commands in the back quotes of a help text or a message."""
    for span in INLINE.findall(text):
        yield from _command(where, " ".join(span.split()), start=True)


def in_messages(path: Path) -> Iterator[Documented]:
    """Commands in the back quotes of a Python file's texts; what is filled in becomes ``X``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pieces = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(getattr(value, "value", "X")) for value in node.values)
            text = re.sub(r"<ast\.[^>]*>", "X", text)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = "" if id(node) in pieces else node.value
        else:
            continue
        yield from in_text(f"{path.name}:{node.lineno}", text)


def _in_lines(path: Path, block: str, at: int) -> Iterator[Documented]:
    lines = block.splitlines()
    for number, line in enumerate(lines):
        continued = number > 0 and lines[number - 1].endswith("\\")
        if not continued:
            whole, last = line, number
            while whole.endswith("\\"):
                last += 1
                whole = whole[:-1] + lines[last]
            yield from _command(f"{path.name}:{at + number}", whole)


def _command(where: str, line: str, *, start: bool = False) -> Iterator[Documented]:
    """The command in a line of a shell; in a code span it stands at the start."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a single quote in prose
        return
    for number, word in enumerate(words):
        if word.rsplit("/", 1)[-1] in PROGRAMS:
            rest = words[number + 1 :]
            ends = [i for i, w in enumerate(rest) if w in ENDS]
            yield Documented(where, word.rsplit("/", 1)[-1], tuple(rest[: min(ends, default=None)]))
            return
        if start and "=" not in word:
            return
