"""Forms of people: sign in, reset, name, a second factor, joining by invitation."""

from __future__ import annotations

import time
from typing import Any

from allauth.account import forms as account_forms
from allauth.core import context
from allauth.mfa.base import forms as mfa_forms
from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from telltale.accounts import throttle
from telltale.accounts.adapter import oidc_only
from telltale.accounts.models import User
from telltale.audit.log import record

# Longer than any mail we write takes, so that an address we know and one we do not answer alike.
RESET_FLOOR_SECONDS = 0.25
CODE_USED = "That code was used already. Wait for the next one."
TOO_MANY_LINKS = "Too many tries. Wait 15 minutes."


class LoginForm(account_forms.LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login, password = self.fields["login"], self.fields["password"]
        login.label = "E-mail"
        login.widget.attrs = {"autocomplete": "username", "maxlength": 254}
        password.widget.attrs = {"autocomplete": "current-password", "maxlength": 1000}
        password.help_text = ""
        self.fields["remember"].initial = True
        is_oidc = bool(settings.TELLTALE_OIDC_ISSUER and settings.TELLTALE_OIDC_CLIENT_ID)
        self.oidc_name = settings.TELLTALE_OIDC_NAME if is_oidc else ""
        self.is_oidc_only = oidc_only()


class ResetForm(account_forms.ResetPasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "E-mail"
        self.fields["email"].widget.attrs = {"autocomplete": "username", "maxlength": 254}

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """Send the link where there is an account; the same time passes where there is none."""
        started = time.monotonic()
        email = str(self.cleaned_data["email"])
        if (
            not oidc_only()
            and throttle.begin(f"reset:{email.lower()}", f"reset-{throttle.address_subject(request)}") is not None
        ):
            super().save(request, **kwargs)
        time.sleep(max(0.0, RESET_FLOOR_SECONDS - (time.monotonic() - started)))
        return email


def _note_refused(user: User) -> None:
    """A wrong code in the audit log; tries beyond the limit are none."""
    told = {"step": "second factor"}
    record("login", request=context.request, actor=user.email, target=user.email, outcome="refused", after=told)


class _Counted:
    """A form that takes the code of a second factor of `user`."""

    user: User

    def clean_code(self) -> str:
        """A right code; tries are counted per person."""
        attempt = throttle.begin(f"code:{self.user.pk}")
        if attempt is None:
            raise ValidationError(TOO_MANY_LINKS)
        try:
            code: str = super().clean_code()  # type: ignore[misc]
            if not throttle.is_first_use(f"{self.user.pk}:{''.join(code.split())}"):
                raise ValidationError(CODE_USED)
        except ValidationError:
            _note_refused(self.user)
            raise
        throttle.forgive(attempt)
        return code


class CodeForm(_Counted, mfa_forms.AuthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs = {"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": 32}


class CodeAgainForm(_Counted, mfa_forms.ReauthenticateForm):  # type: ignore[misc]
    """The code once more, before something of weight."""


class NameForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        required=False,
        help_text="How others see you; your e-mail address where it is empty.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class JoinForm(forms.Form):
    """A new person who follows an invitation: a name and a password."""

    name = forms.CharField(
        label="Your name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        help_text="At least 10 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._email = email
        self.oidc_name = settings.TELLTALE_OIDC_NAME if settings.TELLTALE_OIDC_ISSUER else ""
        self.is_oidc_only = oidc_only()

    def clean(self) -> dict[str, Any]:
        """Nobody makes a password where passwords are closed."""
        if self.is_oidc_only:
            raise ValidationError(f"Passwords are closed here. Join with {self.oidc_name}.")
        return super().clean() or {}

    def clean_password(self) -> str:
        """A password that the installation's rules accept."""
        password = str(self.cleaned_data["password"])
        validate_password(password, User(email=self._email, name=str(self.cleaned_data.get("name", ""))))
        return password
