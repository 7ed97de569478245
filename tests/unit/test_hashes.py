"""Remembered hashes: those of the bytes, whatever was done to the file in between."""

import os
from pathlib import Path

import pytest

from landcover_pnp.storage import hashes
from landcover_pnp.storage.hashes import HashBook
from landcover_pnp.storage.records import file_hash


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read in full."""
    files: list[Path] = []
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
        assert asked(tmp_path / "book.json", file) == [file_hash(file)]
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


def asked(book: Path, *files: Path) -> list[str]:
    kept = HashBook(book)
    found = [kept.file_hash(file) for file in files]
    kept.save()
    return found


def test_a_file_just_written_is_read_when_a_change_would_be_seen(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(hashes, "STEP_S", 60.0)
    monkeypatch.setattr(hashes.time, "sleep", slept.append)
    file = written(tmp_path / "image", "before")
    assert asked(tmp_path / "book.json", file) == asked(tmp_path / "book.json", file)
    assert read == [file]
    assert len(slept) == 1
    assert 0 < slept[0] <= 60


def test_a_file_on_another_clock_is_read_again(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes.time, "time", lambda: 0.0)
    file = written(tmp_path / "image", "before")
    for _ in range(2):
        asked(tmp_path / "book.json", file)
    assert len(read) == 2


def test_a_book_that_says_all_is_not_written_again(tmp_path: Path) -> None:
    book = tmp_path / "book.json"
    files = [written(tmp_path / name, name) for name in ("b", "a", "c")]
    asked(book, *files)
    before = book.stat().st_mtime_ns, book.read_bytes()
    asked(book, *files[::-1])
    assert (book.stat().st_mtime_ns, book.read_bytes()) == before
    asked(book, *files[:2])
    assert str(files[2]) not in book.read_text()


@pytest.mark.parametrize("damaged", ["", "{", "[1]", "null", '{"image": 3}'])
def test_a_damaged_book_is_begun_anew(damaged: str, tmp_path: Path, read: list[Path]) -> None:
    file = written(tmp_path / "image", "before")
    book = written(tmp_path / "book.json", damaged.replace("image", str(file)))
    for _ in range(2):
        assert asked(book, file) == [file_hash(file)]
    assert len(read) == 1


def test_a_device_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(OSError, match="no regular file"):
            HashBook(tmp_path / "book.json").file_hash(tmp_path / name)
