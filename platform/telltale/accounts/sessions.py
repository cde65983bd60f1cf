"""How long a session lives: from signing in, and from the last request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.base import SessionBase

from telltale.accounts.models import User
from telltale.lib import clock

# Kept signed in for 14 days, where the person asked for it; else a working day, and two hours without a request.
ABSOLUTE = {True: timedelta(days=14), False: timedelta(hours=12)}
IDLE = {True: timedelta(days=7), False: timedelta(hours=2)}
# Last use is written this often, so that a page costs no write.
TOUCH_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Left:
    """What a session has left: without a request of a person, and in all."""

    idle_seconds: int
    seconds: int


def begin(session: SessionBase) -> None:
    """Start both clocks of a session that has just been signed in to."""
    now = clock.now().isoformat()
    session["began_at"] = now
    session["seen_at"] = now


def is_over(session: SessionBase) -> bool:
    """Whether one of its clocks has run out; a session without clocks gets them."""
    if "began_at" not in session:
        begin(session)
        return False
    now = clock.now()
    is_kept = not session.get_expire_at_browser_close()
    return now - _at(session, "began_at") > ABSOLUTE[is_kept] or now - _at(session, "seen_at") > IDLE[is_kept]


def left(session: SessionBase) -> Left | None:
    """How long the session lives from this request on; None for one without clocks."""
    if "began_at" not in session:
        return None
    is_kept = not session.get_expire_at_browser_close()
    ends_at = _at(session, "began_at") + ABSOLUTE[is_kept]
    seconds = int((ends_at - clock.now()).total_seconds())
    return Left(int(IDLE[is_kept].total_seconds()), max(seconds, 0))


def touch(session: SessionBase) -> None:
    """Note that the session was used, at most every `TOUCH_EVERY`."""
    now = clock.now()
    if now - _at(session, "seen_at") < TOUCH_EVERY:
        return
    session["seen_at"] = now.isoformat()
    UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=now)


def cycle(session: SessionBase) -> None:
    """Give the session a new id and keep what is in it; the old id opens nothing from then on."""
    before = session.session_key
    session.cycle_key()
    UserSession.objects.filter(session_key=before).update(session_key=session.session_key)


def end_others(user: User, but: str | None) -> int:
    """End every session of `user` on the server, except the one keyed `but`; how many there were."""
    ended = 0
    for held in UserSession.objects.filter(user=user).exclude(session_key=but or ""):
        held.end()
        ended += 1
    return ended


def _at(session: SessionBase, name: str) -> datetime:
    return datetime.fromisoformat(session[name])
