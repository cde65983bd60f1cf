"""The dead man's switch: an address outside that is asked every so often, while monitors are evaluated.

When the asking stops, whoever is at the other end tells people: it sees what this product cannot, its own end.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from alerts.delivering import PURPOSE
from alerts.models import EngineState, NoticeSettings
from alerts.notices.answers import read_answer
from telltale.lib import clock, egress, vault

# Rounds end every few seconds; after so long without one nobody says that all is well.
FRESH = timedelta(seconds=60)
LIMITS = egress.Limits(connect_seconds=5, read_seconds=8, total_seconds=10, answer_bytes=4 * 1024)
AT_A_TIME = 20
_pinging = threading.Lock()


def ping_due(*, beside: bool = True) -> int:
    """Ask the addresses that are due, in a thread beside the caller unless told otherwise; how many."""
    now = clock.now()
    if not NoticeSettings.objects.exclude(alive_url="").filter(_due(now)).exists():
        return 0
    if not EngineState.objects.filter(round_at__gt=now - FRESH).exists():
        return 0
    if not beside:
        due = _claim(now)
        _ask(due)
        return len(due)
    # What is claimed has to be asked: while a thread still asks, nothing is.
    if not _pinging.acquire(blocking=False):
        return 0
    try:
        due = _claim(now)
        if due:
            threading.Thread(target=_ask_beside, args=(due,), name="ping", daemon=True).start()
    except BaseException:
        _pinging.release()
        raise
    if not due:
        _pinging.release()
    return len(due)


def _due(now: datetime) -> Q:
    return Q(alive_due_at=None) | Q(alive_due_at__lte=now)


def _claim(now: datetime) -> list[NoticeSettings]:
    """Addresses that are due, the next time written down before they are asked."""
    with transaction.atomic():
        rows = NoticeSettings.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        due = list(rows.exclude(alive_url="").filter(_due(now))[:AT_A_TIME])
        for row in due:
            following = now + timedelta(seconds=row.alive_seconds)
            NoticeSettings.objects.filter(pk=row.pk).update(alive_due_at=following)
    return due


def _ask_beside(due: list[NoticeSettings]) -> None:
    try:
        _ask(due)
    finally:
        connection.close()
        _pinging.release()


def _ask(due: list[NoticeSettings]) -> None:
    for row in due:
        error = ping(row.alive_url)
        found = {"alive_error": error} if error else {"alive_error": "", "alive_at": clock.now()}
        NoticeSettings.objects.filter(pk=row.pk, alive_url=row.alive_url).update(**found)


def ping(sealed: str) -> str:
    """Ask one address; what was wrong, "" where it answered with success."""
    try:
        url = vault.unseal(PURPOSE, sealed)
        answer = egress.request("GET", url, limits=LIMITS)
    except vault.Sealed:
        return "The address cannot be opened: the installation’s key changed. Enter it again."
    except egress.EgressError as error:
        return str(error)[:300]
    outcome = read_answer(answer.status, answer.headers, clock.now())
    return "" if outcome.is_delivered else outcome.words[:300]
