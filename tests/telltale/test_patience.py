"""A database that hangs: what waits for it gives up in time, and nobody meets the connection again."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import Client

from telltale.lib.patience import PatientConnection, answer_within
from telltale.web import health

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def line() -> Any:
    """A connection of its own, as the pool makes them."""
    options = connection.settings_dict
    with PatientConnection.connect(
        dbname=options["NAME"], user=options["USER"], host=options["HOST"], port=options["PORT"], autocommit=True,
        password=options["PASSWORD"] or None,
    ) as opened:  # fmt: skip
        yield opened


def test_an_answer_that_does_not_come_in_time_is_an_error_and_the_end_of_the_connection(line: Any) -> None:
    started = time.monotonic()

    with pytest.raises(psycopg.OperationalError, match="in time"), answer_within(0.2):
        line.execute("SELECT pg_sleep(5)")

    assert time.monotonic() - started < 2
    assert line.closed


def test_the_time_is_for_all_statements_together(line: Any) -> None:
    with answer_within(0.3):
        line.execute("SELECT pg_sleep(0.2)")
        with pytest.raises(psycopg.OperationalError, match="in time"):
            line.execute("SELECT pg_sleep(0.2)")


def test_what_comes_in_time_is_not_touched(line: Any) -> None:
    with answer_within(0.05), answer_within(5):
        line.execute("SELECT pg_sleep(0.1)")
    line.execute("SELECT pg_sleep(0.1)")

    assert not line.closed


def test_django_hands_out_patient_connections_and_replaces_a_lost_one() -> None:
    with pytest.raises(OperationalError), answer_within(0.2):
        _sleep()
    connection.close()

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert isinstance(connection.connection, PatientConnection)


def test_readyz_says_so_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(health, "read_queues", lambda now: _sleep())

    answer = Client().get("/readyz")

    assert answer.status_code == 503
    connection.close()


def _sleep() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    return []
