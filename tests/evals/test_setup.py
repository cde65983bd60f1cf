"""Setting up: connections keep their keys to themselves, used versions stay, plans follow one another."""

import pytest

from evals import setup
from evals.models import Connection, JudgeVersion, SamplingPlan
from evals.read import setup as read
from evals.setup import GateUnproven, NotThere, SetupRefused
from evals.write import setup as write
from telltale.audit.models import AuditEntry
from traces import changes

pytestmark = pytest.mark.django_db
KEY = "sk-test-abcdefghijklmnop1234"
POINTS = {"kind": "points", "low": 1, "high": 5}


def spec(*keys, definition="Every claim in the answer is supported by a document."):
    return {"criteria": [{"key": key, "definition": definition, "scale": POINTS} for key in keys or ("correctness",)]}


@pytest.fixture(autouse=True)
def loopback(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]


def connection(project, **more):
    values = {"name": "House model", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "key": KEY}
    return setup.add_connection(project, **{**values, **more})


def judge(project, *, slug="quality", **more):
    rubric = setup.save_rubric(project, spec(), slug="answers", name="Answers")
    where = read.list_connections(project.pk) or [connection(project)]
    values = {
        "name": "Answer quality", "kind": "model", "rubric_version_id": rubric.id, "connection_id": where[0].id,
        "model": "small-1",
    }  # fmt: skip
    return setup.save_judge(project, slug=slug, **{**values, **more})


def actions(project):
    return list(AuditEntry.objects.filter(project_id=project.pk).order_by("id").values_list("action", flat=True))


def test_a_key_is_sealed_and_only_hinted_at(project):
    made = connection(project)

    row = Connection.objects.get(pk=made.id)
    assert made.key_hint == "…1234"
    assert KEY not in row.sealed_key
    assert read.endpoint_of(made.id, "small-1").key == KEY
    assert KEY not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_a_key_does_not_follow_to_another_host(project):
    made = connection(project)

    same = setup.change_connection(project, made.id, base_url="http://127.0.0.1:9/other")
    moved = setup.change_connection(project, made.id, base_url="http://127.0.0.1:10/v1")

    assert same.key_hint == "…1234"
    assert moved.key_hint == ""
    assert read.endpoint_of(made.id, "").key == ""


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 81}),
        ("name", {"name": "a\x00b"}),
        ("kind", {"kind": "telepathy"}),
        ("base_url", {"base_url": "ftp://127.0.0.1"}),
        ("base_url", {"base_url": "http://169.254.169.254/latest"}),
        ("base_url", {"base_url": "http://user:pw@127.0.0.1/v1"}),
        ("base_url", {"base_url": "http://127.0.0.1/v1?key=x"}),
        ("key", {"key": "two words"}),
        ("key", {"key": "k" * 1001}),
        ("timeout_seconds", {"timeout_seconds": float("nan")}),
        ("timeout_seconds", {"timeout_seconds": 301}),
        ("calls_a_minute", {"calls_a_minute": 0}),
        ("at_a_time", {"at_a_time": 65}),
        ("input_pico", {"output_pico": 5}),
        ("output_pico", {"input_pico": 5, "output_pico": -1}),
    ],
)
def test_a_connection_that_cannot_be_names_its_field(project, field, values):
    with pytest.raises(SetupRefused) as refused:
        connection(project, **values)

    assert refused.value.field == field
    assert not Connection.objects.exists()


def test_a_private_network_is_refused_unless_the_operator_allows_it(project, settings):
    settings.TELLTALE_EGRESS_ALLOW = []

    with pytest.raises(SetupRefused) as refused:
        connection(project)

    assert (refused.value.field, refused.value.limit) == ("base_url", "loopback")


def test_a_name_is_given_once(project):
    connection(project)

    with pytest.raises(SetupRefused, match="already"):
        connection(project)


def test_putting_a_connection_away_forgets_its_key_but_not_under_a_live_judge(project):
    made = connection(project)
    judge(project)
    setup.make_live(project, "quality", reason="labels come next week")

    with pytest.raises(SetupRefused, match="Answer quality"):
        setup.archive_connection(project, made.id)

    setup.take_down(project, "quality")
    away = setup.archive_connection(project, made.id)
    assert (away.key_hint, away.archived_at is None) == ("", False)
    assert setup.archive_connection(project, made.id, is_archived=False).archived_at is None


def test_a_rubric_nobody_used_changes_in_place_and_a_used_one_is_followed(project):
    first = setup.save_rubric(project, spec("a"), name="Answers")
    again = setup.save_rubric(project, spec("a", "b"), slug=first.slug)
    write.freeze_rubric(again.id)
    same = setup.save_rubric(project, spec("a", "b"), slug=first.slug)
    next_one = setup.save_rubric(project, spec("c"), slug=first.slug)

    assert first.id == again.id == same.id
    assert [version.number for version in read.get_rubric(project.pk, first.slug).versions] == [2, 1]
    assert [c.key for c in read.get_rubric_version(project.pk, first.id).rubric.criteria] == ["a", "b"]
    assert next_one.number == 2
    assert actions(project).count("rubric.save") == 3


def test_a_rubric_that_cannot_be_names_its_field(project):
    with pytest.raises(SetupRefused) as refused:
        setup.save_rubric(project, {"criteria": [{"key": "Bad key"}]}, name="x")

    assert refused.value.field == "criteria[0].key"


def test_rubrics_of_one_name_get_addresses_of_their_own(project):
    names = [setup.save_rubric(project, spec(), name=name).slug for name in ("New", "Answers", "Answers", "„“")]

    assert names == ["new-2", "answers", "answers-2", "rubric"]


def test_a_version_in_production_stays_and_saving_makes_the_next(project):
    first = judge(project)
    setup.make_live(project, "quality", reason="first look")
    second = judge(project, model="large-2")
    draft = judge(project, model="large-3")

    assert (first.number, second.number, draft.number, second.id == draft.id) == (1, 2, 2, True)
    found = read.get_judge(project.pk, "quality")
    assert (found.live.number, found.live.model, found.newest.model) == (1, "small-1", "large-3")
    assert JudgeVersion.objects.get(pk=first.id).rubric_version.frozen_at is not None


def test_an_unproven_model_goes_to_production_only_with_a_reason_that_is_kept(project):
    judge(project)

    with pytest.raises(GateUnproven, match="correctness: not calibrated"):
        setup.make_live(project, "quality")
    assert read.get_judge(project.pk, "quality").live is None

    setup.make_live(project, "quality", reason="  trial\n of a week ")
    entry = AuditEntry.objects.get(action="judge.live")
    assert entry.after == {"version": 1, "unproven": ["correctness"], "reason": "trial of a week"}
    assert changes.is_watched(project.pk)


def test_rules_need_neither_connection_nor_reason(project):
    brief = {"key": "brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
    rubric = setup.save_rubric(project, {"criteria": [brief]}, name="Format")
    rules = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20}]}
    setup.save_judge(project, slug="format", name="Format", kind="rule", rubric_version_id=rubric.id, config=rules)

    assert setup.make_live(project, "format").live.number == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("kind", {"kind": "oracle"}),
        ("rubric_version", {"rubric_version_id": 2**40}),
        ("connection", {"connection_id": None}),
        ("connection", {"connection_id": 2**40}),
        ("model", {"model": ""}),
        ("model", {"model": "m" * 201}),
        ("model", {"model": "a\x00b"}),
        ("config.surprise", {"config": {"surprise": 1}}),
        ("config.flag.criteria.nothing", {"config": {"flag": {"criteria": {"nothing": 2}}}}),
        ("config", {"config": {"mapping": {"question": "attribute:a\ud800"}}}),
    ],
)
def test_a_judge_that_cannot_be_names_its_field(project, field, values):
    with pytest.raises(SetupRefused) as refused:
        judge(project, **values)

    assert refused.value.field == field
    assert read.list_judges(project.pk) == []


def test_rubrics_and_connections_of_others_are_not_there(project, charlie):
    from telltale.projects.models import Project

    far = Project.objects.get(slug="far")
    theirs = setup.save_rubric(far, spec(), name="Theirs")
    endpoint = connection(far)

    for values in ({"rubric_version_id": theirs.id}, {"connection_id": endpoint.id}):
        with pytest.raises(SetupRefused, match="none of this project"):
            judge(project, **values)
    with pytest.raises(NotThere):
        setup.change_connection(project, endpoint.id, name="Mine now")
    with pytest.raises(NotThere):
        setup.make_live(project, "quality")


def test_a_draft_goes_and_what_was_used_stays(project):
    judge(project)
    setup.make_live(project, "quality", reason="x")
    with pytest.raises(SetupRefused, match="only one"):
        setup.discard_draft(project, "quality")
    judge(project, model="large-2")

    assert [version.number for version in setup.discard_draft(project, "quality").versions] == [1]


def test_plans_follow_one_another_with_one_salt(project, time_machine):
    time_machine.move_to("2026-11-21T10:00:00+00:00", tick=False)
    judge(project)
    setup.set_plan(project, "quality", {"kind": "random", "share": 0.05})
    time_machine.move_to("2026-11-21T11:00:00+00:00", tick=False)
    setup.set_plan(project, "quality", {"kind": "random", "share": 0.05})
    setup.set_plan(project, "quality", {"kind": "random", "share": 0.1})

    rows = SamplingPlan.objects.order_by("number")
    assert [(row.spec["share"], row.valid_to is None) for row in rows] == [(0.05, False), (0.1, True)]
    assert rows[0].valid_to == rows[1].valid_from
    assert rows[0].salt == rows[1].salt
    assert len(rows[0].salt) == 32


def test_a_plan_of_the_future_gives_way_to_one_of_now(project, time_machine):
    from datetime import timedelta

    from telltale.lib import clock

    time_machine.move_to("2026-11-21T10:00:00+00:00", tick=False)
    judge(project)
    first = setup.set_plan(project, "quality", {"kind": "all"})
    later = clock.now() + timedelta(days=2)
    setup.set_plan(project, "quality", {"kind": "random", "share": 0.5}, valid_from=later)
    time_machine.shift(timedelta(days=1))
    assert read.plans_in_force(project.pk, clock.now())[first.judge_id].number == 1

    setup.set_plan(project, "quality", {"kind": "random", "share": 0.2})

    assert read.plans_in_force(project.pk, clock.now())[first.judge_id].number == 3
    assert read.plans_in_force(project.pk, later + timedelta(days=1))[first.judge_id].number == 3
    assert setup.end_plan(project, "quality") is True
    assert read.plans_in_force(project.pk, clock.now()) == {}
    assert setup.end_plan(project, "quality") is False


@pytest.mark.parametrize(
    ("field", "plan"),
    [
        ("kind", {"kind": "some"}),
        ("share", {"kind": "random", "share": 2}),
        ("plan", {"kind": "strata", "by": "feature", "shares": {"a\x00": 0.5}}),
        ("plan", []),
    ],
)
def test_a_plan_that_cannot_be_names_its_field(project, field, plan):
    judge(project)

    with pytest.raises(SetupRefused) as refused:
        setup.set_plan(project, "quality", plan)

    assert refused.value.field == field


def test_settings_have_defaults_and_keep_what_is_changed(project):
    before = setup.settings_for(project.pk)
    after = setup.save_settings(project, budget_pico_day=None, settle_seconds=60)

    assert (before.budget_pico_day, before.settle_seconds) == (5 * 10**12, 30)
    assert (after.budget_pico_day, after.settle_seconds) == (None, 60)
    assert actions(project) == ["evaluation.settings"]
    with pytest.raises(SetupRefused, match="settle_seconds"):
        setup.save_settings(project, settle_seconds=0)
