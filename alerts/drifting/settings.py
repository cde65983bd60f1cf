"""How a project's traffic is sampled and embedded, as people set it; each change is in the audit log."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from alerts.drifting.filling import start_fill
from alerts.encoders import ENDPOINT, KINDS, MINILM, is_installed
from alerts.models import DriftSettings
from alerts.read.drift import DriftView, settings_of
from evals.calling.kinds import OPENAI
from evals.read.setup import get_connection
from evals.setup.refusals import SetupRefused
from telltale.audit.log import record_in
from telltale.projects.models import Project

CAP_MIN, CAP_MAX = 100, 20_000
FIELDS_MAX, FIELD_CHARS_MAX, MODEL_CHARS_MAX = 5, 100, 200
# Ten thousand dollars a day: whoever types more has mistaken the unit.
PICO_MAX = 10_000 * 10**12
CALLS_MAX = 10_000_000
CHANGEABLE = (
    "is_on", "encoder", "connection_id", "model", "cap_a_day", "budget_pico_day", "budget_calls_day", "fields",
)  # fmt: skip


class SettingsRefused(SetupRefused):
    """Settings that cannot be: which field, what is wrong, what is accepted."""


def save_settings(
    project: Project,
    changes: dict[str, Any],
    *,
    by_id: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> DriftView:
    """Change the named settings (CHANGEABLE); recorded. SettingsRefused.

    Another encoder starts from the traces that are stored: its vectors need a reference of their own.
    """
    with transaction.atomic():
        DriftSettings.objects.get_or_create(project=project)
        row = DriftSettings.objects.select_for_update().get(project=project)
        before = settings_of(project.pk)
        wanted = {name: changes.get(name, getattr(before, name)) for name in CHANGEABLE}
        wanted = _checked(project.pk, wanted)
        told_before = {name: _plain(getattr(before, name)) for name in CHANGEABLE}
        told_after = {name: _plain(wanted[name]) for name in CHANGEABLE}
        if told_before == told_after:
            return before
        for name, value in wanted.items():
            setattr(row, name, value)
        row.changed_by_id = by_id
        # What was wrong may be right now.
        row.trouble, row.trouble_at = "", None
        row.save()
        names = [name for name in CHANGEABLE if told_before[name] != told_after[name]]
        record_in(
            project, "drift.settings", "drift", request=request, actor=actor,
            before={name: told_before[name] for name in names}, after={name: told_after[name] for name in names},
        )  # fmt: skip
        is_other = any(name in names for name in ("encoder", "connection_id", "model"))
        if wanted["is_on"] and (is_other or not before.is_on):
            start_fill(project.pk, by_id)
    return settings_of(project.pk)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


def _checked(project_id: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings, clean; SettingsRefused."""
    if wanted["encoder"] not in KINDS:
        raise SettingsRefused("encoder", "is not known", f"one of {', '.join(KINDS)}", str(wanted["encoder"])[:60])
    _number("cap_a_day", wanted["cap_a_day"], CAP_MIN, CAP_MAX)
    if wanted["budget_pico_day"] is not None:
        _number("budget_pico_day", wanted["budget_pico_day"], 0, PICO_MAX)
    if wanted["budget_calls_day"] is not None:
        _number("budget_calls_day", wanted["budget_calls_day"], 0, CALLS_MAX)
    wanted["model"] = " ".join(str(wanted["model"]).split())
    if len(wanted["model"]) > MODEL_CHARS_MAX or not wanted["model"].isprintable():
        limit = f"1 to {MODEL_CHARS_MAX} visible characters"
        raise SettingsRefused("model", "is no name of a model", limit, wanted["model"][:60])
    if wanted["connection_id"] is not None:
        found = get_connection(project_id, wanted["connection_id"])
        if found is None or found.archived_at is not None:
            raise SettingsRefused("connection_id", "is no connection of this project", value=wanted["connection_id"])
        if found.kind != OPENAI:
            raise SettingsRefused("connection_id", "has no embeddings", "a connection of the kind openai", found.kind)
    if wanted["encoder"] == ENDPOINT:
        if wanted["connection_id"] is None:
            raise SettingsRefused("connection_id", "is missing: an endpoint needs a connection")
        if not wanted["model"]:
            raise SettingsRefused("model", "is missing: an endpoint needs the name of its model")
    if wanted["encoder"] == MINILM and not is_installed(settings.TELLTALE_MINILM_DIR):
        told = "is not installed here: pip install 'telltale[minilm]' and set TELLTALE_MINILM_DIR"
        raise SettingsRefused("encoder", told, "one of lexical, sender, endpoint", MINILM)
    fields = list(dict.fromkeys(" ".join(str(each).split()) for each in wanted["fields"]))
    if len(fields) > FIELDS_MAX:
        raise SettingsRefused("fields", "has too many keys", f"{FIELDS_MAX} keys", f"{len(fields)} keys")
    for each in fields:
        if not each or len(each) > FIELD_CHARS_MAX or not each.isprintable():
            limit = f"1 to {FIELD_CHARS_MAX} visible characters"
            raise SettingsRefused("fields", "holds what is no metadata key", limit, each[:60])
    wanted["fields"] = fields
    return wanted


def _number(name: str, value: Any, low: int, high: int) -> None:
    if not low <= value <= high:
        raise SettingsRefused(name, "is out of range", f"{low:,} to {high:,}", value)
