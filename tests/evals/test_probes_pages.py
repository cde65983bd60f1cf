"""The pages of probes: what they say, who may do what, how much they ask of the database."""

from __future__ import annotations

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from alerts import grouping
from alerts.read.incidents import list_incidents
from evals import probing
from evals.models import (
    ProbeAlarm,
    ProbeAnswer,
    ProbeBaseline,
    ProbeResult,
    ProbeRun,
    ProbeSeries,
    ProbeSuite,
)
from telltale.lib import clock
from tests.evals.judging_kit import make_connection
from tests.evals.probes_kit import BY, JSON_PROBE, SUM_PROBE

pytestmark = pytest.mark.django_db

GOOD, FENCED = '{"name": "Ada", "age": 36}', '```json\n{"name": "Ada", "age": 36}\n``` <b>'


def make_rows(project, probes=(JSON_PROBE, SUM_PROBE), passes=(20, 10, 0), models=("gpt-4",)):
    """A suite whose runs passed so often, by rows alone; the last run opened an alarm of the first probe."""
    row = make_connection(project)
    targets = [{"connection": row.pk, "model": model} for model in models]
    told = {"name": "Provider", "targets": targets, "probes": list(probes), "repeats": 10}
    suite = ProbeSuite.objects.get(project=project, slug=probing.make_suite(project, told, by=BY))
    for number, n in enumerate(passes, 1):
        probing.run_now(project, suite.slug, by=BY)
        run = ProbeRun.objects.get(suite=suite, number=number)
        text = FENCED if n == 0 else GOOD
        ProbeAnswer.objects.filter(run=run).update(
            state="done", text=text, passed=n > 0, cost_pico=10**9, latency_ms=120.0, model_answered="gpt-4-0613",
            checks=[{"kind": "json_schema", "passed": n > 0, "told": "The answer is no JSON." if n == 0 else "Fine."}],
        )  # fmt: skip
        for series in ProbeSeries.objects.filter(target__suite=suite):
            baseline = ProbeBaseline.objects.get(series=series)
            asked = ProbeAnswer.objects.filter(run=run, series=series).count()
            figures = {"level": 1e-4, "fewest": 5, "test": "Fisher", "p": 1e-7 if n == 0 else 1.0, "p_fisher": 1e-7,
                       "low": 0.0, "high": 0.2, "across": 0.4, "noise": 0.01, "p_answers": 1e-4}  # fmt: skip
            state = "changed" if n == 0 else "same"
            ProbeResult.objects.create(
                run=run, series=series, baseline=baseline, passes=n, runs=asked, unclear=0, unanswered=0, state=state,
                was_learned=n > 0, base_passes=20, base_runs=20, figures=figures, models_answered=["gpt-4-0613"],
            )  # fmt: skip
            ProbeSeries.objects.filter(pk=series.pk).update(state=state)
        ProbeBaseline.objects.filter(series__target__suite=suite).update(passes=20, runs=20)
        ProbeRun.objects.filter(pk=run.pk).update(
            state="done", finished_at=clock.now(), cost_pico=840_000_000_000, calls=40, unpriced=0
        )
        if n == 0:
            first = ProbeSeries.objects.filter(target__suite=suite).order_by("pk")[0]
            evidence = [{"kind": "passes", "p": 1e-7, "level": 1e-4, "series": first.pk}]
            ProbeAlarm.objects.create(
                suite=suite, target=first.target, run=run, p=1e-7, level=1e-4, evidence=evidence
            )  # fmt: skip
    return suite


def test_a_project_without_probes_says_what_they_are_for(project, alice, sign_in):
    engineer = sign_in(alice)

    page = engineer.get(f"/p/{project.slug}/probes/").content.decode()

    assert "No suite of probes yet" in page
    assert "No model can be called yet" in engineer.get(f"/p/{project.slug}/probes/new/").content.decode()


def test_an_alarm_is_told_in_one_sentence_with_its_evidence(project, alice, sign_in):
    suite = make_rows(project)

    page = sign_in(alice).get(f"/p/{project.slug}/probes/?suite={suite.slug}").content.decode()

    assert "gpt-4 changed on" in page
    assert "without a new version name" in page
    assert "format-json passed 0 of 10 runs; its baseline passed 20 of 20 (p &lt; 0.00001; an alarm needs" in page
    assert "the change is likely on the provider’s side" in page
    ProbeAlarm.objects.update(closed_at=clock.now())
    own = sign_in(alice).get(f"/p/{project.slug}/probes/{ProbeSeries.objects.order_by('pk')[0].pk}/").content.decode()
    assert "Changed: fewer passes in this run" in own, "a closed alarm says what changed as well"
    assert "gpt-4 names no version" in page
    assert "$0.84" in page


def test_a_probe_whose_answers_changed_says_that_its_passes_did_not(project, alice, sign_in):
    suite = make_rows(project)
    ProbeAlarm.objects.update(evidence=[{"kind": "answers", "p": 1e-5, "level": 1e-4, "series": None}])
    results = ProbeResult.objects.filter(run__number=3)
    results.update(passes=10, figures={"p": 1.0, "level": 1e-4, "fewest": 5, "p_answers": 1e-5})
    client, series = sign_in(alice), ProbeSeries.objects.order_by("pk")[0]

    page = client.get(f"/p/{project.slug}/probes/?suite={suite.slug}").content.decode()
    own = client.get(f"/p/{project.slug}/probes/{series.pk}/").content.decode()

    assert "passes are the same; the answers of this model changed" in page
    assert "Answers changed" in page
    assert "<b>gpt-4: Its answers lie farther" in page
    assert 'class="x"' not in page
    assert "passes are the same. It is the answers of this model that changed beyond chance." in own
    assert "Changed: other answers" in own, "in the table under the chart, too"


def test_each_number_of_answers_of_a_history_is_told(project, alice, sign_in):
    suite = make_rows(project)

    page = sign_in(alice).get(f"/p/{project.slug}/probes/?suite={suite.slug}").content.decode()

    assert "of 20, then 10</span>" in page


def test_a_probe_that_never_passed_warns_that_it_can_tell_nothing(project, alice, sign_in):
    suite = make_rows(project, passes=(20, 10))
    ProbeResult.objects.update(passes=0, base_passes=0)
    client, series = sign_in(alice), ProbeSeries.objects.order_by("pk")[0]

    page = client.get(f"/p/{project.slug}/probes/?suite={suite.slug}").content.decode()
    own = client.get(f"/p/{project.slug}/probes/{series.pk}/").content.decode()

    assert "The model answers as before; 2 probes never passed and can tell nothing of a fall" in page
    assert page.count("never passed, so it can tell nothing of a fall") == 2
    assert "It never passed, so it can tell nothing of a fall." in own


def test_the_answers_stand_beside_each_other_with_what_differs(project, alice, sign_in):
    make_rows(project)
    series = ProbeSeries.objects.get(version__probe__key="format-json")

    page = sign_in(alice).get(f"/p/{project.slug}/probes/{series.pk}/?run=3").content.decode()

    assert "It passed 0 of 10 in run 3; its baseline passed 20 of 20. That is beyond chance." in page
    assert "<ins>```json" in page
    assert "&lt;b&gt;" in page
    assert "<b>json_schema</b> The answer is no JSON." in page
    assert "Show as a table" in page


def test_a_suite_is_set_up_run_and_changed_on_pages(project, alice, sign_in):
    row, base = make_connection(project), f"/p/{project.slug}/probes/"
    client = sign_in(alice)
    typed = {
        "name": "Nightly", "connection": [row.pk, ""], "model": ["gpt-4", ""], "every": "days", "day": ["wed"],
        "at": "06:00", "repeats": "20", "temperature": "0", "max_output_tokens": "200", "runs_between_alarms": "500",
        "budget_usd_run": "1.50", "preset": ["format-json-001"],
    }  # fmt: skip

    assert client.post(base + "new/", typed | {"repeats": "3"}).status_code == 400
    made = client.post(base + "new/", typed)

    assert made["Location"] == f"{base}?suite=nightly"
    suite = ProbeSuite.objects.get(slug="nightly")
    assert (suite.repeats, suite.budget_pico_run, suite.next_at.weekday()) == (20, 1_500_000_000_000, 2)
    spec = {"key": "sum", "must": "say 391", "system": "", "user": "17 * 23?", "tools": "", "answer": "It is 391.",
            "checks": '[{"kind": "contains", "texts": ["391"]}]'}  # fmt: skip
    tried = client.post(base + "suites/nightly/probes/new/", spec | {"try": "yes"})
    assert "It passes" in tried.content.decode()
    wrong = client.post(base + "suites/nightly/probes/new/", spec | {"checks": "[{"})
    assert (wrong.status_code, "is no JSON" in wrong.content.decode()) == (400, True)
    assert client.post(base + "suites/nightly/probes/new/", spec).status_code == 302
    page = client.get(base + "suites/nightly/").content.decode()
    assert "one probe alarms by itself at" in page
    client.post(base + "suites/nightly/", typed | {"name": "Weekly", "is_paused": "on"})
    suite.refresh_from_db()
    assert (suite.name, suite.next_at) == ("Weekly", None)
    assert client.post(base + "suites/nightly/run/").status_code == 302
    assert ProbeRun.objects.get().answers.count() == 40
    assert "0 of 40 answers" in client.get(base).content.decode()
    client.post(base + "suites/nightly/cancel/")
    assert ProbeRun.objects.get().state == "cancelled"
    client.post(base + "suites/nightly/archive/")
    assert "No suite of probes yet" in client.get(base).content.decode()


def test_an_alarm_is_closed_on_the_page_with_what_it_was(project, alice, sign_in):
    make_rows(project)
    alarm, client = ProbeAlarm.objects.get(), sign_in(alice)
    here = f"/p/{project.slug}/probes/alarms/{alarm.pk}/"

    client.post(here, {"act": "nonsense"})
    client.post(here, {"act": "acknowledge"})
    client.post(here, {"act": "accepted", "note": "new model"})

    alarm.refresh_from_db()
    assert (alarm.verdict, alarm.note, alarm.acknowledged_by) == ("accepted", "new model", alice)
    assert ProbeBaseline.objects.filter(ended_at=None, number=2).count() == 2


def test_pages_ask_the_same_of_the_database_however_much_there_is(project, alice, sign_in):
    probes = [SUM_PROBE | {"key": f"sum-{n}"} for n in range(6)]
    suite = make_rows(project, (JSON_PROBE, *probes), models=("gpt-4", "gpt-4o"))
    client = sign_in(alice)
    series = ProbeSeries.objects.filter(target__suite=suite).order_by("pk")[0]
    many = [f"/p/{project.slug}/probes/?suite={suite.slug}", f"/p/{project.slug}/probes/{series.pk}/?run=3",
            f"/p/{project.slug}/probes/suites/{suite.slug}/"]  # fmt: skip
    client.get(many[0])

    for path, most in zip(many, (26, 26, 18), strict=True):
        with CaptureQueriesContext(
            database,
        ) as queries:
            assert client.get(path).status_code == 200
        assert len(queries) <= most, (path, [query["sql"][:90] for query in queries])


def test_every_result_is_a_line_of_the_file(project, alice, sign_in):
    make_rows(project)

    answer = sign_in(alice).get(f"/p/{project.slug}/probes/?format=csv")

    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0].startswith("suite,probe,version,model,run,at,state,passes,runs")
    assert len(lines) == 7


def test_an_alarm_leads_to_its_incident_or_to_one_that_is_opened_with_it(project, alice, sign_in):
    make_rows(project)
    alarm = ProbeAlarm.objects.get()
    engineer = sign_in(alice)

    page = engineer.get("/p/shop/probes/").content.decode()
    assert f'href="/p/shop/incidents/new/?probe={alarm.pk}"' in page
    form = engineer.get(f"/p/shop/incidents/new/?probe={alarm.pk}").content.decode()
    assert "answers otherwise: probes Provider" in form

    # Nobody has to ask: what probes find opens one by itself.
    assert grouping.take_alarms() == 1
    assert grouping.take_alarms() == 0

    row = list_incidents(project.pk)[0]
    assert (row.severity, row.origin, row.scope, row.members) == (2, "probe", {"model": ("gpt-4",)}, 1)
    assert 'It belongs to <a href="/p/shop/incidents/1/">INC-1</a>' in engineer.get("/p/shop/probes/").content.decode()
    # A second alarm of the same model joins it.
    alarm.closed_at = clock.now()
    alarm.save()
    ProbeAlarm.objects.create(
        suite=alarm.suite, target=alarm.target, run=ProbeRun.objects.get(number=1), p=1e-7, level=1e-4, evidence=[]
    )
    assert grouping.take_alarms() == 1
    assert list_incidents(project.pk)[0].members == 2
