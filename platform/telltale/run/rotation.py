"""Changing the secret key of an installation: everything that is sealed, sealed anew; in any number of tries.

Each row is a step of its own, and one that stands under the key of today is left alone: whoever is killed starts again
from the beginning and finds less to do. A row that somebody changes meanwhile wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet
from django.apps import apps
from django.db.models import Model

from telltale.accounts.adapter import fernet_of
from telltale.lib import vault


@dataclass(frozen=True, slots=True)
class Place:
    """A column of sealed texts; `what` is what a person calls them."""

    what: str
    model: str
    column: str
    purpose: str


PLACES = (
    Place("headers of forwarding", "traces.ForwardTarget", "sealed_headers", "forwarding"),
    Place("keys of connections", "evals.Connection", "sealed_key", "evals.connection"),
    Place("secrets of channels", "alerts.Channel", "secret", "notices"),
    Place("addresses of pings", "alerts.NoticeSettings", "alive_url", "notices"),
    Place("keys of marks", "traces.MaskKey", "sealed", "traces.mask"),
    Place("subjects of erasures under way", "web.Erasure", "subject", "erasure"),
)
SECOND_FACTORS = "second factors"


@dataclass(slots=True)
class Count:
    """How a kind of sealed texts stands: under the key of today, sealed anew just now, under a key nobody has."""

    what: str
    current: int = 0
    renewed: int = 0
    lost: list[str] = field(default_factory=list)


def reseal_all(*, is_dry: bool = False) -> Iterator[Count]:
    """Seal everything anew that stands under an earlier key; `is_dry` counts what would be. One count a kind."""
    for place in PLACES:
        count = Count(place.what)
        model = apps.get_model(place.model)
        rows = model._default_manager.exclude(**{place.column: ""}).order_by("pk").values_list("pk", place.column)
        for key, sealed in rows.iterator(200):
            _renew(count, model, key, place.column, sealed, _opening(place.purpose), is_dry)
        yield count
    yield _second_factors(is_dry)


def _opening(purpose: str) -> Callable[[str], str | None]:
    return lambda sealed: vault.reseal(purpose, sealed)


def _renew(
    count: Count, model: type[Model], key: Any, column: str, before: Any, opening: Callable[[Any], Any], is_dry: bool
) -> None:
    try:
        after = opening(before)
    except vault.Sealed:
        count.lost.append(f"{model._meta.db_table} {key}")
        return
    if after is None:
        count.current += 1
        return
    if is_dry or model._default_manager.filter(**{"pk": key, column: before}).update(**{column: after}):
        count.renewed += 1
    else:
        # Somebody entered another one meanwhile, which is under the key of today.
        count.current += 1


def _second_factors(is_dry: bool) -> Count:
    count = Count(SECOND_FACTORS)
    model = apps.get_model("mfa", "Authenticator")
    for key, data in model._default_manager.order_by("pk").values_list("pk", "data").iterator(200):
        _renew(count, model, key, "data", data, _renew_factor, is_dry)
    return count


def _renew_factor(data: dict[str, Any]) -> dict[str, Any] | None:
    """What the login library keeps of a second factor, with what it encrypted (by their names) encrypted anew."""
    changed = dict(data)
    for name in ("secret", "seed"):
        if isinstance(data.get(name), str):
            changed[name] = _again(data[name])
    if isinstance(data.get("migrated_codes"), list):
        changed["migrated_codes"] = [_again(code) for code in data["migrated_codes"]]
    return None if changed == data else changed


def _again(encrypted: str) -> str:
    def derive(secret_key: str) -> Fernet:
        return fernet_of(secret_key)

    return vault.renew(derive, encrypted) or encrypted
