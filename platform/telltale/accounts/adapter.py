"""How the login library behaves here: closed sign-up, counted tries, own paths only, links on our public address."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from telltale.accounts import throttle
from telltale.accounts.models import User
from telltale.audit.log import record
from telltale.lib import vault

WRONG = "The e-mail address or the password is not right."
WRONG_CODE = "The code is not right. Take the newest six digits of the app; it needs the right time on its phone."
TOO_MANY = "Too many tries. Wait 15 minutes, or reset your password."


def oidc_only() -> bool:
    """Whether everybody signs in at the provider that the operator named."""
    return bool(settings.TELLTALE_OIDC_ISSUER and settings.TELLTALE_OIDC_CLIENT_ID and settings.TELLTALE_OIDC_ONLY)


def is_own_path(url: str) -> bool:
    """Whether `url` is a path of ours: one slash in front, no host, no scheme, nothing that a browser reads as one."""
    if not url.startswith("/") or url.startswith("//") or "\\" in url or any(ord(c) < 0x20 for c in url):
        return False
    return url_has_allowed_host_and_scheme(url, allowed_hosts=None)


def too_many(request: HttpRequest, message: str = TOO_MANY) -> ValidationError:
    """The refusal of a try beyond the limit; the answer becomes a 429."""
    request.is_throttled = True  # type: ignore[attr-defined]
    return ValidationError(message, code="too_many_login_attempts")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": WRONG,
        "too_many_login_attempts": TOO_MANY,
        "incorrect_password": "The password is not right.",
        "enter_current_password": "This is not the password you have now.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never: people come by invitation."""
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """`next` leads to our own paths only."""
        return bool(url) and is_own_path(str(url))

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address as the outermost layer settled it."""
        return request.META.get("REMOTE_ADDR") or "127.0.0.1"

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """The person these credentials belong to, or None; ValidationError where there were too many tries."""
        if oidc_only():
            raise ValidationError(f"Passwords are closed here. Sign in with {settings.TELLTALE_OIDC_NAME}.")
        attempt = throttle.begin(*throttle.login_subjects(request, str(credentials.get("email", ""))))
        if attempt is None:
            raise too_many(request)
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is not None:
            throttle.forgive(attempt)
        return user

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Whether the password is that of the person signed in; counted like a try to sign in."""
        attempt = throttle.begin(f"again:{user.pk}")
        if attempt is None:
            raise too_many(self.request)
        is_right = bool(user.check_password(password))
        if is_right:
            throttle.forgive(attempt)
        else:
            told = {"step": "password once more"}
            who = user.get_username()
            record("login", request=self.request, actor=who, target=who, outcome="refused", after=told)
        return is_right

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> HttpResponse:
        """After signing in, remember the browser."""
        response: HttpResponse = super().post_login(request, user, **kwargs)
        if isinstance(user, User):
            throttle.remember_browser(response, user)
        return response

    def add_message(self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any) -> None:  # fmt: skip  # noqa: E501
        """No note for what one sees anyway: that one is signed in or out."""
        if message_template not in {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}:
            super().add_message(request, level, message_template, *args, **kwargs)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """The account page, or the projects where the duty to choose a password stood in the way of them."""
        return "/" if getattr(request, "had_to_change_password", False) else "/accounts/settings/"

    def get_reset_password_from_key_url(self, key: str) -> str:
        """The link in a reset mail, on our public address, whatever the request called us."""
        path = urlsplit(super().get_reset_password_from_key_url(key)).path
        return f"{settings.TELLTALE_PUBLIC_URL}{path}"


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {**DefaultMFAAdapter.error_messages, "incorrect_code": WRONG_CODE}

    def encrypt(self, text: str) -> str:
        """Secrets of second factors are kept encrypted under a key derived from the installation's."""
        return fernet_of(settings.SECRET_KEY).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The other way, also where it was encrypted under an earlier key of the installation."""
        opening = MultiFernet([fernet_of(key) for key in vault.secret_keys()])
        return opening.decrypt(encrypted_text.encode()).decode()


def fernet_of(secret_key: str) -> Fernet:
    """What encrypts second factors under this secret key."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"telltale.mfa:" + secret_key.encode()).digest()))
