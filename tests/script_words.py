"""The command line of a script, read without doing its work."""

import ast
import inspect
import runpy
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch


def call_main(script: Path, words: list[str]) -> None:
    """Runs what a script does under its own name, with ``main`` in name only.

    Args:
        script: A script with ``main`` and a block ``if __name__ == "__main__"``.
        words: Its words.

    Raises:
        AssertionError: If it ends with an exit code, or ``main`` does not take what it is given.
    """
    with patch.object(sys, "path", [str(script.parent), *sys.path]):
        names = runpy.run_path(str(script), run_name=f"words_of_{script.stem}")
    signature = inspect.signature(names["main"])

    def named(*args: Any, **options: Any) -> int:
        signature.bind(*args, **options)
        return 0

    tree = ast.parse(script.read_text(encoding="utf-8"))
    [block] = [n for n in tree.body if isinstance(n, ast.If) and "__main__" in ast.unparse(n.test)]
    program = compile(ast.Module(block.body, []), str(script), "exec")
    try:
        with patch.object(sys, "argv", [str(script), *words]):
            exec(program, {**names, "main": named})  # noqa: S102
    except SystemExit as end:
        assert not end.code, f"{script.name} {' '.join(words)} ends with {end.code}"
