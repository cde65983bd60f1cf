"""Writing on a trace: comments, and labels."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from traces import notes
from traces.pages.naming import span_id_of, trace_of
from traces.read import TraceRow
from traces.read.notes import Comment, get_comment, read_notes

SHOWN = 50
_ID_MAX = 2**63 - 1


def notes_context(request: HttpRequest, project: Project, row: TraceRow) -> dict[str, Any]:
    """What the page of a trace shows of its notes."""
    may_note = may(project, "note")
    limit = notes.COMMENTS_MAX if request.GET.get("comments") == "all" else SHOWN
    found = read_notes(project.pk, row.trace_id, limit, with_known=may_note)
    author, listing = _author(request, project), reverse("trace_list", args=[project.slug])
    return {
        "notes": found,
        "comments": [
            (each, author.wrote(each), may_note and (author.wrote(each) or author.is_admin)) for each in found.comments
        ],
        "may_note": may_note,
        "label_links": [
            (each, f"{listing}?{urlencode([('label', each.label), ('t', 'all')])}") for each in found.labels
        ],
        "comment_max": notes.COMMENT_CHARS_MAX,
        "label_max": notes.LABEL_CHARS_MAX,
    }


@require_POST
@project_page(Role.REVIEWER)
def comment_add(request: HttpRequest, project: Project, trace: str) -> HttpResponse:
    """Write a comment; what cannot be kept comes back to be mended."""
    row = trace_of(project, trace)
    body = request.POST.get("body", "")
    span_id = span_id_of(request.POST.get("span", ""))
    try:
        notes.add_comment(project, row, span_id, body, _author(request, project))
    except notes.NoteRefused as refused:
        return _form(request, project, row, body, refused, None)
    except notes.NoteGone:
        raise Http404 from None
    return _back(project, row)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.REVIEWER)
def comment_edit(request: HttpRequest, project: Project, trace: str, comment_id: int) -> HttpResponse:
    """Change one's own comment."""
    row, comment = _find(project, trace, comment_id)
    author = _author(request, project)
    if not author.wrote(comment):
        raise PermissionDenied("A comment is changed by who wrote it.")
    if request.method != "POST":
        return _form(request, project, row, comment.body, None, comment)
    body = request.POST.get("body", "")
    try:
        notes.edit_comment(project, row, comment, body, author)
    except notes.NoteRefused as refused:
        return _form(request, project, row, body, refused, comment)
    except notes.NoteGone:
        raise Http404 from None
    return _back(project, row)


@require_POST
@project_page(Role.REVIEWER)
def comment_delete(request: HttpRequest, project: Project, trace: str, comment_id: int) -> HttpResponse:
    """Remove one's own comment, or as an admin anybody's."""
    row, comment = _find(project, trace, comment_id)
    try:
        notes.delete_comment(project, row, comment, _author(request, project), request=request)
    except PermissionError as error:
        raise PermissionDenied(str(error)) from None
    except notes.NoteGone:
        raise Http404 from None
    messages.success(request, "The comment is removed.")
    return _back(project, row)


@require_POST
@project_page(Role.REVIEWER)
def label_add(request: HttpRequest, project: Project, trace: str) -> HttpResponse:
    """Put a label on the trace."""
    row = trace_of(project, trace)
    try:
        notes.add_label(project, row, request.POST.get("label", ""), _author(request, project))
    except notes.NoteRefused as refused:
        limit = f" Accepted: {refused.limit}." if refused.limit else ""
        messages.error(request, f"The label {refused.message}.{limit}")
    except notes.NoteGone:
        raise Http404 from None
    return _back(project, row)


@require_POST
@project_page(Role.REVIEWER)
def label_remove(request: HttpRequest, project: Project, trace: str) -> HttpResponse:
    """Take a label off the trace; one that is gone already is gone."""
    row = trace_of(project, trace)
    try:
        notes.remove_label(project, row, request.POST.get("label", "")[: notes.LABEL_CHARS_MAX].replace("\x00", ""))
    except notes.NoteGone:
        messages.error(request, "The trace has no such label; somebody may have removed it.")
    return _back(project, row)


def _author(request: HttpRequest, project: Project) -> notes.Author:
    return notes.author_of(project, cast(User, request.user))


def _find(project: Project, trace: str, comment_id: int) -> tuple[TraceRow, Comment]:
    row = trace_of(project, trace)
    comment = get_comment(project.pk, row.trace_id, comment_id) if comment_id <= _ID_MAX else None
    if comment is None:
        raise Http404
    return row, comment


def _form(
    request: HttpRequest,
    project: Project,
    row: TraceRow,
    body: str,
    refused: notes.NoteRefused | None,
    comment: Comment | None,
) -> HttpResponse:
    context = {
        "project": project,
        "hex_id": row.hex_id,
        "body": body[: 2 * notes.COMMENT_CHARS_MAX],
        "refused": refused,
        "comment": comment,
        "comment_max": notes.COMMENT_CHARS_MAX,
        "back": reverse("trace_page", args=[project.slug, row.hex_id]) + "#notes",
    }
    return render(request, "traces/comment.html", context, status=400 if refused else 200)


def _back(project: Project, row: TraceRow) -> HttpResponse:
    return redirect(reverse("trace_page", args=[project.slug, row.hex_id]) + "#notes")
