"""The wrong changes of `make mutants` still fit the code."""

import ast
from pathlib import Path

import pytest
from mutants import PACKAGE, ROOT, Mutant, mutants

MUTANTS = mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_change_is_one_and_can_be_run(mutant: Mutant) -> None:
    text = (ROOT / PACKAGE / mutant.file).read_text(encoding="utf-8")
    changed = mutant.applied(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    for test in mutant.tests:
        file, _, function = test.partition("::")
        assert f"def {function}" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_every_folder_is_reached() -> None:
    folders = {
        path.parent.relative_to(ROOT / PACKAGE)
        for path in (ROOT / PACKAGE).glob("*/*.py")
        if path.name != "__init__.py"
    }
    reached = {parent for mutant in MUTANTS for parent in Path(mutant.file).parents}
    assert folders <= reached
    assert len(MUTANTS) >= 40
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_few_survive_and_each_has_a_reason() -> None:
    assert sum(bool(mutant.reason) for mutant in MUTANTS) <= 2
