"""Keys of a project, each change with its line in the audit log."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest

from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.projects import keys
from telltale.projects.models import ApiKey, Project
from telltale.projects.origins import read_origins


def create_key(
    project: Project,
    name: str,
    scopes: tuple[str, ...],
    *,
    spans_a_second: int | None = None,
    origins: tuple[str, ...] = (),
    by: User | None = None,
    request: HttpRequest | None = None,
) -> keys.NewKey:
    """A new key of the project. Its secret is in the answer and nowhere else. ValueError as `keys.make_key`."""
    with transaction.atomic():
        made = keys.make_key(
            project, name, scopes, spans_a_second=spans_a_second, origins=origins, created_by_id=by.pk if by else None
        )
        told: dict[str, Any] = {} if spans_a_second is None else {"spans_a_second": spans_a_second}
        told |= {"origins": list(made.key.origins)} if made.key.origins else {}
        record_in(
            made.key.project,
            "key.create",
            made.key.public_part,
            request=request,
            after={"name": name, "scopes": list(scopes), **told},
        )
    return made


def limit_key(key: ApiKey, spans_a_second: int | None, *, request: HttpRequest | None = None) -> bool:
    """Change how much a key may send a second, None as the installation says; False where it is that already.

    Every process knows within the seconds that keys are held in memory.
    """
    with transaction.atomic():
        before = ApiKey.objects.select_for_update(no_key=True).values_list("spans_a_second", flat=True).get(pk=key.pk)
        if before == spans_a_second:
            return False
        ApiKey.objects.filter(pk=key.pk).update(spans_a_second=spans_a_second)
        record_in(
            key.project,
            "key.limit",
            key.public_part,
            request=request,
            before={"spans_a_second": before},
            after={"spans_a_second": spans_a_second},
        )
    return True


def set_origins(key: ApiKey, origins: tuple[str, ...], *, request: HttpRequest | None = None, actor: str = "") -> bool:
    """Change the pages that may use a key from a browser; False where they are these already.

    OriginRefused where one is no origin; ValueError where the key may do more than send signals.
    """
    wanted = list(read_origins(origins))
    keys.check_origins(key.scopes, wanted)
    with transaction.atomic():
        before = ApiKey.objects.select_for_update(no_key=True).values_list("origins", flat=True).get(pk=key.pk)
        if before == wanted:
            return False
        ApiKey.objects.filter(pk=key.pk).update(origins=wanted)
        record_in(
            key.project,
            "key.origins",
            key.public_part,
            request=request,
            actor=actor,
            before={"origins": before},
            after={"origins": wanted},
        )
    return True


def revoke_key(key: ApiKey, *, request: HttpRequest | None = None) -> bool:
    """Revoke a key; False where it was revoked already."""
    with transaction.atomic():
        was_alive = keys.revoke(key)
        if was_alive:
            record_in(key.project, "key.revoke", key.public_part, request=request)
    return was_alive
