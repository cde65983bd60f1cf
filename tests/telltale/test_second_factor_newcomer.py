"""A person who was made by the first start turns the second factor on, by the forms alone."""

from __future__ import annotations

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client

from telltale.accounts.models import User
from telltale.run.provision import Wanted, provision

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery 9"
SETUP = "/accounts/2fa/totp/activate/"


def code_for(secret):
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def test_the_first_operator_turns_on_a_second_factor_though_somebody_asked_for_a_reset():
    provision(Wanted(email="owner@example.com", password=PASSWORD, is_operator=True))
    # The library notes an address that nobody verified when a link is made for it, whoever asks.
    Client().post("/accounts/password/reset/", {"email": "owner@example.com"})
    assert EmailAddress.objects.get().verified is False
    owner = Client()
    owner.post("/accounts/login/", {"login": "owner@example.com", "password": PASSWORD})
    owner.post(f"/accounts/reauthenticate/?next={SETUP}", {"password": PASSWORD})

    page = owner.get(SETUP)
    assert page.status_code == 200, "the library sends away whose address was never verified"
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', page.content.decode())[1]
    done = owner.post(SETUP, {"code": code_for(secret)})

    assert (done.status_code, done.url) == (302, "/accounts/2fa/recovery-codes/")
    assert User.objects.get().authenticator_set.filter(type="totp").exists()
