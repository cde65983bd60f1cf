"""docs/judge-setup.md: its commands run as they stand, one after the other, and its table of addresses is whole."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from evals import backfilling, judging, setup
from evals.api.urls import urlpatterns
from evals.models import Backfill, Connection
from evals.setup import connections, judges, preflights, rubrics, testing
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import egress
from telltale.projects.keys import make_key
from tests.evals.documented import DOCS, commands, run
from tests.evals.judging_kit import store_traces

pytestmark = pytest.mark.django_db
PAGE = (DOCS / "judge-setup.md").read_text()
# What the room's other pages of docs tell.
ELSEWHERE = ("scores", "estimates", "datasets", "experiments", "calibrations", "routines", "review", "labels",
             "retrieval", "documents", "survivorship", "probes", "models")  # fmt: skip


def test_every_command_of_the_page_works(project, monkeypatch):
    monkeypatch.setattr(preflights, "wake", lambda task: None)
    monkeypatch.setattr(egress, "check", lambda url: None)
    monkeypatch.setattr(testing, "_test", lambda connection_id, model: testing.Tested(True, "small-1 answered."))
    (trace_id,) = store_traces(project, 1)
    secret = make_key(project, "All", ("read", "write", "admin")).secret
    client, names, answers = Client(), {"TRACE_ID": trace_id.hex}, []

    for words in commands("judge-setup.md"):
        answer = run(client, words, secret, **names)
        assert answer.status_code in (200, 201, 202), (words, answer.content)
        answers.append(answer.json())
        if row := Connection.objects.first():
            names["CONNECTION_ID"] = str(row.pk)
        if (job := Job.objects.filter(kind=preflights.KIND).first()) and "TRY_ID" not in names:
            names["TRY_ID"] = str(job.pk)
            work.run_next()
        if row := Backfill.objects.first():
            names["BACKFILL_ID"] = str(row.pk)
            backfilling.advance(row.pk)
            judging.judge_rules(5.0)

    assert "sk-not-a-real-key-1234" not in str(answers)
    assert answers[4]["remarks"]
    assert answers[7]["items"][0]["verdict"]["scores"][0]["number"] == 1
    assert answers[-1]["items"][0]["words"]
    assert answers[-2]["items"][0]["state"] == "scored"


def test_its_table_names_every_address():
    told = set(re.findall(r"`(?:/api/v1)?/([a-z][^`]*)`", PAGE))
    told = {re.sub(r"\{\w+\}", "{}", each) for each in told}
    there = {re.sub(r"<\w+:\w+>", "{}", str(each.pattern)) for each in urlpatterns}

    wanted = {each for each in there if not each.startswith(ELSEWHERE)}
    assert wanted <= told
    assert "judges/{}/plan/estimate" in wanted


def test_its_limits_are_those_of_the_code():
    assert f"{connections.CONNECTIONS_MAX} connections, {rubrics.RUBRICS_MAX} rubrics and {judges.JUDGES_MAX}" in PAGE
    assert f"{judges.VERSIONS_MAX} versions of each" in PAGE
    assert rubrics.VERSIONS_MAX == judges.VERSIONS_MAX
    assert setup.settings_for(0).budget_pico_day == 5 * 10**12
