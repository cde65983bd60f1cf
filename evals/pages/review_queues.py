"""Setting up review queues: the list, one queue with what is in it, making, changing, closing, adding by hand."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from evals.forms import review as form
from evals.forms.fields import typed_of
from evals.pages import review_view as view
from evals.read import review as read
from evals.read.review import QueueView
from evals.read.setup import list_judges, list_rubrics
from evals.reviewing import assigning, dropping, queues
from evals.reviewing.config import KIND_WORDS, Enough, RefusedReview, stored_config
from evals.reviewing.exporting import PEOPLE, Wanted, columns, records
from evals.reviewing.filling import add_by_hand
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from traces.pages.export import FORMATS, Busy, busy_response, download

ITEMS_SHOWN = 50
STATES = {
    "": "All", "open": "Open", "disputed": "Disputed", "done": "Done", "settled": "Settled", "dropped": "Dropped",
}  # fmt: skip
_ID_MAX = 2**63 - 1


@require_http_methods(["GET", "HEAD"])
@project_page()
def queue_list(request: HttpRequest, project: Project) -> HttpResponse:
    """The queues of the project, closed ones last."""
    found = read.list_queues(project.pk, with_closed=True)
    counts = read.count_items([queue.id for queue in found])
    cards = [(queue, counts[queue.id], KIND_WORDS[queue.kind].split(":")[0]) for queue in found]
    shown, closed = ([card for card in cards if card[0].is_open is wants] for wants in (True, False))
    context = {
        "project": project,
        "cards": shown,
        "closed": closed,
        "lists": [("Open", shown), ("Closed", closed)],
        "may_set_up": may(project, "measure"),
    }
    return render(request, "evals/review_queues.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def queue_page(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """One queue: how far it is, how it is set up, and what is in it."""
    found = _queue(project, queue)
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    after = _place(request.GET.get("after", ""))
    items = read.list_items(
        project.pk, found.id, states=[state] if state else (), limit=ITEMS_SHOWN + 1, after=after
    )  # fmt: skip
    shown = items[:ITEMS_SHOWN]
    counts = read.count_items([found.id])[found.id]
    config = stored_config(found.config)
    rubric = found.rubric
    questions = read.previews(project.pk, list({each.trace_id for each in shown}))
    last = shown[-1] if len(items) > ITEMS_SHOWN else None
    base = reverse("review_queue", args=[project.slug, found.slug])
    progress = read.progress(project.pk, found.id, cast(User, request.user).pk)
    context: dict[str, Any] = {
        "project": project,
        "queue": found,
        "counts": counts,
        "config": config,
        "kind_words": view.kind_words(found),
        "criteria": [(each.title, each.definition) for each in rubric.criteria],
        "summary": view.summary_words(found, counts, progress, clock.now()),
        "people": read.reviewers(project.pk, found.id),
        "rows": [
            # A reason of a blind queue would tell what the judge thought.
            (
                each,
                questions.get(each.trace_id, "The trace is gone"),
                "" if found.is_blind and _waits(each) else each.reason,
            )
            for each in shown
        ],
        "states": [(word, f"{base}?state={key}" if key else base, key == state) for key, word in STATES.items()],
        "next_href": f"{base}?state={state}&after={last.priority!r},{last.id}" if last else "",
        "may_set_up": may(project, "measure"),
        "may_review": may(project, "review"),
        "members": assigning.reviewers(project) if may(project, "measure") else [],
        "told": config.told,
        "drawn": [
            (name, config.told.get("drawn", {}).get(name, 0), size)
            for name, size in sorted(config.told.get("sizes", {}).items())
        ],
    }
    return render(request, "evals/review_queue.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def queue_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Make a queue."""
    zone = clock.zone_of(project.time_zone)
    if request.method != "POST":
        judge = request.GET.get("judge", "")
        kind = request.GET.get("kind", form.DEFAULTS["kind"])
        return _form(request, project, form.DEFAULTS | {"judge": judge[:60], "kind": kind[:12]})
    typed = typed_of(request.POST, form.NAMES)
    try:
        wanted = form.wanted_of_form(typed, zone)
        made = queues.add_queue(project, wanted, by_id=cast(User, request.user).pk, request=request)
    except RefusedReview as refused:
        return _form(request, project, typed, refused=refused)
    messages.success(request, f"{made.name} is made.")
    return redirect("review_queue", project.slug, made.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def queue_edit(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Change a queue."""
    found, zone = _queue(project, queue), clock.zone_of(project.time_zone)
    if request.method != "POST":
        return _form(request, project, form.typed_of_queue(found, zone), found)
    typed = typed_of(request.POST, form.NAMES) | {"kind": found.kind}
    try:
        queues.change_queue(project, found, form.wanted_of_form(typed, zone, found), request=request)
    except RefusedReview as refused:
        return _form(request, project, typed, found, refused)
    messages.success(request, f"{found.name} is changed.")
    return redirect("review_queue", project.slug, found.slug)


@require_POST
@project_page(Role.ENGINEER)
def queue_close(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Close a queue, or open it again (`open=1`)."""
    found = _queue(project, queue)
    is_closed = request.POST.get("open") != "1"
    queues.close_queue(project, found, is_closed=is_closed, request=request)
    messages.success(request, f"{found.name} is {'closed' if is_closed else 'open again'}.")
    return redirect("review_queue", project.slug, found.slug)


@require_POST
@project_page(Role.ENGINEER)
def item_change(request: HttpRequest, project: Project, queue: str, item_id: int) -> HttpResponse:
    """Assign an item to somebody (`person`, empty: to anybody), or take it out (`drop=1`) or back in (`drop=0`)."""
    found = _queue(project, queue)
    item = read.get_item(project.pk, item_id) if item_id <= _ID_MAX else None
    if item is None or item.queue_id != found.id:
        raise Http404
    try:
        if "drop" in request.POST:
            dropping.drop(project, found, item, is_dropped=request.POST["drop"] == "1", request=request)
            messages.success(request, "The answer is out of the queue." if request.POST["drop"] == "1" else "Back in.")
        else:
            name = assigning.assign(project, found, item, request.POST.get("person", ""), request=request)
            messages.success(request, f"Assigned to {name}." if name else "Anybody may take it.")
    except RefusedReview as refused:
        messages.error(request, f"{refused.field.capitalize()} {refused.message}.")
    return redirect("review_queue", project.slug, found.slug)


@require_POST
@project_page(Role.REVIEWER)
def item_add(request: HttpRequest, project: Project) -> HttpResponse:
    """Send a trace to a queue, from its page."""
    if not request.POST.get("queue") or not request.POST.get("trace"):
        messages.error(request, "Name a queue and a trace.")
        return redirect("review_queues", project.slug)
    found = read.get_queue(project.pk, request.POST["queue"][:60])
    trace, span = _hex(request.POST.get("trace", ""), 32), _hex(request.POST.get("span", "0" * 16), 16)
    if found is None or trace is None or span is None:
        raise Http404
    person = cast(User, request.user)
    try:
        span_id = span - 2**64 if span >= 2**63 else span
        is_new = add_by_hand(project, found, UUID(int=trace), span_id, person.name or person.email)
    except RefusedReview:
        raise Http404 from None
    except Enough:
        messages.warning(request, f"{found.name} is closed.")
    else:
        words = f"Sent to {found.name}." if is_new else f"{found.name} has it already."
        messages.success(request, words)
    back = request.POST.get("back", "")
    is_ours = back.startswith("/p/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_ours else reverse("review_queue", args=[project.slug, found.slug]))


@require_http_methods(["GET", "HEAD"])
@project_page()
def export(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The reviews of a project or a queue as CSV or NDJSON."""
    kind = request.GET.get("format", "")
    if kind not in FORMATS:
        return redirect("review_queues", project.slug)
    slug = request.GET.get("queue", "")
    wanted = Wanted(by=PEOPLE, queue_id=_queue(project, slug).id if slug else None)
    try:
        names = columns(project.pk, wanted)
        found = iter(()) if request.method == "HEAD" else records(project.pk, wanted, names)
        return download(f"{project.slug}-reviews", kind, names, found, is_head=request.method == "HEAD")
    except Busy:
        return busy_response()


def _form(
    request: HttpRequest,
    project: Project,
    typed: dict[str, str],
    queue: QueueView | None = None,
    refused: RefusedReview | None = None,
) -> HttpResponse:
    rubrics, judges = list_rubrics(project.pk), list_judges(project.pk)
    fields = form.fields_of(typed, [each for each in rubrics if each.versions], judges, refused)
    context = {
        "project": project,
        "queue": queue,
        "fields": fields,
        "refused": refused,
        "refused_field": fields.get(form.field_of(refused)) if refused else None,
        "has_rubrics": bool(rubrics),
    }
    return render(request, "evals/review_queue_form.html", context, status=400 if refused else 200)


def _queue(project: Project, slug: str) -> QueueView:
    found = read.get_queue(project.pk, slug)
    if found is None:
        raise Http404
    return found


def _waits(item: read.ItemView) -> bool:
    return item.state in read.OPEN_STATES


def _place(raw: str) -> tuple[float, int] | None:
    priority, _, item_id = raw[:80].partition(",")
    try:
        place = float(priority), int(item_id)
    except ValueError:
        return None
    return place if abs(place[0]) < 1e15 and 0 <= place[1] <= _ID_MAX else None


def _hex(raw: str, digits: int) -> int | None:
    if len(raw) != digits or not all(c in "0123456789abcdefABCDEF" for c in raw):
        return None
    return int(raw, 16)
