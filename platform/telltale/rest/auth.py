"""Who asks: a key in the headers, or else the browser's session with its CSRF token."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from telltale.accounts import sessions
from telltale.accounts.models import User
from telltale.projects.keys import KeyHolder, find_holder, secret_from_headers

CHALLENGE = 'Bearer realm="telltale"'
KEY_HEADERS = ("HTTP_HELICONE_AUTH", "HTTP_X_API_KEY", "HTTP_AUTHORIZATION")


@dataclass(frozen=True, slots=True)
class KeyUser:
    """A key where DRF wants a user. It is nobody in the sense of people's permissions."""

    holder: KeyHolder
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False
    pk: None = None

    @property
    def email(self) -> str:
        """What the audit log calls it."""
        return f"key {self.holder.key_id}"


class KeyAuthentication(BaseAuthentication):
    """A key in any form that some SDK sends (docs/api-keys.md). A header without a good key is refused at once."""

    def authenticate(self, request: Request) -> tuple[KeyUser, KeyHolder] | None:
        if not any(request.META.get(name) for name in KEY_HEADERS):
            return None
        holder = find_holder(secret_from_headers(request._request))
        if holder is None:
            raise AuthenticationFailed("The key is unknown or revoked.")
        return KeyUser(holder), holder

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class BrowserAuthentication(SessionAuthentication):
    """The session of a signed-in person, for our own pages. Machine paths skip the middleware: it is read here."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        http: HttpRequest = request._request
        cookie = http.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if not cookie:
            return None
        if not hasattr(http, "session"):
            http.session = import_module(settings.SESSION_ENGINE).SessionStore(cookie)
        user = get_user(http)
        if not isinstance(user, User) or not user.is_active or user.must_change_password:
            return None
        if sessions.is_over(http.session):
            return None
        self.enforce_csrf(request)
        return user, None
