"""Large bodies wait on disk: little memory while they come, the same bytes after, and a full disk told apart."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from traces.ingest import spool
from traces.ingest.spool import NoRoom, Spool


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> list[int]:
    """Bytes of memory taken, one number a call; a small limit, and a home to write in."""
    settings.TELLTALE_HOME = tmp_path
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(spool, "MEMORY_BYTES", 10)
    monkeypatch.setattr(spool, "READ_BYTES", 4)
    return []


def test_a_small_body_stays_in_memory_and_comes_back_in_one_piece(held: list[int]) -> None:
    taken = Spool(held.append)

    taken.write(b"hello ")
    taken.write(b"you")

    assert list(taken.pieces()) == [b"hello you"]
    assert (taken.is_large, taken.size, sum(held)) == (False, 9, 9)


def test_a_large_body_goes_to_disk_and_takes_no_memory(held: list[int], tmp_path: Path) -> None:
    taken = Spool(held.append)

    for _ in range(5):
        taken.write(b"abcde")

    assert taken.is_large
    assert sum(held) == 0
    assert b"".join(taken.pieces()) == b"abcde" * 5
    assert max(map(len, taken.pieces())) == 4
    assert list((tmp_path / "run").iterdir()) == []  # no name: nothing is left, however the process ends
    taken.close()


def test_without_a_home_to_write_in_the_systems_place_serves(held: list[int], tmp_path: Path) -> None:
    (tmp_path / "run").rmdir()
    taken = Spool(held.append)

    taken.write(b"x" * 100)

    assert b"".join(taken.pieces()) == b"x" * 100
    taken.close()


def test_a_full_disk_is_told_apart_from_a_broken_connection(held: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", full)

    with pytest.raises(NoRoom):
        Spool(held.append).write(b"x" * 100)
