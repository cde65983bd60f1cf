"""A disk that is nearly full is said on every page, with what takes the space."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from telltale.lib import disk

GIB = disk.GIB


@pytest.fixture
def usage(monkeypatch):
    """Sets what the machine says of its disk."""
    disk.forget()

    def be(total, free):
        told = SimpleNamespace(total=total, used=total - free, free=free)
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: told)
        disk.forget()

    yield be
    disk.forget()


@pytest.mark.parametrize(
    ("total", "free", "is_full"),
    [
        (100 * GIB, 6 * GIB, False),
        (100 * GIB, 2 * GIB, False),  # little of it, and enough for days
        (100 * GIB, GIB - 1, True),
        (10 * GIB, GIB - 1, False),
        (10 * GIB, GIB // 2, False),
        (10 * GIB, GIB // 2 - GIB // 10, True),
        (10 * GIB, 0, True),
    ],
)
def test_nearly_full_is_a_twentieth_and_a_gibibyte(usage, tmp_path, total, free, is_full):
    usage(total, free)

    assert (disk.nearly_full(tmp_path) is not None) is is_full


def test_the_note_says_what_takes_the_space(usage, tmp_path):
    (tmp_path / "postgres" / "base").mkdir(parents=True)
    (tmp_path / "postgres" / "pg_wal").mkdir()
    (tmp_path / "postgres" / "base" / "1").write_bytes(bytes(3 * disk.MIB))
    (tmp_path / "postgres" / "pg_wal" / "1").write_bytes(bytes(2 * disk.MIB))
    usage(10 * GIB, 12 * disk.MIB)

    found = disk.nearly_full(tmp_path)

    assert found.words == "12 MiB of 10.0 GiB are free"
    assert found.taken_by == "everything else on it 10.0 GiB, the database 3 MiB, its log of changes 2 MiB"


def test_a_home_that_is_not_there_says_nothing(tmp_path):
    disk.forget()

    assert disk.nearly_full(tmp_path / "none") is None
    disk.forget()


def test_pages_open_and_say_it(inside, usage):
    usage(10 * GIB, 0)
    full = inside.get("/p/shop/settings/").content.decode()
    usage(10 * GIB, 9 * GIB)
    roomy = inside.get("/p/shop/settings/").content.decode()

    assert "The disk is nearly full" in full
    assert "0 MiB of 10.0 GiB are free" in full
    assert "The disk is nearly full" not in roomy
