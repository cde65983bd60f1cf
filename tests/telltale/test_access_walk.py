"""The walk over every address, by everybody: who gets in, what others learn, and that looking changes nothing."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, get_resolver

from alerts import notifying, routing
from alerts.detectors.base import Baseline as Learned
from alerts.models import (
    Alarm,
    Baseline,
    Delivery,
    DriftReference,
    Incident,
    Monitor,
    Proposal,
    ResponseMade,
    TriageItem,
)
from evals import probing
from evals.keeping import By
from evals.models import ProbeAlarm, ProbeRun, ProbeSeries
from evals.write import calibration as calibrations
from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.lib import clock
from telltale.projects import access, keys, write
from telltale.projects.models import Project, ProjectMember, Role
from tests.evals.calibration_rows import make_rubric, make_version
from tests.telltale.access_named import NAMED, filled
from tests.telltale.access_table import OTHERS, OWN, PAGES, REST
from tests.traces.hostile_wire import plain

PERSON_ROLES = {
    "alice": Role.OWNER, "erin": Role.ADMIN, "dora": Role.ENGINEER, "rita": Role.REVIEWER, "bob": Role.VIEWER,
}  # fmt: skip
KEY_SCOPES = ("ingest", "signal", "read", "write", "admin")
FINE = {200, 201, 202, 204, 302, 303, 400, 409, 422}
TRACE, FAR_TRACE, NO_TRACE = b"\x21" * 16, b"\x22" * 16, b"\x23" * 16
PROTOBUF = "application/x-protobuf"
PRICE = {"model": "house-7b", "input_fresh": "1.5", "output_text": "2", "source": "invoice"}


def walk(patterns: list[Any], before: str = "") -> Iterator[str]:
    for entry in patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route
        else:
            yield from walk(entry.url_patterns, route)


ROUTES = sorted(set(walk(get_resolver().url_patterns)))


@dataclass
class Ids:
    """What the places of an address are filled with."""

    slug: str
    trace: str
    key: int
    member: int
    invitation: int
    price: int
    job: int
    comment: int
    view: int
    target: int = 987_654_321
    score: int = 987_654_321
    connection: int = 987_654_321
    dataset: str = "no-such-set"
    experiment: int = 987_654_321
    queue: str = "no-such-queue"
    review_item: int = 987_654_321
    review: int = 987_654_321
    judge: str = "no-such-judge"
    rubric: str = "no-such-rubric"
    backfill: int = 987_654_321
    judgement: int = 987_654_321
    tried: int = 987_654_321
    calibration: int = 987_654_321
    routine: int = 987_654_321
    outcome: str = "no-such-outcome"
    signal: str = "00000000-0000-0000-0000-000000000001"
    change: int = 987_654_321
    promotion: int = 987_654_321
    monitor: int = 987_654_321
    archive: int = 987_654_321
    budget: int = 987_654_321
    baseline: int = 987_654_321
    alarm: int = 987_654_321
    reference: int = 987_654_321
    suite: str = "no-such-suite"
    series: int = 987_654_321
    probe_alarm: int = 987_654_321
    number: int = 987_654_321
    response: int = 987_654_321
    question: int = 987_654_321
    proposal: int = 987_654_321
    channel: int = 987_654_321
    route: int = 987_654_321
    silence: int = 987_654_321
    erasure: int = 987_654_321
    delivery: int = 987_654_321
    user: int = 987_654_321

    def fill(self, route: str) -> str:
        places = {
            "slug": self.slug, "trace": self.trace, "trace_id": self.trace, "span_id": "0000000000000001",
            "key_id": self.key, "member_id": self.member, "invitation_id": self.invitation, "price_id": self.price,
            "job_id": self.job, "comment_id": self.comment, "target_id": self.target, "organisation_slug": self.slug,
            "user_id": self.member, "token": "sample-token",
            "score_id": self.score, "signal_id": self.signal, "view_id": self.view,
            "session_id": 999_999, "session": self.trace, "user": self.trace,
            "connection_id": self.connection, "rubric": self.rubric, "backfill_id": self.backfill,
            "judgement_id": self.judgement, "try_id": self.tried,
            "dataset": self.dataset, "item_key": "k1", "experiment_id": self.experiment,
            "queue": self.queue, "item_id": self.review_item, "review_id": self.review,
            "judge": self.judge, "calibration_id": self.calibration, "routine_id": self.routine,
            "outcome": self.outcome, "change_id": self.change, "promotion_id": self.promotion,
            "monitor": self.monitor, "monitor_id": self.monitor, "budget": self.budget, "budget_id": self.budget,
            "baseline": self.baseline,
            "alarm": self.alarm, "alarm_id": self.alarm,
            "reference": self.reference, "reference_id": self.reference,
            "channel": self.channel, "channel_id": self.channel, "route": self.route, "route_id": self.route,
            "erasure_id": self.erasure, "archive_id": self.archive,
            "silence": self.silence, "silence_id": self.silence, "delivery": self.delivery,
            "delivery_id": self.delivery,
            "suite": self.suite, "key": "sum", "number": self.number, "step": "triage", "series_id": self.series,
            "probe_alarm": self.probe_alarm, "position": 1, "made": self.response,
            "question": self.question, "question_id": self.question, "proposal": self.proposal,
        }  # fmt: skip
        route = re.sub(r"\(\?P<uidb36>.*\$$", "1-sample-token/", route.replace("^", ""))
        route = re.sub(r"\(\?:[^)]*\)\?(.*?)/\?\$$", r"\1", route)
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(places[found[1]]), route)


ABSENT = 987_654_321


@pytest.fixture(scope="module")
def made_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[SimpleNamespace]:
    """`shop` with people of every role and one of everything; `far` of charlie with one of everything, too.

    Made once in a transaction that ends with the module; each test works in a savepoint of it.
    """
    with django_db_blocker.unblock():
        around = transaction.atomic()
        around.__enter__()
        try:
            yield _make_world()
        finally:
            transaction.set_rollback(True)
            around.__exit__(None, None, None)


@pytest.fixture
def world(made_world: SimpleNamespace, db: None) -> Iterator[SimpleNamespace]:
    """`made_world` as it was made, with the cookies that its clients had."""
    _forget()
    for name, client in made_world.clients.items():
        client.cookies = copy.deepcopy(made_world.cookies[name])
    yield made_world
    _forget()


def _forget() -> None:
    from traces.ingest import refusals
    from traces.ingest import rules as ingest_rules
    from traces.write import metrics, partitions, spans

    for module in (partitions, spans, metrics, ingest_rules, refusals):
        module.forget()
    keys.cache.clear()


def _make_world() -> SimpleNamespace:
    _forget()
    people = {name: User.objects.create(email=f"{name}@example.com") for name in (*PERSON_ROLES, "charlie")}
    for person in people.values():  # as signing in by form leaves it
        EmailAddress.objects.create(user=person, email=person.email, primary=True)
    shop, far = _project("shop", people["alice"]), _project("far", people["charlie"])
    for name, role in PERSON_ROLES.items():
        if role is not Role.OWNER:
            ProjectMember.objects.create(project=shop, user=people[name], role=role)
    secrets = {
        "own": _key(shop, KEY_SCOPES), "foreign": _key(far, KEY_SCOPES), "revoked": _key(shop, KEY_SCOPES, revoke=True),
        **{f"only {scope}": _key(shop, (scope,)) for scope in KEY_SCOPES},
    }  # fmt: skip
    clients = {"nobody": Client(), **{name: _signed_in(person) for name, person in people.items()}}
    clients |= {name: Client(headers={"Authorization": f"Bearer {secret}"}) for name, secret in secrets.items()}
    ours = _furnish(shop, people["bob"], clients["own"], TRACE)
    theirs = _furnish(far, User.objects.create(email="far-member@example.com"), clients["foreign"], FAR_TRACE)
    missing = Ids("no-such", NO_TRACE.hex(), ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT)
    cookies = {name: copy.deepcopy(client.cookies) for name, client in clients.items()}
    return SimpleNamespace(clients=clients, cookies=cookies, ours=ours, theirs=theirs, missing=missing, people=people)


def _project(slug: str, owner: User) -> Project:
    organisation = Organisation.objects.create(name=slug.title(), slug=slug)
    OrganisationMember.objects.create(organisation=organisation, user=owner, is_owner=True)
    return Project.objects.create(organisation=organisation, name=slug.title(), slug=slug)


def _key(project: Project, scopes: tuple[str, ...], *, revoke: bool = False) -> str:
    made = keys.make_key(project, "walk", scopes)
    if revoke:
        keys.revoke(made.key)
    return made.secret


def _signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def _furnish(project: Project, member: User, holder: Client, trace: bytes) -> Ids:
    """One of everything in `project`, made through the doors."""
    assert holder.post("/v1/traces", plain(trace), content_type=PROTOBUF).status_code == 200
    turn = {"name": "turn", "start": "2026-01-01T00:00:00Z", "session": trace.hex(), "user": trace.hex()}
    assert holder.post("/api/v1/traces", {"spans": [turn]}, content_type="application/json").status_code == 200
    price = holder.post("/api/v1/prices", PRICE, content_type="application/json")
    job = holder.post("/api/v1/reprice", {"start": "2026-01-01T00:00:00Z"}, content_type="application/json")
    assert price.status_code == 201, price.content
    assert job.status_code in {201, 202}, job.content
    comment = holder.post(f"/api/v1/traces/{trace.hex()}/comments", {"body": "odd"}, content_type="application/json")
    shared = {"name": "Shared", "is_shared": True}
    view = holder.post("/api/v1/views", shared, content_type="application/json")
    # An address that no rule of going out lets through: a test span is refused before anybody is asked.
    told = {"name": "tempo", "url": "https://target.invalid/"}
    target = holder.post("/api/v1/forwarding", told, content_type="application/json")
    said = {"name": "tone", "value": 4, "trace_id": trace.hex()}
    score = holder.post("/api/v1/scores", said, content_type="application/json").json()["items"][0]["id"]
    thumb = {"name": "thumbs_up", "trace_id": trace.hex()}
    signal = holder.post("/api/v1/signals", thumb, content_type="application/json").json()["items"][0]["id"]
    deploy = {"kind": "deploy", "version": "1.8.2"}
    change = holder.post("/api/v1/changes", deploy, content_type="application/json").json()["items"][0]["id"]
    dataset, key_of = f"{project.slug}-set", {"content_type": "application/json"}
    assert holder.post("/api/v1/datasets", {"name": "Set", "slug": dataset}, **key_of).status_code == 201
    items = {"items": [{"key": "k1", "input": "May I?", "expected": "Yes"}]}
    assert holder.post(f"/api/v1/datasets/{dataset}/items", items, **key_of).status_code == 200
    experiment = holder.post("/api/v1/experiments", {"dataset": dataset}, **key_of).json()["id"]
    judge, calibration, routine = _judged(project)
    queue, item, review = _reviewed(project, holder, trace)
    set_up = _set_up(project, holder, judge)
    told = {"name": f"{project.slug} sales", "spec": {"measure": "share", "of": [{"kind": "conversion"}]}}
    outcome = holder.post("/api/v1/outcomes", told, **key_of).json()["slug"]
    membership, _ = ProjectMember.objects.get_or_create(project=project, user=member, defaults={"role": Role.VIEWER})
    invited = write.invite(project, f"new@{project.slug}.example", Role.VIEWER, by=None)
    key = keys.make_key(project, "spare", ("read",)).key
    return Ids(
        project.slug, trace.hex(), key.pk, membership.pk, invited.invitation.pk, price.json()["id"], job.json()["id"],
        comment.json()["id"], int(view.json()["id"]),
        target=target.json()["id"], score=score, signal=signal, dataset=dataset, experiment=experiment,
        queue=queue, review_item=item, review=review,
        judge=judge, calibration=calibration, routine=routine, outcome=outcome, change=change,
        promotion=_promoted(project), archive=_archived(project), user=member.pk, **set_up,
        **_watched(project, holder), **_probed(project, set_up["connection"]), **_told(project, holder),
    )  # fmt: skip


def _probed(project: Project, connection: int) -> dict[str, Any]:
    """A suite of one probe with a run that opened an alarm."""
    target = {"connection": connection, "model": "m"}
    spec = {"key": "sum", "must": "say 2", "user": "1 + 1?", "checks": [{"kind": "contains", "texts": ["2"]}]}
    told = {"name": f"{project.slug} probes", "targets": [target], "probes": [spec]}
    slug = probing.make_suite(project, told, by=By())
    probing.run_now(project, slug, by=By())
    run = ProbeRun.objects.get(suite__project=project)
    series = ProbeSeries.objects.get(target__suite=run.suite)
    alarm = ProbeAlarm.objects.create(suite=run.suite, target=series.target, run=run, p=0.001, level=0.01)
    return {"suite": slug, "series": series.pk, "probe_alarm": alarm.pk}


def _told(project: Project, holder: Client) -> dict[str, int]:
    """A channel with its route, a silence, and a delivery that waits."""
    # An address that no rule of going out lets through: nobody is asked.
    told = {"name": "On call", "kind": "webhook", "url": "https://hooks.invalid/"}
    channel = holder.post("/api/v1/channels", told, content_type="application/json").json()
    quiet = {"end_at": (clock.now() + timedelta(days=1)).isoformat(), "reason": "Deploy"}
    silence = holder.post("/api/v1/silences", quiet, content_type="application/json").json()["id"]
    gone = {"kind": "user", "id": "gone-1"}
    erasure = holder.post("/api/v1/erasures", gone, content_type="application/json").json()["id"]
    notifying.tell_project(project.pk, "budget", "budget:walk", facts={"words": "Half is spent."})
    assert routing.route_due() == 1
    delivery = Delivery.objects.get(project=project).pk
    route = int(channel["routes"][0]["id"])
    made = {"channel": int(channel["id"]), "route": route, "silence": int(silence), "delivery": delivery}
    return made | {"erasure": int(erasure)}


def _watched(project: Project, holder: Client) -> dict[str, int]:
    """A monitor with a baseline and an open alarm, and a reference of drift."""
    answer = holder.post("/api/v1/monitors", {"name": "Errors", "metric": "errors"}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
    learned = {"detector": Learned("share", {"p": 0.01}, 900, 168, "windows", 7, 2_000.0).as_json(), "centre": 0.01}
    told = {"name": "Month", "of": "project", "limit_usd": "100"}
    budget = holder.post("/api/v1/budgets", told, content_type="application/json").json()["id"]
    of = {"project": project, "monitor": Monitor.objects.get(pk=answer.json()["id"]), "chart_no": 1}
    baseline = Baseline.objects.create(
        **of, kind="share", start_at=start, end_at=end, n=900, windows=168, arl0=2_000.0, learned=learned
    )  # fmt: skip
    alarm = Alarm.objects.create(
        **of, window_start=end, window_end=end, direction="up", rule="EWMA 0.1", severity=2, is_page=True, found_at=end
    )
    reference = DriftReference.objects.create(
        project=project, side="input", encoder="lexical:n-grams:1/256", start_at=start, end_at=end, n=500, dims=256,
        learned={"names": ["Refunds", "Sizes"]}, seed=1,
    )  # fmt: skip
    moments = {"opened_at": end, "began_at": end, "last_moved_at": end}
    # Each project counts from 1: another number there is none of here.
    number = 1 if project.slug == "shop" else 2
    held = Incident.objects.create(project=project, number=number, title="Errors rose", severity=2, **moments)
    TriageItem.objects.create(incident=held, round=1, position=1, origin="flagged", trace_id=UUID(int=1), pi=1.0)
    made = {"budget": budget, "monitor": of["monitor"].pk, "baseline": baseline.pk, "alarm": alarm.pk}
    response = ResponseMade.objects.create(incident=held, round=1, kind="hotfix", at=end, recorded_at=end).pk
    question = holder.post(
        "/api/v1/questions", {"text": "Is it well?", "pillar": "quality"}, content_type="application/json"
    ).json()["id"]
    proposal = Proposal.objects.create(
        project=project, monitor=of["monitor"], kind="retire", reasons=["nobody used it"], made_at=end,
        evidence={"days": 90.0, "pages": 0, "real": 0, "false": 0, "found": 0, "alone": 0, "views": 0},
    ).pk  # fmt: skip
    made |= {"response": response, "question": question, "proposal": proposal}
    return made | {"reference": reference.pk, "number": number}


def _archived(project: Project) -> int:
    """An export that can be downloaded."""
    from telltale.web.models import Archive

    return Archive.objects.create(project=project, finished_at=clock.now(), manifest={"parts": []}).pk


def _promoted(project: Project) -> int:
    """A promotion that stands."""
    from evals.models import Promotion

    return Promotion.objects.create(project=project, kind="model", version="gpt-5", author="walk").pk


def _set_up(project: Project, holder: Client, judge: str) -> dict[str, Any]:
    """A connection, a rubric, a judge that was tried, and of `judge` a backfill and a judgement."""
    from evals.models import JudgeVersion
    from evals.write.judgements import Purpose, Target, queue

    def post(path: str, body: dict[str, Any], status: int = 201) -> Any:
        answer = holder.post(path, body, content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    rubric = f"{project.slug}-rubric"
    brief = {"key": "brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
    told = {"name": "House", "kind": "openai", "base_url": "https://model.invalid/v1"}
    connection_id = post("/api/v1/connections", told)["id"]
    post("/api/v1/rubrics", {"name": "Format", "slug": rubric, "spec": {"criteria": [brief]}})
    rules = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20}]}
    tried = post("/api/v1/judges/try", {"kind": "rule", "rubric": rubric, "config": rules}, 202)["id"]
    version = JudgeVersion.objects.filter(judge__project=project, judge__slug=judge).order_by("number").first()
    assert version is not None
    backfill = post("/api/v1/backfills", {"judge": judge, "query": "t=7d"})["id"]
    queue(project.pk, version, [Target(uuid4(), datetime(2026, 1, 1, tzinfo=UTC))], Purpose.LIVE)
    judgement = holder.get("/api/v1/judgements").json()["items"][0]["id"]
    return {
        "connection": connection_id, "rubric": rubric, "tried": tried, "backfill": backfill, "judgement": judgement,
    }  # fmt: skip


def _judged(project: Project) -> tuple[str, int, int]:
    """A judge with two versions, one calibration and one check that is due."""
    rubric = make_rubric(project)
    rules = {"rules": [{"criterion": "correctness", "kind": "length", "unit": "words", "at_most": 20}]}
    told = {"slug": f"{project.slug}-quality", "kind": "rule", "config": rules}
    version = make_version(project, rubric, **told)
    make_version(project, rubric, **told, number=2, is_live=False)
    calibration = calibrations.add_calibration(
        project.pk, version.pk, "correctness", {}, result={}, verdict="not_proven", pairs=1, reviewers=1,
        labels_until=None, expires_at=None,
    )  # fmt: skip
    due_at = datetime(2026, 12, 1, tzinfo=UTC)
    routine = calibrations.add_routine(project.pk, version.judge_id, "quarterly", due_at)
    return version.judge.slug, calibration, routine or 0


def _reviewed(project: Project, holder: Client, trace: bytes) -> tuple[str, int, int]:
    """A review queue with a trace in it that one of two reviewers has seen: its slug, the item, the review."""
    from evals.models import Rubric, RubricVersion

    rubric = Rubric.objects.create(project=project, slug="walked", name="Walked")
    scale = {"kind": "points", "low": 1, "high": 5}
    spec = {"criteria": [{"key": "tone", "title": "Tone", "definition": "It is polite.", "scale": scale}]}
    RubricVersion.objects.create(rubric=rubric, number=1, spec=spec, spec_hash="0")
    slug = f"{project.slug}-queue"
    told = {"name": slug, "rubric": "walked", "reviewers_per_item": 9, "double_share": 0}
    queues = "/api/v1/review/queues"
    assert holder.post(queues, told, content_type="application/json").status_code == 201
    sent = holder.post(f"{queues}/{slug}/items", {"trace_id": trace.hex()}, content_type="application/json")
    item = sent.json()["id"]
    said = {"verdict": "good", "reviewer": "anna"}
    answer = holder.post(f"/api/v1/review/items/{item}/verdict", said, content_type="application/json")
    return slug, item, answer.json()["review"]["id"]


def ask(client: Client, method: str, path: str, slug: str = "", **headers: str) -> Any:
    """An answer, with `.asked`: what it asked the database. REST addresses are asked about the project `slug`."""
    asked: list[str] = []

    def note(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        asked.append(sql if isinstance(sql, str) else sql.as_string())
        return execute(sql, params, many, context)

    if path.startswith("/api/v1/"):
        path += f"?project={slug}"
    with connection.execute_wrapper(note):
        if path.startswith("/api/v1/"):
            body = b"{}" if method != "GET" else b""
            answer: Any = client.generic(method, path, body, content_type="application/json", headers=headers)
        else:
            answer = client.get(path, headers=headers) if method == "GET" else client.post(path, headers=headers)
    answer.asked = asked
    return answer


# What a refused request may write all the same: that a session or a key was used.
VISITS = re.compile(
    r'(?:INSERT INTO|UPDATE|DELETE FROM) "(?:django_session|usersessions_usersession|projects_apikey" SET "last_used)'
)
CHANGES = re.compile(r"^\s*(?:WITH\b.*\b)?(?:INSERT|UPDATE|DELETE|COPY|TRUNCATE|MERGE)\b", re.DOTALL)


def written(answer: Any) -> list[str]:
    """The statements of an answer that changed rows, besides the marks of a visit."""
    return [sql[:200] for sql in answer.asked if CHANGES.match(sql) and not VISITS.match(sql)]


def work(answer: Any) -> list[str]:
    """What an answer asked the database, without values: equal work takes equal time, however loaded a machine is."""
    # Who a key is of is held for some seconds: the second of two requests does not ask.
    known = ("SAVEPOINT", 'FROM "projects_apikey" INNER JOIN')
    asked = (sql for sql in answer.asked if not VISITS.match(sql) and not any(part in sql for part in known))
    return [re.sub(r"'[^']*'|\b\d+\b", "?", sql) for sql in asked]


def test_every_address_has_its_line_and_every_line_its_address() -> None:
    known = [*PAGES, *REST, *OTHERS]

    assert sorted(known) == ROUTES
    assert len(set(known)) == len(known)


def expected_page(person: str, weakest: Role | None) -> set[int]:
    if weakest is None:
        return {405}
    if person == "charlie":
        return {404}
    if person not in PERSON_ROLES:
        return {302}
    return FINE if access.is_at_least(PERSON_ROLES[person], weakest) else {403}


def expected_rest(actor: str, weakest: Role | None, scope: str) -> set[int]:
    if actor in ("nobody", "revoked"):
        return {401}
    if actor == "own" or actor.removeprefix("only ") in scope.split("|"):
        return FINE
    if actor.startswith("only "):
        return {403}
    if actor in ("charlie", "foreign"):
        return {404} if weakest is not None else FINE if actor == "foreign" else {401}
    if weakest is None:
        return {401}
    return FINE if access.is_at_least(PERSON_ROLES[actor], weakest) else {403}


# The weaker first, so that what an admin removes is still there for the others to be refused.
ACTORS = [
    "nobody", "charlie", "revoked", "foreign", "only ingest", "only signal", "bob", "rita", "dora", "only read",
    "only write", "only admin", "erin", "alice", "own",
]  # fmt: skip


@pytest.mark.parametrize("route", sorted(PAGES))
def test_pages_of_a_project_open_by_role(world: SimpleNamespace, route: str) -> None:
    wrong = []
    for method, weakest in zip(("GET", "POST"), PAGES[route], strict=True):
        for actor in ACTORS:
            answer = ask(world.clients[actor], method, world.ours.fill(route))
            wanted = expected_page(actor, weakest)
            if route in OWN and wanted == FINE:
                wanted = wanted | {403}
            if actor == "alice" and method == "POST":
                wanted = wanted | {404}  # erin has just removed it
            if answer.status_code not in wanted:
                wrong.append((method, actor, answer.status_code))
            if answer.status_code == 302 and actor not in PERSON_ROLES:
                assert answer.url.startswith("/accounts/login/")

    assert wrong == []


@pytest.mark.parametrize("route", sorted(REST))
def test_rest_opens_by_scope_and_by_role(world: SimpleNamespace, route: str) -> None:
    wrong = []
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        is_gone = False
        for actor in ACTORS:
            answer = ask(world.clients[actor], method, world.ours.fill(route), "shop")
            if method not in REST[route]:
                wanted = {405, 401} if actor in ("nobody", "revoked") else {405}
            else:
                wanted = expected_rest(actor, *REST[route][method])
                if route in OWN and wanted == FINE and method != "GET":
                    wanted = wanted | {403}
                if is_gone or (actor in ("erin", "alice", "own") and method != "GET"):
                    wanted = wanted | {404}  # one before has just removed it
                is_gone = is_gone or (method == "DELETE" and answer.status_code < 300)
            if answer.status_code not in wanted:
                wrong.append((method, actor, answer.status_code, answer.content[:80]))

    assert wrong == []


# Traces may come later: what is known of one that is not there is said like of one that is.
NOT_THERE_YET = {"api/v1/traces/<str:trace_id>/judging"}


def masked(answer: Any, *ids: Ids) -> tuple[int, str]:
    """An answer without what differs every time: tokens, references, and the long ids of the address."""
    text = answer.content.decode()
    for held in ids:
        text = text.replace(held.trace, "TRACE").replace(str(ABSENT), "ID").replace(f"/p/{held.slug}/", "/p/SLUG/")
    text = re.sub(r'(csrfmiddlewaretoken" value|csrf-token" content)="[^"]+"', "", text)
    text = re.sub(r"X-CSRFToken[^}]*", "", text)
    return answer.status_code, re.sub(r"\b[0-9a-f]{4}-[0-9a-f]{4}\b", "REF", text)


@pytest.mark.parametrize("route", sorted(PAGES))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_yours_and_what_is_not_there_look_alike(world: SimpleNamespace, route: str, method: str) -> None:
    charlie, alice = world.clients["charlie"], world.clients["alice"]
    foreign_project = ask(charlie, method, world.ours.fill(route))
    absent_project = ask(charlie, method, world.missing.fill(route))

    assert masked(foreign_project, world.ours) == masked(absent_project, world.missing)
    assert work(foreign_project) == work(absent_project)
    assert foreign_project.status_code in {404, 405}
    assert written(foreign_project) == []

    if route.count("<") > 1:
        here = "p/shop/" + route.removeprefix("p/<slug:slug>/")
        foreign, absent = ask(alice, method, world.theirs.fill(here)), ask(alice, method, world.missing.fill(here))
        assert masked(foreign, world.theirs) == masked(absent, world.missing)
        assert work(foreign) == work(absent)
        assert foreign.status_code in {404, 405}
        assert written(foreign) == []


@pytest.mark.parametrize("route", [route for route in sorted(REST) if "<" in route])
@pytest.mark.parametrize("actor", ["alice", "own"])
def test_rest_tells_foreign_ids_from_absent_ones_by_nothing(world: SimpleNamespace, route: str, actor: str) -> None:
    for method in REST[route]:
        foreign = ask(world.clients[actor], method, world.theirs.fill(route), "shop")
        absent = ask(world.clients[actor], method, world.missing.fill(route), "shop")

        assert masked(foreign, world.theirs) == masked(absent, world.missing)
        assert work(foreign) == work(absent)
        assert foreign.status_code in ({200} if route in NOT_THERE_YET else {404, 400})
        assert written(foreign) == []


@pytest.mark.parametrize("route", sorted(REST))
def test_a_foreign_project_and_an_absent_one_are_one_answer_by_rest(world: SimpleNamespace, route: str) -> None:
    for method, (weakest, _) in REST[route].items():
        if weakest is None:
            continue
        for actor in ("charlie", "foreign"):
            foreign = ask(world.clients[actor], method, world.ours.fill(route), "shop")
            absent = ask(world.clients[actor], method, world.missing.fill(route), "no-such")

            assert masked(foreign, world.ours) == masked(absent, world.missing)
            assert foreign.status_code == 404
            assert written(foreign) == []


@pytest.mark.parametrize("route", [route for route, kind in OTHERS.items() if kind == "ingest"])
def test_ingest_takes_ingest_keys_alone(world: SimpleNamespace, route: str) -> None:
    path = world.ours.fill(route)
    for actor in ACTORS:
        client = world.clients[actor]
        posted = client.post(path, b"", content_type=PROTOBUF, CONTENT_TYPE=PROTOBUF).status_code

        assert client.get(path).status_code == 405
        if actor in ("own", "foreign", "only ingest"):
            assert posted == 200
        else:
            assert posted == (403 if actor.startswith("only ") else 401), actor


@pytest.mark.parametrize("route", [route for route, kind in OTHERS.items() if kind == "own"])
def test_what_is_ones_own_is_nobody_elses(world: SimpleNamespace, route: str) -> None:
    path = world.ours.fill(route)
    for method in ("GET", "POST"):
        for actor in ("nobody", "own", "revoked"):
            answer = ask(world.clients[actor], method, path)
            sent_away = answer.status_code == 302 and answer.url.startswith("/accounts/login/")
            assert sent_away or answer.status_code == 405, (method, actor, answer.status_code)
    for method in ("GET", "POST"):
        for actor in ("bob", "charlie"):
            assert ask(world.clients[actor], method, path).status_code in FINE | {404, 405}


@pytest.mark.parametrize("route", [route for route, kind in OTHERS.items() if kind == "rest-own"])
def test_rest_about_oneself_says_nothing_of_others(world: SimpleNamespace, route: str) -> None:
    path = world.ours.fill(route)
    is_projects = route.endswith("projects")
    for actor in ACTORS:
        answer = world.clients[actor].get(path)
        is_key = actor in ("own", "foreign") or actor.startswith("only ")
        if actor in ("nobody", "revoked"):
            assert answer.status_code == 401
        elif is_key and (not is_projects or (actor.startswith("only ") and actor != "only read")):
            assert answer.status_code == 403
        else:
            theirs = "far" if actor in ("charlie", "foreign") else "shop"
            owned = [theirs] if is_projects or actor in ("alice", "charlie") else []
            assert [row["slug"] for row in answer.json()["items"]] == owned, actor
        posted = world.clients[actor].post(path, {}, content_type="application/json").status_code
        owns = is_projects or actor in ("alice", "charlie")
        assert posted == (401 if actor in ("nobody", "revoked") else 403 if is_key or not owns else 400), actor


@pytest.mark.parametrize("route", [route for route, kind in OTHERS.items() if kind == "owner"])
def test_an_organisation_is_its_owners(world: SimpleNamespace, route: str) -> None:
    ours, missing = world.ours.fill(route), world.missing.fill(route)
    for method in ("GET", "POST"):
        for actor in ("charlie", "erin", "bob"):
            foreign, absent = (ask(world.clients[actor], method, path) for path in (ours, missing))
            assert masked(foreign, world.ours) == masked(absent, world.missing)
            assert foreign.status_code in {404, 405}
        for actor in ("nobody", "own"):
            assert ask(world.clients[actor], method, ours).status_code in {302, 405}
        assert ask(world.clients["alice"], method, ours).status_code in FINE | {404, 405}


OWNERS_METHODS = {
    "sessions": ("DELETE",), "transfer": ("POST",), "audit": ("GET",), "removal": ("GET", "POST", "DELETE"),
}  # fmt: skip


@pytest.mark.parametrize("route", [route for route, kind in OTHERS.items() if kind == "rest-owner"])
def test_an_organisation_is_its_owners_by_rest_too(world: SimpleNamespace, route: str) -> None:
    def asked(actor: str, method: str, path: str) -> Any:
        return world.clients[actor].generic(method, path, b"{}", content_type="application/json")

    ours, missing = world.ours.fill(route), world.missing.fill(route)
    taken = OWNERS_METHODS.get(route.rpartition("/")[2]) or (
        ("PUT", "DELETE") if "owners" in route else ("DELETE",) if "people" in route else ("GET", "PATCH")
    )
    for method in taken:
        for actor in ("charlie", "erin", "bob"):
            foreign, absent = asked(actor, method, ours), asked(actor, method, missing)
            assert masked(foreign, world.ours) == masked(absent, world.missing)
            assert foreign.status_code == 404
        for actor in ("nobody", "revoked"):
            assert asked(actor, method, ours).status_code == 401
        for actor in ("own", "foreign", "only admin"):
            assert asked(actor, method, ours).status_code == 403
        assert asked("alice", method, ours).status_code in FINE | {404}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(taken):
        assert asked("alice", method, ours).status_code == 405


@pytest.mark.parametrize("route", [route for route, kind in OTHERS.items() if kind.endswith("operator")])
def test_what_is_the_operators_is_not_there_for_others(world: SimpleNamespace, route: str) -> None:
    operator = _signed_in(User.objects.create(email="operator@example.com", is_superuser=True))
    is_rest = OTHERS[route].startswith("rest-")
    path = world.ours.fill(route)

    opened = operator.get(path).status_code
    assert opened in {200, 405}
    for actor in ("alice", "charlie", "bob"):
        assert world.clients[actor].get(path).status_code == (405 if opened == 405 else 404), actor
    for actor in ("own", "foreign", "revoked", "nobody"):
        wanted = (401 if actor in ("nobody", "revoked") else 403) if is_rest else 302
        assert world.clients[actor].get(path).status_code == wanted, actor
    for actor in ("alice", "charlie", "nobody"):
        assert world.clients[actor].post(path).status_code in {401, 404, 405, 302}, actor


@pytest.mark.parametrize("route", [route for route, kind in OTHERS.items() if kind == "open"])
def test_open_addresses_answer_everybody_without_breaking(world: SimpleNamespace, route: str) -> None:
    path = world.ours.fill(route)
    for method in ("GET", "POST"):
        for actor in ("nobody", "own", "charlie", "alice"):
            answer = ask(world.clients[actor], method, path)
            assert answer.status_code in FINE | {404, 405}, (method, actor, answer.status_code)


# What a visit leaves behind by design: sessions and when they were seen, when a key was last used, and the count of
# requests that ingest refused, and how often a chart was looked at on a day.
UNCOUNTED = {"django_session", "usersessions_usersession", "traces_ingest_refusal_hour", "alerts_chartview"}
STAMPS = ("last_used_at", "last_seen_at", "last_login", "last_seen")


def rows() -> dict[str, str]:
    """A digest of every table that holds anything of people or projects."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace"
        )
        found = {}
        for (name,) in cursor.fetchall():
            if name not in UNCOUNTED:
                stamps = "".join(f" - '{stamp}'" for stamp in STAMPS)
                cursor.execute(
                    f"SELECT md5(coalesce(string_agg(x, chr(10) ORDER BY x), '')) FROM"
                    f' (SELECT (to_jsonb(t){stamps})::text AS x FROM "{name}" AS t) AS held'
                )
                found[name] = cursor.fetchone()[0]
        return found


@pytest.mark.parametrize("actor", ["alice", "own", "charlie", "nobody"])
def test_looking_changes_nothing(world: SimpleNamespace, actor: str) -> None:
    client = world.clients[actor]
    before = rows()

    for route in ROUTES:
        # Taking an export away is an act of its own, written down in the audit log.
        if "logout" not in route and not route.endswith(("_id>/file", "_id>/file/")):
            ask(client, "GET", world.ours.fill(route), "shop")

    assert {name for name, digest in rows().items() if before[name] != digest} == set()


@pytest.mark.parametrize("actor", ["alice", "own"])
def test_a_foreign_row_named_in_a_request_is_answered_like_an_absent_one(world: SimpleNamespace, actor: str) -> None:
    wrong = []
    for method, path, body in NAMED:
        answers = []
        for named in (world.theirs, world.missing):
            held = filled({"path": path, "body": body}, named, world.ours)
            place, _, query = held["path"].partition("?")
            point = transaction.savepoint()
            told = "" if body is None else json.dumps(held["body"])
            url = f"/api/v1/{place}?project=shop&{query}"
            answer = world.clients[actor].generic(method, url, told, content_type="application/json")
            transaction.savepoint_rollback(point)
            answers.append((answer.status_code, unnamed(answer.content.decode(), f"{path} {body}", named)))
        foreign, absent = answers
        if foreign != absent or foreign[0] >= 500:
            wrong.append((method, path, body, foreign, absent))

    assert not wrong, wrong


def unnamed(text: str, asked: str, named: Ids) -> str:
    """An answer without the ids that were asked for, where it repeats what was sent, and without times and new ids."""
    for name in sorted(set(re.findall(r"\$(\w+)", asked))):
        value = str(getattr(named, name))
        if value.isdigit():
            told = rf'"(?:value|{name})":"?{value}\b"?|(?<=[a-z: ]){value}(?= (?:is|are|was|of)\b)'
            text = re.sub(told, "NAMED", text)
        else:
            text = text.replace(value, "NAMED")
    text = re.sub(r'"\d{4}-\d\d-\d\dT[^"]+"', "TIME", text)
    return re.sub(r'"(?:id|score_id|signal_id)":"?[\w:.+-]+"?', "", text)


def test_who_is_out_gets_what_nobody_gets(world: SimpleNamespace) -> None:
    """A session past its time, a person whose account was closed, a member who was removed."""
    late = _signed_in(world.people["bob"])
    closed = _signed_in(User.objects.create(email="closed@example.com", is_active=False))
    removed = _signed_in(User.objects.create(email="removed@example.com"))
    held = late.session
    held["began_at"] = held["seen_at"] = (clock.now() - timedelta(days=30)).isoformat()
    held.save()
    kept = Session.objects.get(pk=held.session_key)

    wrong = []
    for route in sorted(REST):
        path = world.ours.fill(route)
        for method, (weakest, _) in REST[route].items():
            is_first = method == next(iter(REST[route]))
            clients = {"late": (late, 401), "closed": (closed, 401)} if is_first else {}
            clients |= {"removed": (removed, 401 if weakest is None else 404)}
            for name, (client, wanted) in clients.items():
                answer = ask(client, method, path, "shop")
                if answer.status_code != wanted or written(answer):
                    wrong.append((name, method, route, answer.status_code, written(answer)))
    for route, methods in sorted(PAGES.items()):
        path = world.ours.fill(route)
        method = "POST" if methods[0] is None else "GET"
        kept.save()  # the request before ended it on the server
        late.cookies[settings.SESSION_COOKIE_NAME] = kept.pk
        for name, client, wanted in (("late", late, 302), ("closed", closed, 302), ("removed", removed, 404)):
            answer = ask(client, method, path)
            if answer.status_code != wanted or (wanted == 302 and not answer.url.startswith("/accounts/login/")):
                wrong.append((name, method, route, answer.status_code))

    assert wrong == []


def test_fragments_and_files_are_as_closed_as_their_pages(world: SimpleNamespace) -> None:
    wrong = []
    for route, (weakest, _) in sorted(PAGES.items()):
        if weakest is None:
            continue
        fragment, there = {"HX-Request": "true"}, world.ours.fill(route) + "?format=csv"
        nobody = ask(world.clients["nobody"], "GET", there, **fragment)
        foreign = ask(world.clients["charlie"], "GET", there, **fragment)
        absent = ask(world.clients["charlie"], "GET", world.missing.fill(route) + "?format=csv", **fragment)
        if nobody.status_code != 401 or not nobody.headers["HX-Redirect"].startswith("/accounts/login/"):
            wrong.append(("nobody", route, nobody.status_code))
        if foreign.status_code != 404 or masked(foreign, world.ours) != masked(absent, world.missing):
            wrong.append(("charlie", route, foreign.status_code))

    assert wrong == []
