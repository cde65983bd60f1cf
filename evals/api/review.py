"""REST: review queues, what waits in them, and what people say: all of it without a browser."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from evals.api import review_shapes as shape
from evals.read import review as read
from evals.read.material import load_material
from evals.read.review import ItemView, QueueView, ReviewView
from evals.reviewing import assigning, datasets, dropping, handing, queues, verdicts
from evals.reviewing.config import KNOWN, Enough, Held, RefusedReview, stored_config
from evals.reviewing.filling import add_by_hand
from evals.reviewing.handing import SHOWN, is_by, keys_of, lease_key, new_tab
from evals.reviewing.people import Reviewer, named_reviewer, reviewer_of
from evals.reviewing.queues import WantedQueue
from evals.reviewing.verdicts import Given
from telltale.projects.access import RANK
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces.wire.ids import find_trace_ids

QUEUE = OpenApiParameter("queue", OpenApiTypes.STR, OpenApiParameter.PATH, description="The queue's slug.")
ITEM = OpenApiParameter("item_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The item's id.")
REVIEW = OpenApiParameter("review_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The review's id.")
STATES = ("open", "done", "disputed", "settled", "dropped")
LOST = {409: "Somebody else holds the item, or it needs no review of this person."}


class _View(ProjectView):
    def queue(self, slug: str) -> QueueView:
        """The queue of an address."""
        found = read.get_queue(self.project.pk, slug)
        if found is None:
            raise not_found()
        return found

    def item(self, item_id: str) -> tuple[QueueView, ItemView]:
        """The item of an address, with its queue."""
        item = read.get_item(self.project.pk, params.row_id(item_id))
        queue = read.get_queue_by_id(self.project.pk, item.queue_id) if item is not None else None
        if item is None or queue is None:
            raise not_found()
        return queue, item

    def reviewer(self, name: str) -> Reviewer:
        """Who reviews: the person signed in; with a key whom the body names."""
        if self.person is not None:
            if name and name.casefold() != self.person.email.casefold():
                raise bad_field("reviewer", "is somebody else", limit="a key may review for others", value=name)
            return reviewer_of(self.project, self.person)
        if not name:
            raise bad_field("reviewer", "is required with a key: who reviews", limit="a name or an e-mail")
        holder = self.request.auth
        return named_reviewer(self.project, params.clean_text("reviewer", name), _key_id(holder))

    def keys(self, reviewer: Reviewer, tab: str) -> tuple[str, str]:
        """What a tab of this caller holds something by."""
        return keys_of(tab, self.browser(reviewer))

    def browser(self, reviewer: Reviewer) -> str:
        """What makes this caller another browser than all others."""
        return f"rest {_key_id(self.request.auth) or ''} {reviewer.user_id or reviewer.name}"

    def actor(self) -> str:
        """What the audit log calls a key."""
        key_id = _key_id(self.request.auth)
        if key_id is None:
            return ""
        name = ApiKey.objects.filter(pk=key_id).values_list("name", flat=True).first()
        return f"API key {name or key_id}"


class QueuesView(_View):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("closed",)}

    @shapes.describe(
        "The review queues of a project",
        shapes.page_of(shape.QueueShape, "QueuePage"),
        tag="Review",
        query=(OpenApiParameter("closed", OpenApiTypes.BOOL, description="Closed ones as well."),),
    )
    def get(self, request: Request) -> Response:
        found = read.list_queues(self.project.pk, with_closed=params.boolean(request.query_params, "closed") or False)
        counts = read.count_items([queue.id for queue in found])
        items = [shape.queue_json(queue, counts[queue.id]) for queue in found]
        return Response(paging.page(request, items, None, None))

    @shapes.describe(
        "Make a review queue",
        shape.QueueShape,
        tag="Review",
        status=201,
        body=shape.QueueBody,
        detail="A calibration task has its sample drawn at once: over the levels that the judge gave, with the chance "
        "of each stored.",
    )
    def post(self, request: Request) -> Response:
        told = checked(shape.QueueBody, request)
        try:
            made = queues.add_queue(
                self.project, _wanted(told), by_id=self.person_id, request=self.http, actor=self.actor()
            )
        except RefusedReview as refused:
            raise _problem(refused) from None
        return Response(shape.queue_json(made, read.count_items([made.id])[made.id]), status=201)


class QueueView_(_View):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("One review queue", shape.QueueShape, tag="Review", path=(QUEUE,))
    def get(self, request: Request, queue: str) -> Response:
        found = self.queue(queue)
        return Response(shape.queue_json(found, read.count_items([found.id])[found.id]))

    @shapes.describe("Change a review queue", shape.QueueShape, tag="Review", body=shape.QueueChange, path=(QUEUE,))
    def patch(self, request: Request, queue: str) -> Response:
        found, told = self.queue(queue), checked(shape.QueueChange, request)
        is_closed = told.pop("is_closed", None)
        try:
            if told:
                found = queues.change_queue(
                    self.project, found, _wanted(told, found), request=self.http, actor=self.actor()
                )
            if is_closed is not None:
                found = queues.close_queue(
                    self.project, found, is_closed=is_closed, request=self.http, actor=self.actor()
                )
        except RefusedReview as refused:
            raise _problem(refused) from None
        return Response(shape.queue_json(found, read.count_items([found.id])[found.id]))


class QueueItemsView(_View):
    acts = {"GET": "read", "POST": "review"}
    query = {"GET": ("state", "limit", "cursor")}

    @shapes.describe(
        "The items of a review queue",
        shapes.page_of(shape.ItemShape, "ItemPage"),
        tag="Review",
        detail="In the order in which they are handed out.",
        path=(QUEUE,),
        query=(OpenApiParameter("state", OpenApiTypes.STR, enum=[*STATES]), shapes.LIMIT, shapes.CURSOR),
    )
    def get(self, request: Request, queue: str) -> Response:
        found, limit = self.queue(queue), params.page_size(request.query_params)
        state = params.choice(request.query_params, "state", STATES)
        place = paging.read_cursor(params.text(request.query_params, "cursor"), float, int)
        items = read.list_items(
            self.project.pk, found.id, states=[state] if state else (), limit=limit + 1,
            after=None if place is None else (place[0], place[1]),
        )  # fmt: skip
        shown, last = items[:limit], items[limit - 1] if len(items) > limit else None
        cursor = paging.write_cursor(float(last.priority), last.id) if last else None
        return Response(paging.page(request, [shape.item_json(found, each) for each in shown], cursor, None))

    @shapes.describe(
        "Send a trace to a review queue",
        shape.ItemShape,
        tag="Review",
        status=201,
        body=shape.ItemBody,
        path=(QUEUE,),
        detail="By hand: its reviews enter no estimate. 200 where it is in the queue already.",
        problems={409: "The queue is closed."},
    )
    def post(self, request: Request, queue: str) -> Response:
        found, told = self.queue(queue), checked(shape.ItemBody, request)
        span_id = 0
        if told.get("span_id"):
            read_span = params.span_id(told["span_id"])
            if read_span is None:
                raise bad_field("span_id", "is no span's id", limit="16 hex digits", value=told["span_id"])
            span_id = read_span
        by = (self.person.name or self.person.email) if self.person else self.actor()
        names = find_trace_ids(params.clean_text("trace_id", told["trace_id"]))
        there = read.previews(self.project.pk, names)
        trace_id = next((each for each in names if each in there), None)
        if trace_id is None:
            raise bad_field("trace_id", "is no trace of this project", value=told["trace_id"])
        try:
            is_new = add_by_hand(self.project, found, trace_id, span_id, by, told.get("note", ""))
        except RefusedReview as refused:
            raise _problem(refused) from None
        except Enough:
            raise Problem(409, "The queue is closed.") from None
        item = read.find_item(self.project.pk, found.id, trace_id, span_id)
        if item is None:
            raise not_found()
        return Response(shape.item_json(found, item), status=201 if is_new else 200)


class ClaimView(_View):
    acts = {"POST": "review"}

    @shapes.describe(
        "Hold the next item of a review queue",
        shape.WholeItemShape,
        tag="Review",
        body=shape.ClaimBody,
        path=(QUEUE,),
        detail=f"Nobody else gets it for {handing.HOLD_SECONDS // 60} minutes, unless it is renewed or given back. A "
        "tab holds one item: repeat `tab` to go on. 204 where nothing is left for this person.",
        problems=LOST,
    )
    def post(self, request: Request, queue: str) -> Response:
        found, told = self.queue(queue), checked(shape.ClaimBody, request)
        reviewer, tab = self.reviewer(told.get("reviewer", "")), _tab(told) or new_tab()
        is_blind = found.is_blind or told.get("is_blind", False)
        key = lease_key(tab, self.browser(reviewer), is_blind=is_blind)
        if told.get("item_id"):
            queue_of, item = self.item(told["item_id"])
            if queue_of.id != found.id:
                raise not_found()
            try:
                held: ItemView | None = handing.hold_item(found, reviewer, key, item.id)
            except (Held, Enough) as error:
                raise _lost(error) from None
        else:
            held = handing.hold_next(found, reviewer, key)
        if held is None:
            return Response(status=204)
        return Response(_whole(self, found, held, reviewer, is_held=True) | {"tab": tab})


class UndoView(_View):
    acts = {"POST": "review"}

    @shapes.describe(
        "Take back the last review of a person",
        shape.ItemShape,
        tag="Review",
        body=shape.HolderBody,
        path=(QUEUE,),
        detail="A verdict or a skip of the last day. Its item is theirs again.",
        problems={409: "Nothing to take back, or too late."},
    )
    def post(self, request: Request, queue: str) -> Response:
        found, told = self.queue(queue), checked(shape.HolderBody, request)
        reviewer = self.reviewer(told.get("reviewer", ""))
        tab = _tab(told)
        key = lease_key(tab, self.browser(reviewer), is_blind=found.is_blind) if tab else ""
        try:
            item_id = verdicts.undo(found, reviewer, key)
        except Enough:
            raise Problem(409, "That cannot be taken back any more.") from None
        item = read.get_item(self.project.pk, item_id) if item_id is not None else None
        if item is None:
            raise Problem(409, "There is nothing of theirs to take back in this queue.")
        return Response(shape.item_json(found, item))


class ItemView_(_View):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe(
        "One item of a review queue",
        shape.WholeItemShape,
        tag="Review",
        path=(ITEM,),
        detail="With what it is about. The judge's scores are hidden while the queue is blind and the item waits; what "
        "others said, until one's own verdict.",
    )
    def get(self, request: Request, item_id: str) -> Response:
        queue, item = self.item(item_id)
        reviewer = reviewer_of(self.project, self.person) if self.person is not None else None
        return Response(_whole(self, queue, item, reviewer, is_held=False))

    @shapes.describe(
        "Assign an item, or take it out of its queue",
        shape.ItemShape,
        tag="Review",
        body=shape.ItemChange,
        path=(ITEM,),
    )
    def patch(self, request: Request, item_id: str) -> Response:
        queue, item = self.item(item_id)
        told = checked(shape.ItemChange, request)
        try:
            if "assigned_to" in told:
                assigning.assign(
                    self.project, queue, item, told["assigned_to"] or "", request=self.http, actor=self.actor()
                )
            if "is_dropped" in told and told["is_dropped"] != (item.state == "dropped"):
                dropping.drop(
                    self.project, queue, item, is_dropped=told["is_dropped"], request=self.http, actor=self.actor()
                )
        except RefusedReview as refused:
            raise _problem(refused) from None
        found = read.get_item(self.project.pk, item.id)
        if found is None:
            raise not_found()
        return Response(shape.item_json(queue, found))


class VerdictView(_View):
    acts = {"POST": "review"}

    @shapes.describe(
        "Give a verdict on an item",
        shape.TakenShape,
        tag="Review",
        status=201,
        body=shape.VerdictBody,
        path=(ITEM,),
        detail="Nobody gives two on one item, and no item gets more than it wants. On a disputed item it settles the "
        "matter. Each score becomes a score of a person on the trace.",
        problems=LOST,
    )
    def post(self, request: Request, item_id: str) -> Response:
        queue, item = self.item(item_id)
        told = checked(shape.VerdictBody, request)
        scores = told.get("scores") or {}
        if not isinstance(scores, dict):
            raise bad_field("scores", "is no object", limit="criterion -> value")
        reviewer = self.reviewer(told.get("reviewer", ""))
        given = Given(told["verdict"], scores, told.get("category", ""), told.get("note", ""), told.get("seconds"))
        try:
            taken = verdicts.save_verdict(queue, item.id, reviewer, self.keys(reviewer, _tab(told)), given)
        except RefusedReview as refused:
            raise _problem(refused) from None
        except (Held, Enough) as error:
            raise _lost(error) from None
        if told.get("dataset"):
            try:
                datasets.keep(self.project, told["dataset"], taken.review, by_id=self.person_id, request=self.http)
            except datasets.NotKept as error:
                raise bad_field("dataset", f"was not kept, the review was: {error}", value=told["dataset"]) from None
        judged = _judged(self, queue, item)
        answer = {
            "review": shape.review_json(taken.review),
            "state": taken.outcome.state,
            "disagreements": list(taken.outcome.disagreements),
            "judge": shape.judged_json(judged),
        }
        return Response(answer, status=201)


class SkipView(_View):
    acts = {"POST": "review"}

    @shapes.describe(
        "Pass an item on",
        None,
        tag="Review",
        status=204,
        body=shape.HolderBody,
        path=(ITEM,),
        detail="Others get it, and this person only once nothing else is left.",
        problems=LOST,
    )
    def post(self, request: Request, item_id: str) -> Response:
        queue, item = self.item(item_id)
        told = checked(shape.HolderBody, request)
        reviewer = self.reviewer(told.get("reviewer", ""))
        try:
            verdicts.skip_item(queue, item.id, reviewer, self.keys(reviewer, _tab(told)))
        except (Held, Enough) as error:
            raise _lost(error) from None
        return Response(status=204)


class RenewView(_View):
    acts = {"POST": "review"}

    @shapes.describe(
        "Hold on to an item",
        None,
        tag="Review",
        status=204,
        body=shape.HolderBody,
        path=(ITEM,),
        problems={409: "The hold is lost."},
    )
    def post(self, request: Request, item_id: str) -> Response:
        queue, item = self.item(item_id)
        told = checked(shape.HolderBody, request)
        reviewer = self.reviewer(told.get("reviewer", ""))
        if not handing.renew(queue, reviewer, self.keys(reviewer, _tab(told)), item.id):
            raise Problem(409, "The hold on the item is lost.")
        return Response(status=204)


class GiveBackView(_View):
    acts = {"POST": "review"}

    @shapes.describe("Give a held item back", None, tag="Review", status=204, body=shape.HolderBody, path=(ITEM,))
    def post(self, request: Request, item_id: str) -> Response:
        self.item(item_id)
        told = checked(shape.HolderBody, request)
        reviewer = self.reviewer(told.get("reviewer", ""))
        handing.let_go(reviewer, self.keys(reviewer, _tab(told)))
        return Response(status=204)


class ReviewsView(_View):
    query = {"GET": ("queue", "trace_id", "reviewer", "limit", "cursor")}

    @shapes.describe(
        "What people said",
        shapes.page_of(shape.ReviewShape, "ReviewPage"),
        tag="Review",
        detail="Newest first; skips and what was taken back are left out.",
        query=(
            OpenApiParameter("queue", OpenApiTypes.STR, description="Of this queue."),
            OpenApiParameter("trace_id", OpenApiTypes.STR, description="Of this trace."),
            OpenApiParameter("reviewer", OpenApiTypes.STR, description="Of this person."),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        limit = params.page_size(query)
        slug, trace = params.text(query, "queue"), params.text(query, "trace_id")
        queue = read.get_queue(self.project.pk, slug) if slug else None
        if slug and queue is None:
            raise bad_field("queue", "is none of this project", value=slug)
        trace_id = params.trace_id(trace) if trace else None
        if trace and trace_id is None:
            raise bad_field("trace_id", "is no trace's id", limit="32 hex digits or a UUID", value=trace)
        place = paging.read_cursor(params.text(query, "cursor"), int)
        found = read.list_reviews(
            self.project.pk, queue_id=queue.id if queue else None, trace_id=trace_id,
            reviewer=params.text(query, "reviewer"), before=place[0] if place else None, limit=limit + 1,
        )  # fmt: skip
        cursor = paging.write_cursor(found[limit - 1].id) if len(found) > limit else None
        return Response(paging.page(request, [shape.review_json(each) for each in found[:limit]], cursor, None))


class ReviewView_(_View):
    acts = {"GET": "read", "DELETE": "review"}

    @shapes.describe("One review", shape.ReviewShape, tag="Review", path=(REVIEW,))
    def get(self, request: Request, review_id: str) -> Response:
        return Response(shape.review_json(self._find(review_id)))

    @shapes.describe(
        "Take a review back",
        None,
        tag="Review",
        status=204,
        path=(REVIEW,),
        detail="One's own of the last day; engineers, and keys, take back what was brought in.",
        problems={409: "Too late, or settled since."},
    )
    def delete(self, request: Request, review_id: str) -> Response:
        said = self._find(review_id)
        if said.item_id is None:
            if self.person is not None and RANK[self.project.your_role or "viewer"] < RANK["engineer"]:  # type: ignore[index]
                raise Problem(403, "Engineers and above take back what was brought in.")
            verdicts.remove_imported(self.project, said, request=self.http, actor=self.actor())
            return Response(status=204)
        queue, _ = self.item(str(said.item_id))
        reviewer = reviewer_of(self.project, self.person) if self.person is not None else None
        if reviewer is not None and not is_by(said, reviewer):
            raise Problem(403, "A review is taken back by who gave it.")
        holder = reviewer or Reviewer(said.reviewer_id, said.reviewer)
        try:
            verdicts.undo_review(queue, said, holder, "")
        except Enough:
            raise Problem(409, "That cannot be taken back any more.") from None
        return Response(status=204)

    def _find(self, review_id: str) -> ReviewView:
        found = read.get_review(self.project.pk, params.row_id(review_id))
        if found is None:
            raise not_found()
        return found


def _whole(
    view: _View, queue: QueueView, item: ItemView, reviewer: Reviewer | None, *, is_held: bool
) -> dict[str, Any]:
    said = [each for each in read.reviews_of(view.project.pk, [item.id]) if not each.is_skip]
    own = reviewer is not None and any(is_by(each, reviewer) for each in said)
    waits = item.state in read.OPEN_STATES
    is_blind = (not item.lease_key.startswith(SHOWN)) if is_held else queue.is_blind and waits and not own
    shows_said = own or not waits or item.state == "disputed"
    judged = None if is_blind else _judged(view, queue, item)
    return shape.item_json(queue, item, hides=is_blind) | {
        "material": shape.material_json(load_material(view.project.pk, item.trace_id, item.span_id)),
        "judge": shape.judged_json(judged),
        "is_blind": is_blind,
        "reviews": [shape.review_json(each) for each in said] if shows_said else [],
    }


def _judged(view: _View, queue: QueueView, item: ItemView) -> read.Judged | None:
    target = (item.trace_id, item.span_id)
    found = read.judged_targets(
        view.project.pk, [target], judge_id=queue.judge_id, judge_version_id=queue.judge_version_id
    )
    return found.get(target)


def _wanted(told: dict[str, Any], keeps: QueueView | None = None) -> WantedQueue:
    """A body as a wanted queue; what a change leaves out stays."""
    config = told.get("config")
    if config is not None and not isinstance(config, dict):
        raise bad_field("config", "is no object", limit=", ".join(KNOWN))
    if keeps is None:
        base: dict[str, Any] = {}
    else:
        held = stored_config(keeps.config).stored()
        base = {
            "name": keeps.name, "kind": keeps.kind, "judge": keeps.judge_slug,
            "config": {name: held[name] for name in held if name not in ("salt", "told")},
            "reviewers_per_item": keeps.reviewers_per_item, "double_share": keeps.double_share,
            "is_blind": keeps.is_blind, "due_at": keeps.due_at,
        }  # fmt: skip
        if "rubric" not in told:
            base |= {"rubric": keeps.rubric_slug, "rubric_version": keeps.rubric_number}
        if config is not None:
            config = base["config"] | config
    values = base | told | ({"config": config} if config is not None else {})
    if values.get("judge") is None:
        values["judge"] = ""
    return WantedQueue(**values)


def _tab(told: dict[str, Any]) -> str:
    tab = str(told.get("tab") or "")
    if tab and not (tab.isalnum() and tab.isascii()):
        raise bad_field("tab", "is none that a claim gave", limit="letters and digits", value=tab)
    return tab


def _key_id(holder: object) -> int | None:
    return holder.key_id if isinstance(holder, KeyHolder) else None


def _problem(refused: RefusedReview) -> Problem:
    return Problem(
        400,
        str(refused),
        FieldError(refused.field, refused.message, refused.limit or None, refused.value or None),
    )


def _lost(error: Held | Enough) -> Problem:
    if isinstance(error, Held):
        return Problem(409, f"{error.by} holds the item now.")
    return Problem(409, "The item needs no (further) review of this person, or its queue is closed.")
