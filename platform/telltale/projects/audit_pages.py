"""The audit log of a project, for its admins: a page with filters, and the same as CSV."""

from __future__ import annotations

import csv
import io
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from telltale.audit.read import AuditRow, list_actions, list_entries
from telltale.projects.access import project_page
from telltale.projects.models import Project, Role

EXPORT_MAX = 10_000
# A spreadsheet takes these at the start of a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@require_http_methods(["GET", "HEAD"])
@project_page(Role.ADMIN)
def audit(request: HttpRequest, project: Project) -> HttpResponse:
    """Who did what to this project."""
    action, actor = request.GET.get("action", "")[:64], request.GET.get("actor", "").replace("\0", "")[:254]
    action = action if action in (known := list_actions(project.pk)) else ""
    if request.GET.get("format") == "csv":
        return _csv(project, list_entries(project.pk, action=action, actor=actor, size=EXPORT_MAX).rows)
    page = list_entries(project.pk, action=action, actor=actor, before=_id(request.GET.get("before", "")))
    kept = {name: value for name, value in (("action", action), ("actor", actor)) if value}
    context = {
        "project": project,
        "rows": page.rows,
        "actions": known,
        "action": action,
        "actor": actor,
        "older": "?" + urlencode({**kept, "before": page.older}) if page.older else "",
        "newest": "?" + urlencode(kept) if request.GET.get("before") else "",
        "csv": "?" + urlencode({**kept, "format": "csv"}),
    }
    return render(request, "projects/audit.html", context)


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _csv(project: Project, rows: tuple[AuditRow, ...]) -> HttpResponse:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["at", "actor", "action", "target", "outcome", "address", "changes"])
    for row in rows:
        changes = "; ".join(f"{name}: {before} -> {after}" for name, before, after in row.changes)
        cells = [row.at.isoformat(), row.actor, row.action, row.target, row.outcome, row.address, changes]
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    response = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{project.slug}.csv"'
    return response
