"""The review page: what waits, the item with everything a reviewer needs, and the form for the verdict.

Looking changes nothing. An item is held by POST: the page's script does so at once, without it there is a button.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from evals.judges.material import Material
from evals.pages import review_view as view
from evals.read import review as read
from evals.read.calibration import CalibrationRow, newest
from evals.read.material import load_material
from evals.read.review import ItemView, Judged, QueueView, ReviewView
from evals.reviewing import datasets, handing, verdicts
from evals.reviewing.assigning import able_reviewers
from evals.reviewing.config import NOTE_MAX, RULES, VERDICTS, Enough, Held, RefusedReview, stored_config
from evals.reviewing.handing import SHOWN, hold_item, hold_next, keys_of, lease_key, new_tab
from evals.reviewing.people import Reviewer, reviewer_of
from evals.reviewing.verdicts import Given
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.format import count, latency
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

SHOWN_ROWS, RECENT_ROWS = 30, 6
TAB_MAX = 40
_ID_MAX = 2**63 - 1


@require_http_methods(["GET", "HEAD"])
@project_page()
def review(request: HttpRequest, project: Project) -> HttpResponse:
    """One queue: the first that has something to do, or the one that the address names."""
    queues = read.list_queues(project.pk)
    counts = read.count_items([queue.id for queue in queues])
    wanted = request.GET.get("queue", "")
    if wanted:
        queue = next((each for each in queues if each.slug == wanted), None) or read.get_queue(project.pk, wanted)
        if queue is None:
            raise Http404
    else:
        queue = next((each for each in queues if counts[each.id].waiting), None) or (queues[0] if queues else None)
    if queue is None:
        context = {"project": project, "may_set_up": may(project, "measure"), "queue": None}
        return render(request, "evals/review.html", context)
    counts = counts if queue.id in counts else counts | read.count_items([queue.id])
    context = _context(request, project, queue, counts[queue.id]) | {
        "queues": [(each, counts[each.id].waiting) for each in queues],
    }
    return render(request, "evals/review.html", context)


def _context(
    request: HttpRequest,
    project: Project,
    queue: QueueView,
    counts: read.Counts,
    *,
    typed: Mapping[str, str] | None = None,
    refused: RefusedReview | None = None,
) -> dict[str, Any]:
    person, now = cast(User, request.user), clock.now()
    may_review = may(project, "review")
    source = request.GET if request.method in ("GET", "HEAD") else request.POST
    tab, mode = _tab(source), _mode(queue, source)
    keys = _keys(request, tab)
    held = read.held_item(project.pk, queue.id, person.pk, keys) if may_review and tab else None
    asked = _item_of(project, queue, source.get("item", ""), held)
    item = asked or held
    waiting = read.list_items(project.pk, queue.id, states=read.OPEN_STATES, limit=SHOWN_ROWS)
    recent = read.recent_items(project.pk, queue.id, person.pk, RECENT_ROWS)
    listed = {each.id: each for each in (*waiting, *recent, *([item] if item else []))}
    last = read.last_act(project.pk, queue.id, person.pk) if may_review else None
    said_all = read.reviews_of(project.pk, listed)
    mine = {each.item_id: each for each in said_all if each.reviewer_id == person.pk and not each.is_skip}
    targets = {(each.trace_id, each.span_id) for each in listed.values()}
    if last is not None:
        targets.add((last.trace_id, last.span_id))
    judged = read.judged_targets(
        project.pk, sorted(targets), judge_id=queue.judge_id, judge_version_id=queue.judge_version_id
    )
    is_blind = mode == "blind"
    base = f"/p/{project.slug}/"
    query = [("queue", queue.slug), *([("mode", mode)] if not queue.is_blind else []), *([("tab", tab)] if tab else [])]
    rows = view.rows_of(
        [*(each for each in waiting if each.id not in mine), *recent],
        questions=read.previews(project.pk, list({each.trace_id for each in listed.values()})),
        judged=judged,
        said=cast("dict[int, ReviewView]", mine),
        person_id=person.pk,
        current=item.id if item else None,
        is_blind=is_blind,
        base=f"{base}review/",
        query=query,
    )
    progress = read.progress(project.pk, queue.id, person.pk)
    context: dict[str, Any] = {
        "project": project,
        "queue": queue,
        "counts": counts,
        "rows": rows,
        "more": max(counts.waiting - len(waiting), 0),
        "tab": tab,
        "mode": mode,
        "modes": _modes(queue, source, mode, base),
        "may_review": may_review,
        "may_set_up": may(project, "measure"),
        "title": view.title_words(queue, counts),
        "summary": view.summary_words(queue, counts, progress, now),
        "flag_words": view.flag_words(_calibrations(project, queue)) if not is_blind else "",
        "waits": f"{count(counts.waiting)} waiting" + _oldest(counts, now),
        "last": _last(queue, last, judged, base) if last else None,
        "form_base": f"{base}review/{queue.slug}/",
        "refused": refused,
    }
    if item is None:
        return context | _nothing(queue, counts, person, may_review=may_review, tab=tab)
    own = mine.get(item.id)
    return context | _shown(project, queue, item, held, own, said_all, judged, is_blind, typed or {}, may_review)


def _shown(
    project: Project,
    queue: QueueView,
    item: ItemView,
    held: ItemView | None,
    own: ReviewView | None,
    said_all: list[ReviewView],
    judged: Mapping[Any, Judged],
    is_blind: bool,
    typed: Mapping[str, str],
    may_review: bool,
) -> dict[str, Any]:
    """What the page shows of one item."""
    is_held = held is not None and held.id == item.id
    is_over = item.state in ("done", "settled", "dropped")
    if is_held and held is not None:
        shows_judge = held.lease_key.startswith(SHOWN)
    else:
        shows_judge = own is not None or not is_blind or (is_over and not queue.is_open)
    found = judged.get((item.trace_id, item.span_id))
    quotes = found.evidence if found is not None and shows_judge else ()
    material = load_material(project.pk, item.trace_id, item.span_id)
    documents, more_documents = view.sources(material, quotes) if material else ([], 0)
    base = f"/p/{project.slug}/"
    rubric = queue.rubric
    said = [each for each in said_all if each.item_id == item.id and not each.is_skip]
    # Who has yet to say theirs is told what others said only where it is theirs to settle.
    shows_said = own is not None or is_over or item.state == "disputed" or not may_review
    config = stored_config(queue.config)
    is_triage = queue.kind == RULES and "flagged" in config.rules and shows_judge
    return {
        "item": item,
        "is_held": is_held,
        "shows_judge": shows_judge,
        "facts": ", ".join(part for part in (item.feature, _version(item), item.model) if part),
        "trace_href": f"{base}traces/{item.hex_id}/" if shows_judge else "",
        "is_gone": material is None,
        "bubbles": view.conversation(material, read.next_words(project.pk, item.trace_id), quotes) if material else [],
        "documents": documents,
        "more_documents": more_documents,
        "ending": _ending(material),
        "judge": view.judge_block(found, base) if found is not None and shows_judge else None,
        "is_unjudged": found is None and shows_judge,
        "spoken": [view.spoken(each, rubric) for each in said] if shows_said else [],
        "own": own,
        "options": view.options(queue, is_triage=is_triage, chosen=typed.get("verdict", "")),
        "questions": view.questions(
            rubric, {name.removeprefix("score."): value for name, value in typed.items() if name.startswith("score.")}
        ),
        "needs_scores": config.needs_scores,
        "categories": config.categories,
        "typed": typed,
        "note_max": NOTE_MAX,
        "shown_at": f"{time.time():.2f}",
        "datasets": datasets.choices(project.pk) if may_review and is_held else [],
    }


def _calibrations(project: Project, queue: QueueView) -> tuple[CalibrationRow, ...]:
    """What was found of the queue's judge, where it is a queue of what one judge flags."""
    if queue.judge_id is None or queue.kind != RULES:
        return ()
    return newest(project.pk, judge_id=queue.judge_id)


def _nothing(queue: QueueView, counts: read.Counts, person: User, *, may_review: bool, tab: str) -> dict[str, Any]:
    """Why there is no item on the page."""
    if not queue.is_open:
        state = "closed"
    elif not counts.total - counts.dropped:
        state = "empty"
    elif not counts.waiting:
        state = "done"
    elif not may_review:
        state = "looking"
    else:
        left = read.left_for(queue.id, person.pk, able_reviewers(queue.project_id), may_settle=may_review)
        state = "ready" if left.free else "taken" if left.held else "others"
        return {"item": None, "state": state, "left": left, "starts": state == "ready" and not tab}
    return {"item": None, "state": state}


@require_POST
@project_page(Role.REVIEWER)
def hold(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Hold the next item, or the one that is named, for this tab."""
    found = _queue(project, queue)
    tab = _tab(request.POST) or new_tab()
    reviewer, mode = _reviewer(request, project), _mode(found, request.POST)
    key = lease_key(tab, _browser(request), is_blind=mode == "blind")
    wanted = request.POST.get("item", "")
    if wanted:
        item = _item_of(project, found, wanted, None)
        if item is None:
            raise Http404
        try:
            hold_item(found, reviewer, key, item.id)
        except Held as error:
            messages.warning(request, f"{error.by} is looking at that answer now.")
        except Enough:
            messages.warning(request, "That answer needs no (further) review of yours.")
        return _to(project, found, mode, tab)
    hold_next(found, reviewer, key)
    return _to(project, found, mode, tab)


@require_POST
@project_page(Role.REVIEWER)
def verdict(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Keep what was said of an item, and hold the next; what cannot be kept comes back to be mended."""
    found = _queue(project, queue)
    tab, mode, reviewer = _tab(request.POST), _mode(found, request.POST), _reviewer(request, project)
    item = _item_of(project, found, request.POST.get("item", ""), None)
    if item is None:
        return _to(project, found, mode, tab)
    keys = _keys(request, tab)
    typed = {name: str(value) for name, value in request.POST.items()}
    given = Given(
        verdict=typed.get("verdict", "") if typed.get("verdict") in (*VERDICTS, "", None) else "none such",
        scores={name.removeprefix("score."): value for name, value in typed.items() if name.startswith("score.")},
        category=typed.get("category", ""),
        note=typed.get("note", "").replace("\r\n", "\n"),
        seconds=_seconds(typed.get("shown", "")),
    )
    try:
        taken = verdicts.save_verdict(found, item.id, reviewer, keys, given)
    except RefusedReview as refused:
        counts = read.count_items([found.id])[found.id]
        context = _context(request, project, found, counts, typed=typed, refused=refused)
        queues = read.list_queues(project.pk)
        return render(request, "evals/review.html", context | {"queues": [(each, None) for each in queues]}, status=400)
    except Held as error:
        messages.warning(request, f"Your hold on that answer ran out, and {error.by} has it now. Nothing was saved.")
    except Enough:
        messages.warning(request, "That answer has all the reviews it wanted. Nothing was saved.")
    else:
        chosen = typed.get("dataset", "")
        if chosen:
            _keep(request, project, taken.review, chosen)
    hold_next(found, reviewer, lease_key(tab or new_tab(), _browser(request), is_blind=mode == "blind"))
    return _to(project, found, mode, tab)


def _keep(request: HttpRequest, project: Project, said: ReviewView, slug: str) -> None:
    try:
        name = datasets.keep(project, slug, said, by_id=cast(User, request.user).pk, request=request)
    except datasets.NotKept as error:
        messages.warning(request, f"The review is saved; the answer is not in the dataset: {error}")
    else:
        messages.success(request, f"Kept in the dataset “{name}”.")


@require_POST
@project_page(Role.REVIEWER)
def skip(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Pass the item on to others, and hold the next."""
    found = _queue(project, queue)
    tab, mode, reviewer = _tab(request.POST), _mode(found, request.POST), _reviewer(request, project)
    item = _item_of(project, found, request.POST.get("item", ""), None)
    if item is None:
        return _to(project, found, mode, tab)
    try:
        verdicts.skip_item(found, item.id, reviewer, _keys(request, tab))
    except (Held, Enough):
        messages.warning(request, "That answer is not yours any more.")
    hold_next(found, reviewer, lease_key(tab or new_tab(), _browser(request), is_blind=mode == "blind"))
    return _to(project, found, mode, tab)


@require_POST
@project_page(Role.REVIEWER)
def undo(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Take back the last verdict or skip; its item is on the screen again."""
    found = _queue(project, queue)
    tab, mode = _tab(request.POST) or new_tab(), _mode(found, request.POST)
    key = lease_key(tab, _browser(request), is_blind=mode == "blind")
    try:
        done = verdicts.undo(found, _reviewer(request, project), key, _whole(request.POST.get("review", "")))
    except Enough:
        messages.warning(request, "That cannot be taken back any more: it is a day old, or somebody settled it since.")
    else:
        # Named and not the last any more: the key was pressed twice, and the first time took it back.
        if done is None and not request.POST.get("review"):
            messages.warning(request, "There is nothing of yours to take back here.")
    return _to(project, found, mode, tab)


@require_POST
@project_page(Role.REVIEWER)
def renew(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Hold on to the item: 204, or 409 where the hold is lost. The page's script asks."""
    found = _queue(project, queue)
    item = _item_of(project, found, request.POST.get("item", ""), None)
    if item is None:
        return HttpResponse(status=409)
    is_held = handing.renew(found, _reviewer(request, project), _keys(request, _tab(request.POST)), item.id)
    return HttpResponse(status=204 if is_held else 409)


@require_POST
@project_page(Role.REVIEWER)
def leave(request: HttpRequest, project: Project, queue: str) -> HttpResponse:
    """Stop: let the item go, so that others get it at once."""
    found = _queue(project, queue)
    handing.let_go(_reviewer(request, project), _keys(request, _tab(request.POST)))
    return HttpResponseRedirect(reverse("review_queue", args=[project.slug, found.slug]))


def _queue(project: Project, slug: str) -> QueueView:
    found = read.get_queue(project.pk, slug)
    if found is None:
        raise Http404
    return found


def _reviewer(request: HttpRequest, project: Project) -> Reviewer:
    return reviewer_of(project, cast(User, request.user))


def _browser(request: HttpRequest) -> str:
    return request.session.session_key or ""


def _keys(request: HttpRequest, tab: str) -> tuple[str, str]:
    return keys_of(tab, _browser(request))


def _tab(source: Mapping[str, Any]) -> str:
    tab = str(source.get("tab", ""))
    return tab if tab.isalnum() and tab.isascii() and len(tab) <= TAB_MAX else ""


def _mode(queue: QueueView, source: Mapping[str, Any]) -> str:
    return "blind" if queue.is_blind or source.get("mode") == "blind" else "triage"


def _modes(queue: QueueView, source: Mapping[str, Any], mode: str, base: str) -> list[tuple[str, str, bool]]:
    if queue.is_blind:
        return []
    tab = _tab(source)
    more = [("tab", tab)] if tab else []
    return [
        (word, f"{base}review/?" + urlencode([("queue", queue.slug), ("mode", name), *more]), name == mode)
        for name, word in (("triage", "Triage"), ("blind", "Blind"))
    ]


def _item_of(project: Project, queue: QueueView, raw: str, held: ItemView | None) -> ItemView | None:
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 20 and int(raw) <= _ID_MAX):
        raise Http404
    if held is not None and held.id == int(raw):
        return held
    item = read.get_item(project.pk, int(raw))
    if item is None or item.queue_id != queue.id:
        raise Http404
    return item


def _to(project: Project, queue: QueueView, mode: str, tab: str) -> HttpResponse:
    query = [("queue", queue.slug), *([("mode", mode)] if not queue.is_blind else []), *([("tab", tab)] if tab else [])]
    return HttpResponseRedirect(f"{reverse('review', args=[project.slug])}?{urlencode(query)}", status=303)


def _whole(raw: str) -> int | None:
    """The id of a review, as the page's form names it; 0 is nobody's."""
    if not raw:
        return None
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else 0


def _seconds(raw: str) -> float | None:
    try:
        took = time.time() - float(raw[:30])
    except ValueError:
        return None
    return took if 0 <= took < verdicts.SECONDS_MAX else None


def _oldest(counts: read.Counts, now: Any) -> str:
    if counts.oldest_at is None or not counts.waiting:
        return ""
    return f", oldest {latency((now - counts.oldest_at).total_seconds() * 1000, short=True)}"


def _version(item: ItemView) -> str:
    return f"prompt {item.prompt_version}" if item.prompt_version else ""


def _ending(material: Material | None) -> str:
    """What else is to be known of how it went."""
    if material is None:
        return ""
    parts = [
        f"ended in the error {material.error_type}" if material.error_type else "",
        f"stopped by {material.finish_reason}" if material.finish_reason not in ("", "stop", "end_turn") else "",
        f"used {count(len(material.tools))} tool call{'s' if len(material.tools) != 1 else ''}"
        if material.tools
        else "",
    ]
    return ", ".join(part for part in parts if part)


def _last(queue: QueueView, last: ReviewView, judged: Mapping[Any, Judged], base: str) -> dict[str, Any]:
    """What this person did last: undone with u; the judge's scores of it are shown by now."""
    found = judged.get((last.trace_id, last.span_id)) if not last.is_skip else None
    return {
        "words": "Skipped" if last.is_skip else view.VERDICT_WORDS.get(last.verdict, "Scored"),
        "judge": view.judge_block(found, base) if found else None,
        "id": last.id,
        "item_id": last.item_id,
        "lines": view.spoken(last, queue.rubric).lines,
    }
