"""Signing in and out, and one's own account. Only the library's addresses that we have a page for are here."""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from django.urls import path, re_path

from telltale.accounts import oidc, pages
from telltale.accounts.confirming import signed_in_lately

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/set/", signed_in_lately(account.password_set), name="account_set_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    path("password/reset/key/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("oidc/login/", oidc.login, {"provider_id": oidc.PROVIDER}, name="openid_connect_login"),
    path("oidc/callback/", oidc.callback, {"provider_id": oidc.PROVIDER}, name="openid_connect_callback"),
    path("2fa/", mfa.index, name="mfa_index"),
    path("2fa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("2fa/totp/activate/", signed_in_lately(totp.activate_totp), name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", signed_in_lately(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("2fa/recovery-codes/", signed_in_lately(recovery.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "2fa/recovery-codes/generate/",
        signed_in_lately(recovery.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "2fa/recovery-codes/download/",
        signed_in_lately(recovery.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    path("settings/", pages.account_settings, name="account_settings"),
    path("sessions/", pages.session_list, name="account_sessions"),
    path("sessions/<int:session_id>/end/", pages.session_end, name="account_session_end"),
    path("sessions/end-others/", pages.session_end_others, name="account_session_end_others"),
]
