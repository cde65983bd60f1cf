"""How often one may try: at most `LIMIT` tries in `WINDOW`, per account and per address.

Counted in the database, so that every process counts the same and a restart forgets nothing. A try is written before
it is judged, so that many at once cannot slip through together; a refused one is taken back, so that nobody can keep
an account shut by hammering on it. A browser that has signed in to the account before has a count of its own: somebody
else's guesses never lock the owner out.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from telltale.accounts.models import LoginAttempt, User
from telltale.lib import clock

LIMIT = 10
WINDOW = timedelta(minutes=15)
KNOWN_BROWSER_AGE = 180 * 24 * 3600
_SALT = "telltale.known-browser"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that may go on; `subjects` are the hashed counts it was written to, the account's first."""

    ids: tuple[int, ...]
    subjects: tuple[str, ...]


def begin(*subjects: str, limit: int = LIMIT) -> Attempt | None:
    """Write a try against each of `subjects`; None where one of them has had its share, and nothing is written."""
    now = clock.now()
    LoginAttempt.objects.filter(at__lte=now - WINDOW).delete()
    hashed = tuple(_hashed(subject) for subject in subjects)
    rows = LoginAttempt.objects.bulk_create([LoginAttempt(subject=subject, at=now) for subject in hashed])
    attempt = Attempt(tuple(row.pk for row in rows), hashed)
    since = now - WINDOW
    if any(LoginAttempt.objects.filter(subject=subject, at__gt=since).count() > limit for subject in hashed):
        LoginAttempt.objects.filter(pk__in=attempt.ids).delete()
        return None
    return attempt


def is_first_use(subject: str) -> bool:
    """Whether `subject`, a code that works once, is used for the first time within `WINDOW`, whichever process asks."""
    return begin(f"used:{subject}", limit=1) is not None


def forgive(attempt: Attempt) -> None:
    """A try that succeeded does not count, and clears the account's count; the address keeps its other failures."""
    LoginAttempt.objects.filter(pk__in=attempt.ids).delete()
    LoginAttempt.objects.filter(subject=attempt.subjects[0]).delete()


def login_subjects(request: HttpRequest, email: str) -> tuple[str, ...]:
    """What a try to sign in as `email` counts against: account and address, or the known browser alone."""
    known = _known_browser(request, email)
    return (known,) if known else (f"account:{email.strip().lower()}", address_subject(request))


def address_subject(request: HttpRequest) -> str:
    """The count of the request's address; an IPv6 network of 64 bits is one address."""
    text = request.META.get("REMOTE_ADDR") or "none"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return f"address:{text}"
    if isinstance(address, ipaddress.IPv6Address):
        return f"address:{ipaddress.ip_network((address, 64), strict=False)}"
    return f"address:{address}"


def known_browser_cookie() -> str:
    """The name of the cookie that marks a browser which has signed in before."""
    return f"{settings.COOKIE_PREFIX}telltale_known"


def remember_browser(response: HttpResponse, user: User) -> None:
    """Mark the browser as one that has signed in as `user`; it opens nothing, it only counts apart."""
    value = signing.dumps({"user": user.pk, "id": secrets.token_hex(16)}, salt=_SALT)
    response.set_cookie(
        known_browser_cookie(),
        value,
        max_age=KNOWN_BROWSER_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _known_browser(request: HttpRequest, email: str) -> str:
    cookie = request.COOKIES.get(known_browser_cookie(), "")
    if not cookie:
        return ""
    try:
        known = signing.loads(cookie, salt=_SALT, max_age=KNOWN_BROWSER_AGE)
    except signing.BadSignature:
        return ""
    is_theirs = User.objects.filter(pk=known["user"], email=email.strip().lower()).exists()
    return f"browser:{known['user']}:{known['id']}" if is_theirs else ""


def _hashed(subject: str) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), subject.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
