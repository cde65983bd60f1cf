"""The login library's forms of passwords in our words: what each field wants, and the rule for a new one beside it."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as account_forms

PASSWORD_CHARS_MAX = 1000
RULE = (
    "At least 10 characters. Not one that leaked elsewhere, not the one before, and not made of your name, your "
    "address or the names of this place alone."
)
LABELS = {
    "oldpassword": "Password until now",
    "password": "Password",
    "password1": "New password",
    "password2": "New password once more",
}


def _in_our_words(form: Any) -> None:
    for name, field in form.fields.items():
        if name in LABELS:
            field.label = LABELS[name]
            field.widget.attrs.pop("placeholder", None)
            field.widget.attrs["maxlength"] = PASSWORD_CHARS_MAX
    if "password1" in form.fields:
        form.fields["password1"].help_text = RULE


class ChangeForm(account_forms.ChangePasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _in_our_words(self)


class SetForm(account_forms.SetPasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _in_our_words(self)


class NewForm(account_forms.ResetPasswordKeyForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _in_our_words(self)


class AgainForm(account_forms.ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _in_our_words(self)
