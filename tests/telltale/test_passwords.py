"""Which passwords are taken."""

from __future__ import annotations

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from telltale.accounts import passwords
from telltale.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def somebody(house):
    return User(email="new.person@example.com", name="New Person")


@pytest.mark.parametrize(
    "password",
    ["1234567890", "qwertyuiop", "password123", "Password!2026", "P@ssw0rd2026", "passwordpassword", "iloveyou!!!!",
     "2026football", "aaaaaaaaaaaa", "abababababab"],
)  # fmt: skip
def test_leaked_passwords_and_what_is_much_like_them_are_refused(somebody, password):
    with pytest.raises(ValidationError) as error:
        validate_password(password, somebody)

    assert "password_too_common" in {each.code for each in error.value.error_list}


@pytest.mark.parametrize(
    "password", ["telltale2026!", "Tellta1e-2026", "example-ltd-99", "Telltale Example", "login.acme"]
)
def test_names_of_this_place_alone_are_refused(somebody, settings, password):
    settings.TELLTALE_PUBLIC_URL = "https://login.acme.example"

    with pytest.raises(ValidationError) as error:
        validate_password(password, somebody)

    assert "password_of_own_words" in {each.code for each in error.value.error_list}


@pytest.mark.parametrize(
    "password",
    ["correct horse battery 1", "telltale heart under the floor", "gnbvhtrzqk", "8492 5573 0162", "длинная фраза",
     "password is what I never say", "x" * 20 + "yzabcdef" * 10],
)  # fmt: skip
def test_any_other_of_ten_characters_is_taken_whatever_it_is_made_of(somebody, password):
    validate_password(password, somebody)


def test_more_than_three_thousand_leaked_ones_of_our_length_are_refused():
    leaked = passwords.LeakedPasswordValidator()
    words = [word for word in leaked.passwords if len(word) >= 4]
    tried = {word for word in words if len(word) >= 10} | {
        f"{word}2026!?"[:40] for word in words if len(word) in (5, 6, 7, 8)
    }

    def is_refused(password):
        try:
            leaked.validate(password)
        except ValidationError:
            return True
        return False

    refused = sum(is_refused(password) for password in tried)
    assert refused >= 10_000, refused


def test_the_password_in_use_is_not_taken_again(house):
    alice = house.people.alice

    with pytest.raises(ValidationError) as error:
        validate_password(house.password, alice)

    assert error.value.error_list[0].code == "password_unchanged"


def test_a_first_password_that_was_given_out_cannot_stay(client, house):
    User.objects.filter(email="alice@example.com").update(must_change_password=True)
    client.force_login(house.people.alice, backend="allauth.account.auth_backends.AuthenticationBackend")

    same = {"oldpassword": house.password, "password1": house.password, "password2": house.password}
    answer = client.post("/accounts/password/change/", same)

    assert b"the password you have already" in answer.content
    assert User.objects.get(email="alice@example.com").must_change_password


def test_a_password_is_used_exactly_as_it_was_typed(client, house):
    alice = house.people.alice
    alice.set_password("  Spaces And Case 7 ")
    alice.save()

    def try_it(password):
        return client.post("/accounts/login/", {"login": "alice@example.com", "password": password}).status_code

    assert try_it("Spaces And Case 7") == 200
    assert try_it("  spaces and case 7 ") == 200
    assert try_it("  Spaces And Case 7 ") == 302


def test_a_long_password_is_taken_and_counts_to_its_last_character(client, house):
    alice = house.people.alice
    long = "w0rd-" * 39 + "abcde"
    alice.set_password(long)
    alice.save()

    assert client.post("/accounts/login/", {"login": "alice@example.com", "password": long[:-1]}).status_code == 200
    assert client.post("/accounts/login/", {"login": "alice@example.com", "password": long}).status_code == 302


def test_fields_of_passwords_are_masked_and_left_to_password_managers(client, house):
    login = client.get("/accounts/login/").content.decode()
    client.force_login(house.people.alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    change = client.get("/accounts/password/change/").content.decode()

    for page, hints in ((login, ["current-password"]), (change, ["current-password", "new-password"])):
        assert page.count('type="password"') >= 1
        for hint in hints:
            assert f'autocomplete="{hint}"' in page
        assert "onpaste" not in page
        assert 'autocomplete="off"' not in page
