"""Remembered hashes: those of the bytes, whatever was done to the file in between."""

import os
from pathlib import Path

import pytest

from landcover_pnp.storage import hashes
from landcover_pnp.storage.hashes import HashBook
from landcover_pnp.storage.records import file_hash


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read in full; any age of a file will do to keep its hash."""
    files: list[Path] = []
    monkeypatch.setattr(hashes, "SETTLED_S", -1.0)
    monkeypatch.setattr(hashes, "file_hash", lambda file: files.append(file) or file_hash(file))
    return files


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_is_read_once_and_its_hash_outlives_the_process(
    tmp_path: Path, read: list[Path]
) -> None:
    file = written(tmp_path / "image", "before")
    for _ in range(3):
        assert HashBook(tmp_path / "book.json").file_hash(file) == file_hash(file)
    assert read == [file]


def other_text(file: Path) -> None:
    written(file, "after!")


def other_text_and_its_time_set_back(file: Path) -> None:
    time = file.stat().st_mtime_ns
    other_text(file)
    os.utime(file, ns=(time, time))
    assert file.stat().st_mtime_ns == time


def other_file_moved_over_it(file: Path) -> None:
    status = file.stat()
    other = written(file.with_name("other"), "after!")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


@pytest.mark.parametrize(
    "change", [other_text, other_text_and_its_time_set_back, other_file_moved_over_it]
)
def test_a_changed_file_of_the_same_size_is_read_again(
    change, tmp_path: Path, read: list[Path]
) -> None:
    file = written(tmp_path / "image", "before")
    book = HashBook(tmp_path / "book.json")
    first, size = book.file_hash(file), file.stat().st_size
    change(file)
    assert file.stat().st_size == size
    assert book.file_hash(file) == file_hash(file) != first
    assert len(read) == 2


def test_the_hash_of_a_file_just_written_is_not_kept(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "SETTLED_S", 60.0)
    file = written(tmp_path / "image", "before")
    for _ in range(2):
        HashBook(tmp_path / "book.json").file_hash(file)
    assert len(read) == 2


@pytest.mark.parametrize("damaged", ["", "{", "[1]", "null", '{"image": 3}'])
def test_a_damaged_book_is_begun_anew(damaged: str, tmp_path: Path, read: list[Path]) -> None:
    file = written(tmp_path / "image", "before")
    book = written(tmp_path / "book.json", damaged.replace("image", str(file)))
    for _ in range(2):
        assert HashBook(book).file_hash(file) == file_hash(file)
    assert len(read) == 1
