"""What people note at alarms, silences, questions and baselines is stored without secrets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts import asking
from alerts.addressing import silences
from alerts.models import Question, Silence
from telltale.lib import clock
from traces import masks

pytestmark = pytest.mark.django_db
CARD = "4111 1111 1111 1111"


@pytest.fixture(autouse=True)
def fresh():
    masks.forget()
    yield
    masks.forget()


def test_the_reason_of_a_silence_is_masked(project):
    silences.add(project, {"reason": f"test with {CARD}", "end_at": clock.now() + timedelta(hours=1)})

    assert Silence.objects.get().reason == "test with [masked: card]"


def test_the_words_of_a_question_are_masked(project):
    asking.create(project, {"text": f"Is {CARD} refused?", "pillar": "quality", "decision": f"block {CARD}"})

    row = Question.objects.get()
    assert (row.text, row.decision) == ("Is [masked: card] refused?", "block [masked: card]")
