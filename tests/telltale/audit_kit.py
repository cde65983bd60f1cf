"""What tests of the audit log share: people and keys at known addresses, and a log that is read act by act."""

from __future__ import annotations

from typing import Any

import orjson
from django.test import Client

from telltale.audit.models import AuditEntry
from telltale.projects import keys
from telltale.projects.models import Project

PAGE_FROM, REST_FROM = "192.0.2.7", "2001:db8::7"
SCOPES = ("ingest", "signal", "read", "write", "admin")


class Log:
    """The audit log since it was looked at last. Entries may hold none of `secrets`."""

    def __init__(self, project: Project | None) -> None:
        self.project = project
        self.secrets: set[str] = set()
        self.skip()

    def skip(self) -> None:
        """Whatever there is by now was looked at."""
        self.seen = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    def new(self) -> list[AuditEntry]:
        found = list(AuditEntry.objects.filter(pk__gt=self.seen).order_by("pk"))
        self.skip()
        for entry in found:
            told = repr((entry.target, entry.actor, entry.before, entry.after))
            assert not [secret for secret in self.secrets if secret in told], entry
        return found

    def none(self) -> None:
        assert [(e.action, e.outcome) for e in self.new()] == []

    def one(self, action: str, who: str, **told: Any) -> AuditEntry:
        """The one entry there is: of `action` by `who`, from where they are; `told` are fields that are to be so."""
        found = self.new()
        assert [entry.action for entry in found] == [action], [(e.action, e.actor, e.outcome) for e in found]
        entry = found[0]
        where = REST_FROM if who.startswith("key ") else PAGE_FROM
        project = told.pop("project", self.project)
        if project is not None:
            assert (entry.project_id, entry.organisation_id) == (project.pk, project.organisation_id), entry
        assert (entry.actor, entry.address) == (who, told.pop("address", where)), entry
        assert entry.outcome == told.pop("outcome", "done"), entry
        assert entry.target or told.get("target") == "", entry
        for name, value in told.items():
            held = getattr(entry, name)
            if isinstance(value, dict) and isinstance(held, dict):
                held = {key: held.get(key) for key in value}
            assert held == value, (entry, name, held)
        return entry


class Rest:
    """A key of `project` with every scope, from an address of its own; answers are checked to be good."""

    def __init__(self, project: Project, scopes: tuple[str, ...] = SCOPES) -> None:
        made = keys.make_key(project, "auditor", scopes)
        self.secret, self.who = made.secret, f"key {made.key.pk}"
        self.client = Client(headers={"Authorization": f"Bearer {made.secret}"}, REMOTE_ADDR=REST_FROM)

    def __call__(self, method: str, path: str, body: Any = None, status: int = 2) -> Any:
        data = b"" if body is None else orjson.dumps(body)
        answer = self.client.generic(method, f"/api/v1/{path}", data, content_type="application/json")
        assert answer.status_code // 100 == status, (method, path, answer.status_code, answer.content[:500])
        return answer.json() if answer.content and status == 2 else None


def posted(client: Client, path: str, data: dict[str, Any] | None = None, status: int = 302) -> Any:
    """The answer to a form; it is to be accepted."""
    answer = client.post(path, data or {}, REMOTE_ADDR=PAGE_FROM)
    text = answer.content[:3000].decode() if answer.status_code != status else ""
    assert answer.status_code == status, (path, answer.status_code, getattr(answer, "url", ""), text)
    return answer
