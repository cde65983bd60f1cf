"""The inbox: one list of what waits for a person, filters in the address, and acts on many items at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from evals.read.review import list_queues
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.lib.faults import ItemRefused
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from telltale.web.inbox.acting import ACT_WORDS, KEYS_MOST, Actor, Outcome, act
from telltale.web.inbox.gather import gather
from telltale.web.inbox.items import ACTS, DISMISS, KIND_WORDS, UNDO, Asked, Item, Kind, chosen, ordered
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import query_string

PAGE_SIZE = 50
TEXT_MAX = 200
OWNERS = {"me": "Mine", "nobody": "Nobody's", "others": "Others'"}
NAMES = (
    "key", "kind", "severity", "title", "detail", "state", "owner", "since", "due_at", "feature", "path", "trace_id",
    "dismissed_at", "dismissed_by",
)  # fmt: skip
# What was put aside last, for the one button that takes it back.
_LAST = "inbox_put_aside"


@require_http_methods(["GET", "HEAD"])
@project_page()
def inbox(request: HttpRequest, project: Project) -> HttpResponseBase:
    """What waits, mine first; `format` has all that is chosen as a file."""
    now, query = clock.now(), request.GET
    person, asked = cast(User, request.user), read_asked(request.GET)
    found = gather(project, now)
    items = ordered(found.items, person.pk)
    kept = chosen(items, asked, person.pk)
    if query.get("format") in FORMATS:
        try:
            rows = iter(()) if request.method == "HEAD" else map(record, kept)
            name, is_head = f"{project.slug}-inbox", request.method == "HEAD"
            return download(name, query["format"], NAMES, rows, is_head=is_head)
        except Busy:
            return busy_response()
    page, at = page_of(kept, asked.after)
    waiting = [item for item in items if not item.is_dismissed]
    mine = sum(item.owner_id == person.pk for item in waiting)
    queues = [queue for queue in list_queues(project.pk) if queue.is_open] if may(project, "review") else []
    context: dict[str, Any] = {
        "project": project,
        "base": f"/p/{project.slug}/",
        "title": title(waiting, mine),
        "counts": count_words(waiting),
        "lacking": found.lacking,
        "is_capped": found.is_capped,
        "asked": asked,
        "lines": [(item, _ribbon(item, now)) for item in page],
        "shown": f"{at + 1:,}–{at + len(page):,} of {len(kept):,}" if page else "",
        "older": query_string(query, after=page[-1].key) if at + len(page) < len(kept) else "",
        "newer": _newer(query, kept, at),
        "chips": _chips(query, asked),
        "tabs": _tabs(query, asked, waiting),
        "owners": [(key, word, key == asked.owner) for key, word in OWNERS.items()],
        "kinds": [(kind.value, word, kind.value in asked.kinds) for kind, word in KIND_WORDS.items()],
        "features": sorted({item.feature for item in items if item.feature}),
        "queues": [(queue.slug, queue.name) for queue in queues],
        "csv": query_string(query, format="csv", after=None),
        "ndjson": query_string(query, format="ndjson", after=None),
        "here": request.get_full_path(),
        "may_act": may(project, "review"),
        "put_aside": request.session.pop(_LAST, []) if request.method == "GET" and _LAST in request.session else [],
        "now": now,
        "is_empty": not waiting,
    }
    return render(request, "web/inbox.html", context)


@require_POST
@project_page(Role.REVIEWER)
def inbox_act(request: HttpRequest, project: Project) -> HttpResponse:
    """Do one thing with the chosen items, and say what became of each."""
    back = _back(request, project)
    person = cast(User, request.user)
    keys = [key.replace("\x00", "")[:TEXT_MAX] for key in request.POST.getlist("key")]
    try:
        made = act(
            project, request.POST.get("act", ""), keys,
            queue=request.POST.get("queue", ""), by=Actor(person, "", request), now=clock.now(),
        )  # fmt: skip
    except ItemRefused as refused:
        messages.error(request, _refused_words(refused))
        return redirect(back)
    if made.act == DISMISS and made.done:
        request.session[_LAST] = list(made.done)
    for level, text in words_of(made):
        messages.add_message(request, level, text)
    return redirect(back)


def _refused_words(refused: ItemRefused) -> str:
    fault = refused.faults[0]
    if fault.field == "keys":
        return "Nothing was chosen. Tick the items first (x), or open one." if "nothing" in fault.message else (
            f"At most {KEYS_MOST} items at once."
        )  # fmt: skip
    if fault.field == "queue":
        return "Choose an open review queue first."
    return f"{fault.field} {fault.message}."


def words_of(made: Outcome) -> Iterator[tuple[int, str]]:
    """What was done, as messages with their level."""
    if made.done:
        n = len(made.done)
        yield messages.SUCCESS, f"{fmt.count(n)} item{'' if n == 1 else 's'} {ACT_WORDS[made.act]}."
    if made.same and not made.done:
        yield messages.INFO, "Nothing changed: it was so before."
    reasons: dict[str, int] = {}
    for _, why in made.refused:
        reasons[why] = reasons.get(why, 0) + 1
    for why, n in reasons.items():
        yield messages.WARNING, f"{fmt.count(n)} item{' was' if n == 1 else 's were'} left as before: {why}."


def _back(request: HttpRequest, project: Project) -> str:
    """Where the person came from within the inbox; its first page otherwise."""
    home = reverse("inbox", args=[project.slug])
    asked = urlsplit(request.POST.get("next", ""))
    return f"{home}?{asked.query}" if asked.path == home and asked.query and not asked.netloc else home


def read_asked(query: QueryDict) -> Asked:
    """The filters of an address; what it says wrongly is left out."""
    kinds = {kind.value for kind in Kind}
    severity, owner = query.get("severity", "").lower(), query.get("owner", "")
    return Asked(
        kinds=tuple(one for one in query.getlist("kind") if one in kinds),
        owner=owner if owner in OWNERS else "",
        severity=int(severity[1]) if severity in {"p0", "p1", "p2", "p3"} else None,
        feature=query.get("feature", "")[:TEXT_MAX],
        search=query.get("q", "").replace("\x00", "")[:TEXT_MAX].strip(),
        dismissed=query.get("dismissed") == "yes",
        after=query.get("after", "")[:TEXT_MAX],
    )


def page_of(items: Sequence[Item], after: str, size: int = PAGE_SIZE) -> tuple[list[Item], int]:
    """The page that follows the item `after` and how many lie before it; the first where that one is gone."""
    at = next((place + 1 for place, item in enumerate(items) if item.key == after), 0) if after else 0
    return list(items[at : at + size]), at


def _newer(query: QueryDict, items: Sequence[Item], at: int) -> str:
    if not at:
        return ""
    before = at - PAGE_SIZE
    return query_string(query, after=items[before - 1].key if before > 0 else None) or "?"


def title(waiting: Sequence[Item], mine: int) -> str:
    """The answer of the page: "3 incidents want a person; 2 items are yours"."""
    if not waiting:
        return "Nothing waits for a person"
    incidents = sum(item.kind is Kind.INCIDENT for item in waiting)
    first = f"{incidents} open incident{'' if incidents == 1 else 's'}" if incidents else "No incident is open"
    rest = len(waiting) - incidents
    more = f"{fmt.count(rest)} other item{'' if rest == 1 else 's'} wait{'s' if rest == 1 else ''}"
    yours = f"; {fmt.count(mine)} of all yours" if mine else ""
    return f"{first}{', ' + more if rest else ''}{yours}"


def count_words(waiting: Iterable[Item]) -> str:
    """How many of each kind: "1 incident, 12 flagged answers"."""
    counted: dict[Kind, int] = {}
    for item in waiting:
        counted[item.kind] = counted.get(item.kind, 0) + 1
    parts = []
    for kind, word in KIND_WORDS.items():
        if n := counted.get(kind, 0):
            one = {Kind.SIGNALS: "finding about user signals", Kind.SETUP: "gap about the set-up"}.get(
                kind, word.lower()
            )
            first, _, rest = one.partition(" about ")
            parts.append(
                f"{fmt.count(n)} {one}" if n == 1 else f"{fmt.count(n)} {first}s{' about ' + rest if rest else ''}"
            )
    return ", ".join(parts)


def record(item: Item) -> dict[str, Any]:
    """An item as files and REST have it."""
    return {
        "key": item.key,
        "kind": item.kind.value,
        "severity": None if item.severity is None else f"P{item.severity}",
        "title": item.title,
        "detail": item.detail,
        "state": item.state,
        "owner": item.owner or None,
        "since": item.at,
        "due_at": item.due_at,
        "feature": item.feature or None,
        "path": item.path,
        "trace_id": item.trace_id.hex if item.trace_id else None,
        "dismissed_at": item.dismissed_at,
        "dismissed_by": item.dismissed_by or None,
    }


def _ribbon(item: Item, now: datetime) -> str:
    if item.is_dismissed:
        return "none"
    return "bad" if item.is_overdue(now) else "watch"


def _chips(query: QueryDict, asked: Asked) -> list[dict[str, str]]:
    """The filters of the address, each with the address without it."""
    found = [
        {
            "field": "kind",
            "word": KIND_WORDS[Kind(kind)],
            "remove": query_string(query, kind=None, after=None) or "?",
        }
        for kind in asked.kinds
    ]
    words = {
        "owner": OWNERS.get(asked.owner, ""),
        "severity": "" if asked.severity is None else f"P{asked.severity}",
        "feature": asked.feature,
        "dismissed": "yes" if asked.dismissed else "",
        "q": asked.search,
    }
    names = {"q": "text", "dismissed": "put aside"}
    return found + [
        {"field": names.get(name, name), "word": word, "remove": query_string(query, after=None, **{name: None}) or "?"}
        for name, word in words.items()
        if word
    ]


def _tabs(query: QueryDict, asked: Asked, waiting: Sequence[Item]) -> list[tuple[str, str, bool]]:
    """Kinds that wait, with how many, as buttons."""
    counted: dict[str, int] = {}
    for item in waiting:
        counted[item.kind.value] = counted.get(item.kind.value, 0) + 1
    return [("?", "All", not asked.is_filtered)] + [
        (f"?kind={kind.value}", f"{word} ({fmt.count(counted[kind.value])})", asked.kinds == (kind.value,))
        for kind, word in KIND_WORDS.items()
        if counted.get(kind.value)
    ]


__all__ = ["ACTS", "UNDO", "inbox", "inbox_act", "read_asked", "record"]
