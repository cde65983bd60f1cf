"""Every kind of rule has inputs, which give back what the judge was set to."""

from __future__ import annotations

from html import unescape
from urllib.parse import quote

import pytest
from django.http import QueryDict

from evals import setup
from evals.forms import rules as form
from evals.judges.checks import KINDS, read_rule
from evals.judges.fields import ConfigRefused
from evals.models import Judge
from evals.read import setup as read
from evals.setup import SetupRefused, preflights
from evals.setup.preflights import find_preflight
from telltale.jobs import work
from telltale.jobs.models import Job
from tests.evals.judging_kit import store_traces

RULES = [
    {"kind": "format", "format": "date_time", "may_be_fenced": True, "where": "expected"},
    {"kind": "json_schema", "schema": {"type": "object", "properties": {"ü": {"minimum": 0.5}}}},
    {"kind": "regex", "pattern": " a|b\\s+ ", "match": "none", "ignore_case": True, "where": "tools"},
    {"kind": "contains", "texts": ["30 days", "Receipt"], "match": "all", "ignore_case": False},
    {"kind": "contains", "texts": [" edge ", "two\nlines", "[x]"]},
    {"kind": "length", "at_least": 3, "at_most": 20, "unit": "lines"},
    {"kind": "length", "at_most": 200},
    {"kind": "refusal", "expected": True},
    {"kind": "language", "languages": ["en", "question"]},
    {"kind": "language"},
    {"kind": "pii", "kinds": ["key", "us_ssn"]},
    {"kind": "injection"},
    {"kind": "exact"},
    {"kind": "latency", "at_most_ms": 1500, "of": "ttft"},
    {"kind": "cost", "at_most_usd": "0.000000000001"},
    {"kind": "tokens", "at_most": 900, "of": "input"},
    {"kind": "no_error", "tools": False},
    {"kind": "finish", "reasons": ["stop", "tool_calls"]},
    {"kind": "tools", "called": ["orders.lookup"], "not_called": ["refund"]},
    {"kind": "documents", "at_least": 2, "score_at_least": 0.75},
    {"kind": "documents"},
    {"kind": "cites", "at_least": 2},
    {"kind": "relevance", "at_least": 0.25, "of": "mean"},
    {"kind": "numbers"},
    {"kind": "expression", "expression": "len(answer) > 3 and True"},
]


def clean(rule):
    """A rule with all its settings, as it is kept."""
    read_ = read_rule({"criterion": "it", **rule}, "rules[0]")
    return {"criterion": "it", "kind": read_.kind, **read_.settings}


def posted(row, at=0, **more):
    """The row as a browser sends it."""
    post = QueryDict(mutable=True)
    post[f"r-{at}-criterion"], post[f"r-{at}-kind"], post[f"r-{at}-shown"] = row.criterion, row.kind, row.kind
    for setting in row.shape.settings:
        text = row.text(setting)
        if setting.kind == "many":
            post.setlist(f"r-{at}-{setting.name}", text.split("\n"))
        elif setting.kind != "check" or text:
            post[f"r-{at}-{setting.name}"] = text.replace("\n", "\r\n")
    post.update({f"r-{at}-{name}": value for name, value in more.items()})
    return post


def test_the_form_knows_every_kind_and_every_setting():
    told = {kind: {each.name for each in shape.settings} for kind, shape in form.KINDS.items()}

    assert told == {kind: names for kind, (_, names) in KINDS.items()}
    assert {each["kind"] for each in RULES} == set(KINDS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["kind"])
def test_inputs_give_back_the_rule_they_were_filled_with(rule):
    kept = clean(rule)

    typed = form.read_row(posted(form.row_of(kept)), 0)

    assert clean(form.rule_of(typed, 0)) == kept


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_new_rule_begins_with_settings_that_hold_or_are_asked_for(kind):
    rule = form.rule_of(form.RuleRow("it", kind), 0)

    if kind in ("regex", "json_schema", "contains", "expression", "length", "tools"):
        # Nobody can guess the pattern, the texts, how long.
        with pytest.raises(ConfigRefused):
            read_rule(rule, "rules[0]")
    else:
        assert read_rule(rule, "rules[0]").kind == kind


def test_another_kind_keeps_only_what_it_shares():
    row = form.row_of(clean({"kind": "contains", "texts": ["a"], "match": "all", "where": "tools"}))

    typed = form.read_row(posted(row, kind="regex"), 0)

    assert typed.values["where"] == "tools"
    assert (typed.values["match"], typed.values["pattern"], typed.values["ignore_case"]) == ("any", "", "on")


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [("json_schema", "schema", "{"), ("json_schema", "schema", "[" * 100_000), ("length", "at_most", "x"),
     ("documents", "score_at_least", "nan"), ("contains", "texts", '["a"')],
)  # fmt: skip
def test_what_is_no_number_and_no_json_is_refused_at_its_input(kind, name, text):
    row = form.RuleRow("it", kind, {name: text})

    with pytest.raises(SetupRefused) as refused:
        form.rule_of(row, 3)

    assert refused.value.field == f"config.rules[3].{name}"


@pytest.fixture
def owner(alice, project, sign_in):
    return sign_in(alice)


@pytest.fixture
def brief(db, project):
    yes = {"key": "brief", "title": "Brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
    return setup.save_rubric(project, {"criteria": [yes]}, slug="format", name="Format")


def typed_judge(brief, **more):
    return {"kind": "rule", "name": "Short", "rubric": str(brief.id), "rules": "1", "r-0-criterion": "brief",
            "r-0-kind": "length", "r-0-shown": "length", "r-0-unit": "words", "r-0-at_most": "20",
            "r-0-where": "answer"} | more  # fmt: skip


@pytest.mark.django_db
def test_a_refused_rule_says_so_at_its_input(owner, brief):
    answer = owner.post("/p/shop/judges/new/", typed_judge(brief, **{"r-0-at_most": "2", "r-0-at_least": "9"}))

    html = unescape(answer.content.decode())
    assert answer.status_code == 400
    assert 'href="#f-r-0-at_most"' in html
    assert 'aria-invalid="true"' in html
    assert "less than at_least" in html


@pytest.mark.django_db
def test_every_kind_of_rule_is_drawn_and_saved_by_page(owner, project, brief):
    rows = [form.row_of({**clean(rule), "criterion": "brief"}) for rule in RULES if rule != {"kind": "language"}]
    post = QueryDict(mutable=True)
    for at, row in enumerate(rows):
        post.update(posted(row, at))
    post.update({"kind": "rule", "name": "All", "rubric": str(brief.id), "rules": str(len(rows))})

    answer = owner.post("/p/shop/judges/new/", post.urlencode(), "application/x-www-form-urlencoded")

    assert answer.status_code == 302, unescape(answer.content.decode())[:3000]
    judge = read.get_judge(project.pk, "all")
    kept = [{**clean(rule), "criterion": "brief"} for rule in RULES if rule != {"kind": "language"}]
    assert judge.newest.config["rules"] == kept
    html = unescape(owner.get("/p/shop/judges/all/").content.decode())
    assert html.count("Show its settings") == len(rows)
    again = owner.get("/p/shop/judges/all/?v=1")
    assert again.status_code == 200


@pytest.mark.django_db
def test_what_was_tried_can_be_gone_on_with_and_saved(owner, project, brief, bob, sign_in, monkeypatch):
    monkeypatch.setattr(preflights, "wake", lambda task: None)
    chosen = store_traces(project, 3)[:2]
    post = typed_judge(brief, do="try", traces=f"{chosen[0]}, http://127.0.0.1/p/shop/traces/{chosen[1].hex}/")

    here = owner.post("/p/shop/judges/new/", post)
    work.run_next()
    job = Job.objects.get(kind=preflights.KIND)
    tried = find_preflight(project.pk, job.pk)
    assert [each["trace_id"] for each in tried.tried] == [each.hex for each in chosen]
    html = unescape(owner.get(here["Location"]).content.decode())
    assert f"/p/shop/judges/new/?try={job.pk}" in html
    form_html = unescape(owner.get(f"/p/shop/judges/new/?try={job.pk}").content.decode())
    assert 'value="Short"' in form_html
    assert 'name="r-0-at_most" value="20"' in form_html
    assert Judge.objects.count() == 0
    assert f"?try={job.pk}" not in unescape(sign_in(bob).get(here["Location"]).content.decode())
    assert owner.get("/p/shop/judges/new/?try=999999").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("traces", ["zz", "0" * 31, " ".join(f"{n:032x}" for n in range(6)), "x\x00"])
def test_traces_that_are_none_are_refused_by_name(owner, project, brief, traces):
    store_traces(project, 1)
    answer = owner.post("/p/shop/judges/new/", typed_judge(brief, do="try", traces=traces))

    assert answer.status_code == 400
    assert 'href="#f-traces"' in answer.content.decode()


@pytest.mark.django_db
def test_instructions_stay_with_the_rubric_they_were_typed_for(owner, project, brief, settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    other = setup.save_rubric(
        project, {**brief.spec, "instructions": "Read the sources."}, slug="other", name="Other"
    )  # fmt: skip
    where = setup.add_connection(project, name="House", kind="openai", base_url="http://127.0.0.1:9/v1")
    setup.save_judge(
        project, slug="m", name="M", kind="model", rubric_version_id=brief.id, connection_id=where.id, model="small"
    )  # fmt: skip
    typed = {
        "name": "M", "rubric": str(other.id), "instructions": "Of the first.", "instructions_of": str(brief.id),
        "connection": str(where.id), "model": "small", "part-answer": "on", "max_chars": "5000",
        "max_output_tokens": "500",
    }  # fmt: skip

    shown = owner.post("/p/shop/judges/m/", typed | {"do": "refresh"}).content.decode()
    assert ">\nRead the sources.</textarea>" in shown
    assert owner.post("/p/shop/judges/m/", typed).status_code == 302
    assert read.get_rubric(project.pk, "other").newest.spec["instructions"] == "Read the sources."
    assert read.get_judge(project.pk, "m").newest.rubric_version.id == other.id


@pytest.mark.django_db
@pytest.mark.parametrize("odd", ["a\x00b", "../x", "9" * 400, "x" * 3000, "\u202e"])
@pytest.mark.parametrize(
    "address",
    [
        "judges/new/?kind=rule&rubric=", "judges/new/?preset=", "judges/new/?try=", "judges/short/runs/?before=",
        "judges/short/backfill/?query=", "rubrics/new/?preset=", "judges/short/?try=",
    ],
)  # fmt: skip
def test_addresses_that_nobody_wrote_are_answered(owner, project, brief, address, odd):
    rule = {"criterion": "brief", "kind": "length", "at_most": 9}
    setup.save_judge(project, slug="short", name="S", kind="rule", rubric_version_id=brief.id, config={"rules": [rule]})

    assert owner.get(f"/p/shop/{address}{quote(odd)}").status_code == 200
