"""The audit log of a project, an organisation or the installation: a page with filters, and the same as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from telltale.audit.downloads import ListFile, audit_download
from telltale.audit.read import PIECE, AuditFilter, AuditRow, each_entry, find_entries, list_actions
from telltale.lib.spreadsheet import plain_text
from telltale.projects.access import get_organisation_for, project_page
from telltale.projects.models import Project, Role

FILE_TYPES = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson; charset=utf-8"}
COLUMNS = ("id", "at", "project", "actor", "action", "target", "outcome", "address", "changes")
_TEXTS = {"action": 64, "actor": 254, "target": 254, "outcome": 16}
_DAYS = ("from", "to")


@require_http_methods(["GET", "HEAD"])
@project_page(Role.ADMIN)
def audit(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Who did what to this project."""
    whole = AuditFilter(project_id=project.pk)
    context = {"project": project, "shell_page": "projects/_settings.html", "of": "project", "whose": project.name}
    return _answer(request, whole, context, project.slug)  # project_page writes a download down


@login_required
@require_http_methods(["GET", "HEAD"])
def organisation_audit(request: HttpRequest, organisation_slug: str) -> HttpResponseBase:
    """Who did what to an organisation and its projects, for its owners."""
    found = get_organisation_for(request.user, organisation_slug)
    whole = AuditFilter(organisation_id=found.pk)
    context = {"organisation": found, "shell_page": "projects/_audit_shell.html", "of": "organisation"}
    answer = _answer(request, whole, context | {"whose": found.name}, found.slug)
    return audit_download(request, answer, organisation_id=found.pk)


@login_required
@require_http_methods(["GET", "HEAD"])
def installation_audit(request: HttpRequest) -> HttpResponseBase:
    """Who did what on this server, for whoever operates it; to everybody else it is not there."""
    if not request.user.is_superuser:
        raise Http404
    context = {"shell_page": "projects/_audit_shell.html", "of": "installation", "whose": "this server"}
    return audit_download(request, _answer(request, AuditFilter(), context, "installation"))


def _answer(request: HttpRequest, whole: AuditFilter, context: dict[str, Any], name: str) -> HttpResponseBase:
    known = list_actions(whole)
    kinds = sorted({action.split(".", 1)[0] for action in known if "." in action})
    asked = {key: request.GET.get(key, "").replace("\0", "")[:most] for key, most in _TEXTS.items()}
    asked["action"] = asked["action"] if asked["action"] in {*known, *kinds} else ""
    days = {key: day for key in _DAYS if (day := _day(request.GET.get(key, "")))}
    wanted = replace(
        whole,
        action=asked["action"],
        actor=asked["actor"],
        target=asked["target"],
        outcome=asked["outcome"],
        start=_midnight(days.get("from")),
        end=_midnight(days["to"] + timedelta(days=1)) if "to" in days else None,
    )
    kept = {key: value for key, value in asked.items() if value} | {key: str(day) for key, day in days.items()}
    kind = request.GET.get("format", "")
    if kind in FILE_TYPES:
        return _file(request, wanted, kind, name)
    page = find_entries(wanted, before=_id(request.GET.get("before", "")))
    return render(
        request,
        "projects/audit.html",
        {
            **context,
            "rows": page.rows,
            "keep_days": settings.TELLTALE_AUDIT_DAYS,
            "names": slugs_of(page.rows) if whole.project_id is None else {},
            "actions": known,
            "kinds": kinds,
            "asked": asked | {"from_day": kept.get("from", ""), "to_day": kept.get("to", "")},
            "is_narrowed": bool(kept),
            "older": "?" + urlencode({**kept, "before": page.older}) if page.older else "",
            "newest": "?" + urlencode(kept) if request.GET.get("before") else "",
            "csv": "?" + urlencode({**kept, "format": "csv"}),
            "ndjson": "?" + urlencode({**kept, "format": "ndjson"}),
        },
    )


def _file(request: HttpRequest, wanted: AuditFilter, kind: str, name: str) -> HttpResponseBase:
    """The entries as a file, streamed."""
    response: HttpResponseBase = HttpResponse(content_type=FILE_TYPES[kind])
    if request.method != "HEAD":
        pieces = _Pieces(wanted)
        lines = _csv(pieces) if kind == "csv" else _ndjson(pieces)
        response = ListFile(lines, lambda: pieces.rows, content_type=FILE_TYPES[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{name}.{kind}"'
    return response


def _csv(pieces: _Pieces) -> Iterator[bytes]:
    yield (",".join(COLUMNS) + "\r\n").encode()
    for rows in pieces:
        out = io.StringIO()
        writer = csv.writer(out)
        slugs = slugs_of(rows)
        for row in rows:
            changes = "; ".join(f"{name}: {before} -> {after}" for name, before, after in row.changes)
            cells = [str(row.id), row.at.isoformat(), slugs.get(row.project_id or 0, ""), row.actor, row.action]
            cells += [row.target, row.outcome, row.address, changes]
            writer.writerow([plain_text(cell) for cell in cells])
        yield out.getvalue().encode()


def _ndjson(pieces: _Pieces) -> Iterator[bytes]:
    for rows in pieces:
        slugs = slugs_of(rows)
        yield "".join(json.dumps(entry_json(row, slugs), ensure_ascii=False) + "\n" for row in rows).encode()


class _Pieces:
    """Entries, some hundred at a time; `rows` is how many there were so far."""

    def __init__(self, wanted: AuditFilter) -> None:
        self.wanted, self.rows = wanted, 0

    def __iter__(self) -> Iterator[tuple[AuditRow, ...]]:
        found = each_entry(self.wanted)
        while held := tuple(islice(found, PIECE)):
            self.rows += len(held)
            yield held


def entry_json(row: AuditRow, slugs: dict[int, str]) -> dict[str, Any]:
    """An entry as a file and REST hold it."""
    told = asdict(row) | {
        "at": row.at.isoformat(),
        "project": slugs.get(row.project_id or 0),
        "changes": [{"name": name, "before": before, "after": after} for name, before, after in row.changes],
    }
    del told["project_id"]
    return told


def slugs_of(rows: tuple[AuditRow, ...]) -> dict[int, str]:
    """The slugs of the projects that entries are of, as far as they are still there."""
    wanted = {row.project_id for row in rows if row.project_id is not None}
    return dict(Project.objects.filter(pk__in=wanted).values_list("pk", "slug")) if wanted else {}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 and "1970" <= text[:4] <= "2200" else None
    except ValueError:
        return None


def _midnight(day: date | None) -> datetime | None:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
