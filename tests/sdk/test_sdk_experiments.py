"""Experiments from somebody's own code, through the network and the product's own door; the command for CI."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import telltale_sdk as telltale
from evals import keeping
from evals.experimenting import running
from evals.judging import work as judge
from evals.keeping import By, NewItem
from evals.models import Experiment, ExperimentResult
from telltale.jobs import work
from telltale_sdk import experiments
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, make_version

pytestmark = pytest.mark.process
SDK = Path(telltale.__file__).resolve().parents[1]


@pytest.fixture
def kept(live, project):
    """Dataset `returns` of 40 items whose answers are known, and the rule judge `short`."""
    keeping.make_dataset(project, "Returns", by=By())
    items = [NewItem(f"k{n:02}", {"question": f"Is {n} even?", "n": n}, ["no", "yes"][n % 2 == 0]) for n in range(40)]
    keeping.put_items(project, "returns", items, by=By())
    make_version(project, "rule", slug="short", config=LENGTH_RULE, rubric=YES_NO)
    return project


@pytest.fixture
def client(live, key):
    return experiments.Client(live, key.secret)


def settle():
    """What the worker would do."""
    while work.run_next() is not None:
        pass
    judge(20)
    running.tend_experiments()


def good(given):
    return "yes" if given["n"] % 2 == 0 else "no"


def bad(given):
    return "yes" if given["n"] < 30 else "x" * 300


def ran(client, function, **more):
    done = experiments.run("returns", function, judges=["short@1"], metrics=["exact_match"], client=client, **more)
    settle()
    return done.id


def command(live, key, *arguments, **more):
    """Starts the CI command as a process of its own."""
    environment = {
        **os.environ, "PYTHONPATH": str(SDK), "TELLTALE_ENDPOINT": live, "TELLTALE_API_KEY": key.secret,
        **more.pop("env", {}),
    }  # fmt: skip
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.Popen(
        [sys.executable, "-m", "telltale_sdk.experiments", *arguments], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_the_command_exits_1_on_a_proven_regression_alone(kept, client, live, key):
    first = ran(client, good, name="main")
    same = ran(client, good, name="same")
    worse = ran(client, bad, name="branch")

    assert ended(command(live, key, "compare", same, first))[0] == 0
    assert ended(command(live, key, "compare", first, worse))[0] == 0
    code, out, err = ended(command(live, key, "compare", worse, first))
    assert (code, err) == (1, "")
    assert "proven worse: short.short, metric.exact_match" in out
    code, out, _ = ended(command(live, key, "compare", worse, "main", "--on", "latency_ms", "--margin", "1e9"))
    assert (code, "no regression is proven" in out) == (0, True)


def test_a_small_loss_that_chance_may_make_exits_0(kept, client, live, key):
    def slip(given):
        return good(given) if given["n"] not in (3, 4) else "perhaps"

    first, slipped = ran(client, good), ran(client, slip)

    code, out, _ = ended(command(live, key, "compare", slipped, first))

    assert code == 0
    assert "cannot tell" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compare", "1"), "the following arguments are required"),
        (("compare", "nobody", "main"), "no done experiment called"),
        (("compare", "999999", "main"), "404"),
        (("compare", "main", "main"), "no done experiment called"),
        (("compare", "main", "999998", "--on", "nothing"), "404"),
        (("run", "nobody", "os:getcwd"), "404"),
        (("run", "returns", "no_such_module:f"), "ModuleNotFoundError"),
        (("run", "returns", "os"), "a function is module:name"),
    ],
)
def test_what_cannot_be_found_out_exits_2(kept, client, live, key, arguments, words):
    ran(client, good, name="main")

    code, _, err = ended(command(live, key, *arguments))

    assert (code, words in err) == (2, True), err


def test_a_wrong_key_and_a_server_that_is_away_exit_2(kept, client, live, key):
    wrong = ended(command(live, key, "compare", "1", "2", env={"TELLTALE_API_KEY": "tt_sk_wrong"}))
    none = ended(command(live, key, "compare", "1", "2", env={"TELLTALE_API_KEY": ""}))

    assert (wrong[0], "401" in wrong[2]) == (2, True)
    assert (none[0], "TELLTALE_API_KEY" in none[2]) == (2, True)


def test_an_experiment_that_is_not_over_in_time_exits_2(kept, client, live, key):
    first = ran(client, good)
    waiting = client.create("returns", metrics=["exact_match"])

    code, _, err = ended(command(live, key, "compare", waiting, first, "--wait", "0"))

    assert (code, "is still open" in err) == (2, True)


def test_a_run_in_ci_compares_with_what_was_there(kept, client, live, key, tmp_path):
    ran(client, good, name="main")
    (tmp_path / "system.py").write_text("def answer(given):\n    return 'yes' if given['n'] < 30 else 'x' * 300\n")
    process = command(
        live, key, "run", "returns", "system:answer", "--name", "pr 7", "--judge", "short", "--metric", "exact_match",
        "--against", "main", "--wait", "60", cwd=tmp_path,
    )  # fmt: skip
    while process.poll() is None:
        settle()
        threading.Event().wait(0.2)
    code, out, err = ended(process)

    assert (code, err) == (1, "")
    assert "40 answered, 0 failed" in out
    assert Experiment.objects.get(name="pr 7").results.count() == 40


def test_what_a_function_tells_is_kept_and_what_it_raises_is_the_items_error(kept, client, live, key):
    telltale.init(live, key.secret, service="ci")

    def answer(item):
        if item.key == "k03":
            raise TimeoutError("no answer")
        scores = {"own": 0.5}
        return experiments.Answer({"answer": item.expected}, cost_usd=0.001, input_tokens=7, scores=scores)

    done = experiments.run("returns", answer, client=client, workers=8)
    settle()
    assert telltale.flush(20)

    assert (done.answered, done.failed, done.refused) == (39, 1, ())
    rows = {row.item_key: row for row in ExperimentResult.objects.all()}
    assert (rows["k03"].state, rows["k03"].error) == ("failed", "TimeoutError: no answer")
    kept_row = rows["k04"]
    assert (kept_row.output, kept_row.cost_pico, kept_row.input_tokens) == ({"answer": "yes"}, 10**9, 7)
    assert kept_row.metrics == {"sent": {"own": 0.5}}
    assert kept_row.latency_ms > 0
    found = client.ask("GET", f"traces/{kept_row.trace_id.hex}")
    assert found["name"] == "experiment k04"


def test_an_interrupted_run_is_cancelled(kept, client):
    def answer(given):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiments.run("returns", answer, client=client, workers=1)

    assert Experiment.objects.get().state == "cancelled"


def test_datasets_are_made_and_read_by_the_client(live, project, client):
    slug = client.make_dataset("From code")
    version = client.put_items(slug, [{"input": f"Q{n}", "expected": n} for n in range(700)])

    held, items = client.items(slug)

    assert (slug, version, held, len(items)) == ("from-code", 2, 2, 700)
    assert {item.expected for item in items} == set(range(700))
