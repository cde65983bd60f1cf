"""What stands around the demo's monitors: budgets, probes and a channel are there once, and lead to the stand-in."""

from __future__ import annotations

import json

import pytest

from alerts.models import Channel, CostBudget, Route
from evals.models import ProbeAnswer, ProbeRun, ProbeSuite
from evals.probes.checks import passed, run_rule
from evals.probes.presets import PRESETS
from evals.probes.spec import material_of, parse_spec
from telltale.projects.keys import make_key
from telltale.run.demo import around, judging
from telltale.run.demo.account import SendError
from telltale.run.demo.project import SCOPES
from telltale.run.stand_in import talk

pytestmark = pytest.mark.django_db


@pytest.fixture
def rest(client, project, monkeypatch, settings):
    """The demo's REST, answered in this process."""
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.1/32"]
    headers = {"authorization": f"Bearer {make_key(project, 'Demo traffic', SCOPES).secret}"}

    def ask(address, method, path, body):
        data = b"" if body is None else json.dumps(body).encode()
        answer = client.generic(method, path, data, "application/json", headers=headers)
        if answer.status_code >= 300:
            raise SendError(answer.content.decode())
        return answer.json()

    monkeypatch.setattr(around, "ask", ask)
    return project


def test_budgets_probes_and_a_channel_are_made_once(rest):
    for port in (4000, 5000):
        url = f"http://127.0.0.1:{port}/v1"
        judging.set_up_judges(rest.pk, url)
        assert around.set_budgets(None, 350) == 3
        around.set_probes(None)
        assert around.set_channel(rest.pk, url)

    limits = dict(CostBudget.objects.values_list("name", "limit_pico"))
    assert limits["Returns, a month"] < limits["The assistant, a month"]
    suite = ProbeSuite.objects.get()
    assert ProbeRun.objects.filter(suite=suite).count() == 1
    # The first run asks for as many answers as a baseline begins with.
    assert ProbeAnswer.objects.filter(run__suite=suite).count() == 20 * len(around.PRESETS)
    channel = Channel.objects.get()
    assert channel.config == {"host": "127.0.0.1"}
    assert Route.objects.filter(channel=channel).count() == 1


def test_nobody_is_told_where_nothing_may_go_to_the_stand_in(rest, settings):
    settings.TELLTALE_EGRESS_ALLOW = []

    assert not around.set_channel(rest.pk, "http://127.0.0.1:4000/v1")
    assert Channel.objects.count() == 0


@pytest.mark.parametrize("key", around.PRESETS)
def test_the_stand_in_passes_the_demos_probes(key):
    preset = next(each for each in PRESETS if each.key == key)
    spec = parse_spec(dict(preset.spec))

    material = material_of(spec, talk(preset.spec["user"]))

    assert passed([run_rule(check, material) for check in spec.checks])


def test_what_it_does_not_know_it_says_back():
    assert talk("Hello").startswith("Stand-in, not a model.")
