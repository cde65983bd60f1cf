"""The pages of datasets: the list, one with its items and versions, an item's editor, adding from traces and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast
from urllib.parse import quote

import orjson
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from evals import keeping
from evals.api.datasets import item_json
from evals.keeping import By, DatasetRefused, NewItem
from evals.metrics.contents import question_of, text_of
from evals.pages.cells import flat
from evals.read import datasets as read
from evals.read.datasets import DatasetRow, ItemRow
from evals.read.experiments import list_experiments
from evals.read.review import get_queue
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role
from telltale.rest import params
from traces.forms import read_list
from traces.own_calls import without_calls
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.read import FilterError, TooSlow, resolve_id
from traces.read.listing import each_trace

PAGE_ITEMS = 50
SHOWN_MAX = 20
CUT_CHARS = 240
ORIGIN_WORDS = {"trace": "a trace", "review": "a review", "incident": "an incident", "file": "a file", "api": "the API"}
KIND_WORDS = {"added": ("ok", "Added"), "removed": ("bad", "Removed"), "changed": ("watch", "Changed")}
VERDICTS = (
    ("", "Anything"),
    ("good", "Good"),
    ("failure", "Failure"),
    ("false_alarm", "False alarm"),
    ("unsure", "Unsure"),
)
COLUMNS = ("key", "input", "expected", "metadata", "origin", "trace_id", "span_id", "ref", "inclusion_probability")


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item as a page writes it: texts cut, where it came from in words."""

    item: ItemRow
    asked: str
    expected: str
    origin: str
    trace_href: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A difference between versions, both sides as text."""

    key: str
    ribbon: str
    word: str
    old_input: str
    new_input: str
    old_expected: str
    new_expected: str


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def dataset_list(request: HttpRequest, project: Project) -> HttpResponse:
    """The datasets of the project; POST makes one."""
    context: dict[str, Any] = {"typed": {"name": "", "description": ""}}
    if request.method == "POST":
        require(project, "measure")
        context["typed"] = {name: request.POST.get(name, "")[:5000] for name in ("name", "description")}
        try:
            made = keeping.make_dataset(project, context["typed"]["name"], context["typed"]["description"],
                                        by=by(request))  # fmt: skip
        except DatasetRefused as refused:
            context["refused"] = refused
        else:
            messages.success(request, f"{made.name} is there. Add its first items.")
            return redirect("dataset", slug=project.slug, dataset=made.slug)
    rows = read.list_datasets(project.pk, with_archived=True)
    context |= {
        "project": project,
        "rows": [row for row in rows if row.archived_at is None],
        "archived": [row for row in rows if row.archived_at is not None],
        "may_change": may(project, "measure"),
        "name_max": keeping.NAME_MAX,
    }
    return render(request, "evals/datasets.html", context, status=400 if "refused" in context else 200)


@require_http_methods(["GET", "HEAD"])
@project_page()
def dataset_page(request: HttpRequest, project: Project, dataset: str) -> HttpResponseBase:
    """One dataset: the items of a version, its versions and experiments; `format=` has the version as a file."""
    row = find(project, dataset)
    version = _version(request, "v", row.version, row.version)
    if request.GET.get("format") in FORMATS:
        return _file(request, row, version)
    after, before, q = (_text(request, name) for name in ("after", "before", "q"))
    page = read.list_items(row.id, version, after=after, before=before, q=q, limit=PAGE_ITEMS)
    versions = read.list_versions(row.id)
    context = {
        "project": project,
        "dataset": row,
        "version": version,
        "is_newest": version == row.version,
        "held": next((each for each in versions if each.number == version), None),
        "versions": versions,
        "items": [view(project, item) for item in page.items],
        "total": page.total,
        "q": q,
        "newer": f"?{_keep(version, row, q)}before={quote(page.before)}" if page.before else "",
        "older": f"?{_keep(version, row, q)}after={quote(page.after)}" if page.after else "",
        "shown": f"{len(page.items):,} of {page.total:,}",
        "experiments": list_experiments(project.pk, dataset_id=row.id, limit=10),
        "may_change": may(project, "measure") and row.archived_at is None,
        "may_manage": may(project, "measure"),
    }
    return render(request, "evals/dataset.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def dataset_diff(request: HttpRequest, project: Project, dataset: str) -> HttpResponse:
    """What differs between two versions."""
    row = find(project, dataset)
    new = _version(request, "new", row.version, row.version)
    old = _version(request, "old", max(new - 1, 0), row.version)
    changes = read.diff(row.id, old, new)
    counts = {kind: sum(change.kind == kind for change in changes) for kind in KIND_WORDS}
    context = {
        "project": project,
        "dataset": row,
        "old": old,
        "new": new,
        "versions": list(range(row.version, -1, -1))[:200],
        "counts": counts,
        "total": len(changes),
        "changes": [_change(change) for change in changes[:200]],
        "more": max(len(changes) - 200, 0),
    }
    return render(request, "evals/dataset_diff.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def dataset_item(request: HttpRequest, project: Project, dataset: str, item_key: str) -> HttpResponse:
    """One item as a version holds it, with its history; POST edits it, which makes a version."""
    row = find(project, dataset)
    version = _version(request, "v", row.version, row.version)
    item = read.get_item(row.id, version, item_key)
    history = read.item_history(row.id, item_key)
    if not history:
        raise Http404
    shown = item or history[0]
    context: dict[str, Any] = {
        "typed": {"input": _shown(shown.input), "expected": _shown(shown.expected), "metadata": _pretty(shown.metadata)}
    }
    if request.method == "POST":
        require(project, "measure")
        context["typed"] = {name: request.POST.get(name, "") for name in ("input", "expected", "metadata", "note")}
        try:
            put = _edit(project, row, item_key, context["typed"], by(request))
        except DatasetRefused as refused:
            context["refused"] = refused
        else:
            said = f"Version {put.version} holds the change." if put.is_change else "Nothing differs; no new version."
            messages.success(request, said)
            return redirect("dataset_item", slug=project.slug, dataset=row.slug, item_key=item_key)
    context |= {
        "project": project,
        "dataset": row,
        "version": version,
        "is_newest": version == row.version,
        "is_there": item is not None,
        "view": view(project, shown),
        "history": [(view(project, each), each) for each in history],
        "may_change": may(project, "measure") and row.archived_at is None and item is not None
        and version == row.version,
        "note_max": keeping.NOTE_MAX,
    }  # fmt: skip
    return render(request, "evals/dataset_item.html", context, status=400 if "refused" in context else 200)


@require_POST
@project_page(Role.ENGINEER)
def item_remove(request: HttpRequest, project: Project, dataset: str, item_key: str) -> HttpResponse:
    """Leave an item out from a new version on."""
    row = find(project, dataset)
    try:
        put = keeping.remove_items(project, row.slug, [item_key], by=by(request))
    except DatasetRefused as refused:
        messages.error(request, f"The dataset {refused.message}.")
    else:
        said = (
            f"Version {put.version} is without it; versions before keep it." if put.removed else "It was out already."
        )
        messages.success(request, said)
    return redirect("dataset", slug=project.slug, dataset=row.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def items_new(request: HttpRequest, project: Project, dataset: str) -> HttpResponse:
    """Add one item by hand, or those of a file."""
    row = find(project, dataset)
    names = ("key", "input", "expected", "input_columns", "expected_column", "key_column", "note")
    context: dict[str, Any] = {"typed": dict.fromkeys(names, "")}
    if request.method == "POST":
        context["typed"] = {name: request.POST.get(name, "") for name in names}
        try:
            items = _uploaded(request, context["typed"]) or [_typed_item(context["typed"])]
            note = context["typed"]["note"]
            put = keeping.put_items(project, row.slug, items, note=note, by=by(request))
        except DatasetRefused as refused:
            context["refused"] = refused
        else:
            messages.success(request, put_words(put))
            return redirect("dataset", slug=project.slug, dataset=row.slug)
    context |= {
        "project": project, "dataset": row, "file_max": keeping.FILE_BYTES_MAX, "items_max": keeping.ITEMS_MAX,
        "note_max": keeping.NOTE_MAX,
    }  # fmt: skip
    return render(request, "evals/dataset_new_items.html", context, status=400 if "refused" in context else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def dataset_add(request: HttpRequest, project: Project) -> HttpResponse:
    """Take traces, or the reviewed traces of a queue, into a dataset: one that is there, or a new one."""
    asked = request.POST if request.method == "POST" else request.GET
    raw = [*asked.getlist("trace"), *asked.getlist("pick")][: keeping.TRACES_MAX]
    is_list = request.method != "POST" and not raw and not asked.get("queue") and bool(asked)
    if is_list:
        raw, why_not = _listed(request, project)
    span_id = params.span_id(asked.get("span", "")) or 0
    targets = [(trace_id, span_id) for text in raw if (trace_id := params.trace_id(text)) is not None]
    queue = get_queue(project.pk, asked.get("queue", "")[:60]) if asked.get("queue") else None
    context: dict[str, Any] = {
        "typed": {"dataset": asked.get("dataset", "")[:80], "name": asked.get("name", "")[:200],
                  "verdict": asked.get("verdict", "")[:20], "answer": asked.get("answer", "")},
    }  # fmt: skip
    if request.method == "POST" and (targets or queue):
        try:
            put, slug, gone = _take(project, targets, queue.id if queue else None, context["typed"], by(request))
        except DatasetRefused as refused:
            context["refused"] = refused
        else:
            left = f" {gone} told nothing of what was asked and {'was' if gone == 1 else 'were'} left out." * bool(gone)
            messages.success(request, put_words(put) + left)
            return redirect("dataset", slug=project.slug, dataset=slug)
    context |= {
        "project": project, "targets": [trace_id.hex for trace_id, _ in targets],
        "shown": [trace_id.hex for trace_id, _ in targets[:SHOWN_MAX]], "more": max(len(targets) - SHOWN_MAX, 0),
        "why_not": why_not if is_list else "", "is_list": is_list, "most": keeping.TRACES_MAX,
        "is_cut": is_list and len(targets) == keeping.TRACES_MAX, "span": asked.get("span", "")[:16],
        "queue": queue, "verdicts": VERDICTS, "datasets": read.list_datasets(project.pk), "name_max": keeping.NAME_MAX,
    }  # fmt: skip
    return render(request, "evals/dataset_add.html", context, status=400 if "refused" in context else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def dataset_settings(request: HttpRequest, project: Project, dataset: str) -> HttpResponse:
    """Rename and describe a dataset, put it away, bring it back."""
    row = find(project, dataset)
    context: dict[str, Any] = {"typed": {"name": row.name, "description": row.description}}
    if request.method == "POST":
        wanted: dict[str, Any] = {}
        if "archive" in request.POST:
            wanted["is_archived"] = request.POST["archive"] == "yes"
        else:
            wanted = {name: request.POST.get(name, "")[:5000] for name in ("name", "description")}
            context["typed"] = wanted
        try:
            keeping.change_dataset(project, row.slug, **wanted, by=by(request))
        except DatasetRefused as refused:
            context["refused"] = refused
        else:
            messages.success(request, "Saved.")
            return redirect("dataset", slug=project.slug, dataset=row.slug)
    context |= {"project": project, "dataset": row, "name_max": keeping.NAME_MAX}
    return render(request, "evals/dataset_settings.html", context, status=400 if "refused" in context else 200)


def _listed(request: HttpRequest, project: Project) -> tuple[list[str], str]:
    """The traces of a list that the address spells, as many as are taken at once, and what is wrong with it."""
    state = read_list(request.GET, clock.zone_of(project.time_zone), clock.now())
    if state.errors:
        return [], "; ".join(f"{error.key} {error.message}" for error in state.errors[:5])
    wanted = without_calls(project.pk, state.wanted, is_shown=state.shows_judging)
    try:
        wanted = resolve_id(project.pk, wanted)
        rows = islice(each_trace(project.pk, wanted, state.sort, keeping.TRACES_MAX), keeping.TRACES_MAX)
        return [row.hex_id for row in rows], ""
    except FilterError as error:
        return [], f"{error.key} {error.message}"
    except TooSlow:
        return [], "The list took too long to read; a shorter time range makes it quick"


def find(project: Project, slug: str) -> DatasetRow:
    """The dataset of an address; Http404."""
    row = read.get_dataset(project.pk, slug)
    if row is None:
        raise Http404
    return row


def by(request: HttpRequest) -> By:
    """Who changes something on a page."""
    return By(cast(User, request.user).pk, "", request)


def put_words(put: keeping.Put) -> str:
    """What a change of items did, in a sentence."""
    left = f" {put.erased:,} left out: their traces were erased." if put.erased else ""
    if not put.is_change:
        return f"Nothing differs from what is there; no new version.{left}"
    parts = [f"{n:,} {word}" for n, word in ((put.added, "added"), (put.changed, "changed"), (put.removed, "removed"),
                                             (put.same, "the same as before")) if n]  # fmt: skip
    return f"Version {put.version}: {', '.join(parts)}.{left}"


def view(project: Project, item: ItemRow) -> ItemView:
    """An item for a page."""
    href = reverse("trace_page", args=[project.slug, item.trace_id.hex]) if item.trace_id else ""
    return ItemView(
        item,
        cut(question_of(item.input)),
        cut(text_of(item.expected)),
        ORIGIN_WORDS.get(item.origin, item.origin),
        href,
    )


def cut(text: str, most: int = CUT_CHARS) -> str:
    """Text as a row of a table has room for."""
    flat = " ".join(text[: most * 4].split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _version(request: HttpRequest, name: str, usual: int, newest: int) -> int:
    raw = request.GET.get(name, "")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 9 and int(raw) <= newest else usual


def _text(request: HttpRequest, name: str) -> str:
    return "".join(c for c in request.GET.get(name, "")[:200] if c != "\x00" and not "\ud800" <= c <= "\udfff")


def _keep(version: int, row: DatasetRow, q: str) -> str:
    kept = f"v={version}&" if version != row.version else ""
    return kept + (f"q={quote(q)}&" if q else "")


def _change(change: read.Change) -> ChangeView:
    ribbon, word = KIND_WORDS[change.kind]
    old, new = change.old, change.new
    return ChangeView(
        change.key, ribbon, word, *(_shown(side.input) if side else "" for side in (old, new)),
        *(_shown(side.expected) if side else "" for side in (old, new)),
    )  # fmt: skip


def _shown(value: Any) -> str:
    """A value as its editor shows it: text as text, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _pretty(value)


def _pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _typed_value(field: str, text: str) -> Any:
    """What was typed: JSON where it is an object or an array, else the text itself."""
    text = text.replace("\r\n", "\n")
    if not text.strip():
        return None
    if text.lstrip()[:1] in "{[":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            limit = "JSON, or text that begins with another character"
            raise DatasetRefused(field, f"begins like JSON and is none: {error}", limit) from None
    return text


def _typed_item(typed: Mapping[str, str]) -> NewItem:
    return NewItem(
        typed["key"], _typed_value("input", typed["input"]), _typed_value("expected", typed["expected"]), origin="api"
    )


def _edit(project: Project, row: DatasetRow, key: str, typed: Mapping[str, str], who: By) -> keeping.Put:
    metadata = _typed_value("metadata", typed["metadata"])
    if metadata is not None and not isinstance(metadata, dict):
        raise DatasetRefused("metadata", "is no object", "a JSON object, or nothing")
    item = NewItem(
        key, _typed_value("input", typed["input"]), _typed_value("expected", typed["expected"]), metadata or {}
    )
    try:
        return keeping.put_items(project, row.slug, [item], note=typed["note"], by=who)
    except DatasetRefused as refused:
        raise DatasetRefused(
            refused.field.removeprefix("items[0].").removeprefix("items[0]") or "input", refused.message, refused.limit,
            refused.value,
        ) from None  # fmt: skip


def _uploaded(request: HttpRequest, typed: Mapping[str, str]) -> list[NewItem]:
    upload = request.FILES.get("file")
    if upload is None:
        return []
    if (upload.size or 0) > keeping.FILE_BYTES_MAX:
        raise DatasetRefused("file", "is too large", f"{keeping.FILE_BYTES_MAX:,} bytes", f"{upload.size:,} bytes")
    data, name = upload.read(), "".join(c for c in str(upload.name)[:100] if c.isprintable())
    mapping = keeping.Mapping(
        keeping.split_names(typed["input_columns"]), typed["expected_column"].strip(), typed["key_column"].strip()
    )
    return keeping.read_file(keeping.kind_of(name, data), data, mapping, name)


def _take(
    project: Project, targets: list[Any], queue_id: int | None, typed: Mapping[str, str], who: By
) -> tuple[keeping.Put, str, int]:
    with_answer = typed["answer"] == "on"
    if queue_id is not None:
        verdict = typed["verdict"]
        items, gone = keeping.items_of_reviews(project.pk, queue_id, verdict=verdict, with_answer=with_answer)
        note = "from a review queue"
    else:
        items, gone = keeping.items_of_traces(project.pk, targets, with_answer=with_answer)
        note = f"from {len(items)} trace{'' if len(items) == 1 else 's'}"
    if not items:
        raise DatasetRefused("traces", "tell nothing of what was asked", "traces with a question that is still stored")
    if not typed["dataset"] and not typed["name"].strip():
        raise DatasetRefused("dataset", "needs to be chosen, or a new one named")
    with transaction.atomic():
        slug = typed["dataset"]
        if typed["name"].strip():
            slug = keeping.make_dataset(project, typed["name"], by=who).slug
        return keeping.put_items(project, slug, items, note=note, by=who), slug, gone


def _file(request: HttpRequest, row: DatasetRow, version: int) -> HttpResponseBase:
    kind, is_head = request.GET["format"], request.method == "HEAD"
    records = iter(()) if is_head else _records(row.id, version, kind)
    try:
        return download(f"{row.slug}-v{version}", kind, COLUMNS, records, is_head=is_head)
    except Busy:
        return busy_response()


def _records(dataset_id: int, version: int, kind: str) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        page = read.list_items(dataset_id, version, after=after, limit=500)
        for item in page.items:
            told = item_json(item)
            if kind == "csv":
                told |= {name: flat(told[name]) for name in ("input", "expected", "metadata")}
            yield {name: told[name] for name in COLUMNS}
        if not page.after:
            return
        after = page.after

