"""The page Settings, Export."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.projects.access import project_page
from telltale.projects.models import Project, Role
from telltale.web.archive import keeping
from telltale.web.archive.exporting import start
from telltale.web.archive.files import as_tar
from telltale.web.models import Archive


class ExportForm(forms.Form):
    """What to export."""

    user = forms.CharField(
        label="Only of this user",
        required=False,
        max_length=1024,
        strip=False,
        help_text="The id as your application sends it. Empty: everything of the project.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    csv = forms.BooleanField(label="Each table as CSV as well", required=False)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def exports(request: HttpRequest, project: Project) -> HttpResponse:
    """Archives of the project, and asking for one."""
    form = ExportForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            keeping.check_room(project)
        except keeping.Busy:
            messages.error(request, "Two exports are under way. Ask again when one has ended.")
            return redirect("project_exports", slug=project.slug)
        user = cast(User, request.user)
        data = form.cleaned_data
        start(project, by_id=user.pk, by=user.email, user=data["user"], is_csv=data["csv"], request=request)
        messages.success(request, "The export is asked for. A worker begins within seconds.")
        return redirect("project_exports", slug=project.slug)
    context = {"project": project, "form": form, "archives": keeping.list_archives(project), "days": keeping.KEPT.days}
    return render(request, "web/keeping/exports.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page(Role.ADMIN)
def export_file(request: HttpRequest, project: Project, archive_id: int) -> HttpResponseBase:
    """The archive as one tar file."""
    found = keeping.find_archive(project, archive_id)
    if found is None or not found[1].is_here:
        raise Http404
    return file_of(request, project, found[0])


@require_POST
@project_page(Role.ADMIN)
def export_drop(request: HttpRequest, project: Project, archive_id: int) -> HttpResponse:
    """Remove an archive before its days."""
    found = keeping.find_archive(project, archive_id)
    if found is None:
        raise Http404
    keeping.drop(found[0])
    record_in(project, "project.export.drop", str(archive_id), request=request)
    messages.success(request, "The archive is gone.")
    return redirect("project_exports", slug=project.slug)


def file_of(request: HttpRequest, project: Project, archive: Archive) -> HttpResponseBase:
    """The answer that streams an archive, piece by piece, with its line in the audit log."""
    name = f"telltale-{project.slug}-{archive.pk}.tar"
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type="application/x-tar")
    else:
        record_in(project, "project.export.download", str(archive.pk), request=request)
        response = StreamingHttpResponse(as_tar(archive), content_type="application/x-tar")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Accel-Buffering"] = "no"
    return response
