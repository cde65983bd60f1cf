"""One short call through a connection, to see that it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.http import HttpRequest

from evals.calling.client import chat
from evals.calling.kinds import CallFailed, ChatMessage
from evals.read import setup as read
from evals.setup.judges import MODEL_CHARS_MAX
from evals.setup.refusals import NotThere, SetupRefused
from telltale.audit.log import record_in
from telltale.lib import vault
from telltale.projects.models import Project

# Somebody waits on the page for it.
SECONDS_MAX = 20.0
# Models that think before they answer need some room.
OUTPUT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of a test call. `text` is the model's answer, untrusted, cut."""

    is_ok: bool
    message: str
    text: str = ""
    model: str = ""
    duration_ms: float | None = None
    cost_pico: int | None = None


def try_connection(project: Project, connection_id: int, model: str, *, request: HttpRequest | None = None) -> Tested:
    """Ask `model` for one word and say what came of it. NotThere, SetupRefused."""
    name = " ".join(model.split())
    if not name or not name.isprintable() or len(name) > MODEL_CHARS_MAX:
        raise SetupRefused("model", "is no name of a model", f"1 to {MODEL_CHARS_MAX} visible characters", name[:60])
    view = read.get_connection(project.pk, connection_id)
    if view is None:
        raise NotThere
    tested = _test(connection_id, name)
    record_in(
        project, "connection.test", view.name, request=request, after={"model": name},
        outcome="answered" if tested.is_ok else "failed",
    )  # fmt: skip
    return tested


def _test(connection_id: int, model: str) -> Tested:
    try:
        endpoint = read.endpoint_of(connection_id, model)
    except vault.Sealed:
        return Tested(False, "The key was sealed under another secret key of this installation. Enter it again.")
    if endpoint is None:
        raise NotThere
    endpoint = replace(endpoint, timeout_seconds=min(endpoint.timeout_seconds, SECONDS_MAX))
    try:
        called = chat(endpoint, [ChatMessage("user", "Reply with the one word: ready")], OUTPUT_TOKENS)
    except CallFailed as failed:
        return Tested(False, failed.told)
    answered = called.model or model
    return Tested(
        True, f"{answered} answered.", called.text[:200], answered, called.duration_ms, called.cost_pico
    )  # fmt: skip
