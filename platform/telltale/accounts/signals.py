"""Sign-ins and their like, written to the audit log; sessions ended where a password changed."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth import signals as auth
from django.dispatch import receiver
from django.http import HttpRequest

from telltale.accounts import sessions
from telltale.accounts.models import User
from telltale.audit.log import record


@receiver(auth.user_logged_in)
def on_login(request: HttpRequest, user: User, **_: Any) -> None:
    """A session's clocks start, and the audit log says who came."""
    sessions.begin(request.session)
    by = getattr(request, "signed_in_by", None)
    record("login", request=request, actor=user.email, target=user.email, after={"by": by} if by else None)


@receiver(auth.user_login_failed)
def on_login_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """The name of an account that exists; anything else typed there may be somebody's password."""
    email = str(credentials.get("email", "")).strip().lower()
    known = User.objects.filter(email=email).exists()
    record("login", request=request, actor=email if known else "unknown", outcome="refused")


@receiver(auth.user_logged_out)
def on_logout(request: HttpRequest, user: User | None, **_: Any) -> None:
    """Whoever was signed in has left."""
    if user is not None:
        record("logout", request=request, actor=user.email, target=user.email)


@receiver(account.password_changed)
def on_password_changed(request: HttpRequest, user: User, **_: Any) -> None:
    """A changed password ends the other sessions and lifts the duty to change it."""
    _after_new_password(request, user, "password.change")


@receiver(account.password_reset)
def on_password_reset(request: HttpRequest, user: User, **_: Any) -> None:
    """As a change; nobody is signed in, so every session ends."""
    _after_new_password(request, user, "password.reset")


def _after_new_password(request: HttpRequest, user: User, action: str) -> None:
    User.objects.filter(pk=user.pk).update(must_change_password=False)
    user.must_change_password = False
    is_own = request.user.is_authenticated and request.user.pk == user.pk
    ended = sessions.end_others(user, request.session.session_key if is_own else None)
    record(action, request=request, actor=user.email, target=user.email, after={"sessions_ended": ended})


@receiver(account.authentication_step_completed)
def on_confirmed(request: HttpRequest, user: User, reauthenticated: bool = False, **_: Any) -> None:
    """Who said their password or code once more, in a session, goes on under a new id."""
    if reauthenticated:
        sessions.cycle(request.session)


@receiver(mfa.authenticator_added)
def on_factor_added(request: HttpRequest, user: User, authenticator: Any, **_: Any) -> None:
    """A second factor is there now."""
    _after_factor(request, user, "factor.add", authenticator)


@receiver(mfa.authenticator_removed)
def on_factor_removed(request: HttpRequest, user: User, authenticator: Any, **_: Any) -> None:
    """A second factor is gone."""
    _after_factor(request, user, "factor.remove", authenticator)


@receiver(mfa.authenticator_reset)
def on_factor_reset(request: HttpRequest, user: User, authenticator: Any, **_: Any) -> None:
    """Recovery codes were made anew."""
    _after_factor(request, user, "factor.reset", authenticator)


def _after_factor(request: HttpRequest, user: User, action: str, authenticator: Any) -> None:
    """This session gets a new id, and every other one ends: what they were opened with holds no more."""
    sessions.cycle(request.session)
    ended = sessions.end_others(user, request.session.session_key)
    after = {"sessions_ended": ended}
    record(action, request=request, actor=user.email, target=str(authenticator.type), after=after)
