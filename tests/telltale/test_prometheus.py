"""The real Prometheus scrapes the product, finds nothing to complain of, and fires the rules that ship with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from traces.accounting import fold_batches

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
TOOLS = Path(os.environ.get("TELLTALE_TEST_TOOLS", "/usr/local/lib/telltale-test-tools")) / "usr" / "bin"
PATH = f"{TOOLS}:{os.environ.get('PATH', os.defpath)}"
PROMETHEUS, PROMTOOL = shutil.which("prometheus", path=PATH), shutil.which("promtool", path=PATH)
needs_prometheus = pytest.mark.skipif(
    not (PROMETHEUS and PROMTOOL), reason="prometheus is NOT INSTALLED: as root, make test unpacks Debian's"
)
SERIES = {
    "llm_requests_total", "llm_request_latency_seconds_bucket", "llm_input_tokens_total", "llm_output_tokens_total",
    "llm_cost_per_query_usd", "llm_response_length_characters_bucket",
}  # fmt: skip


def fetch(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read()


def generation():
    """A call of a model that costs something, as OTLP JSON."""
    now = time.time_ns()
    told = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "Hello."}]}]',
    }  # fmt: skip
    attributes = [{"key": name, "value": {"stringValue": value}} for name, value in told.items()]
    for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        attributes.append({"key": name, "value": {"intValue": "100"}})
    span = {
        "traceId": "31" * 16, "spanId": "31" * 8, "name": "chat", "startTimeUnixNano": str(now - 10**9),
        "endTimeUnixNano": str(now), "attributes": attributes,
    }  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def rules():
    groups = yaml.safe_load((DEPLOY / "prometheus" / "telltale.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@needs_prometheus
def test_rules_are_right_and_do_what_their_tests_say():
    for arguments in (["check", "rules", "telltale.rules.yml"], ["check", "config", "prometheus.yml"],
                      ["test", "rules", "telltale.rules.test.yml"]):  # fmt: skip
        done = subprocess.run(
            [PROMTOOL, *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_prometheus_scrapes_stores_and_fires(live, key, tmp_path):
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {key.secret}"}
    urllib.request.urlopen(urllib.request.Request(f"{live}/v1/traces", generation(), head), timeout=30).close()
    fold_batches()

    text = fetch(f"{live}/metrics").decode()
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shipped = (DEPLOY / "prometheus" / "telltale.rules.yml").read_text()
    (tmp_path / "telltale.rules.yml").write_text(re.sub(r"for: \d+m", "for: 0s", shipped))
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [live.removeprefix("http://")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
            stdout=log, stderr=log,
        )  # fmt: skip
    api = f"http://127.0.0.1:{port}/api/v1"
    try:
        # No worker runs beside the tests' web: the rule that says so must fire.
        firing = wait_for(lambda: "TelltaleNoWorker" in alerts(api) and alerts(api), process, tmp_path)
        names = set(json.loads(fetch(f"{api}/label/__name__/values"))["data"])
        up = value(api, 'up{job="telltale"}')
        received = value(api, 'sum(telltale_ingest_items_total{outcome="stored"})')
    finally:
        process.terminate()
        process.wait(20)

    assert "TelltaleDown" not in firing
    assert "TelltaleDatabaseAway" not in firing
    assert up == 1
    assert received >= 1
    # Those by reason have no line before the first; a sample of the disk is a worker's to take.
    assert used_by_deploy() - names <= {
        "telltale_ingest_not_stored_total", "telltale_ingest_refused_requests_total", "telltale_database_bytes",
    }  # fmt: skip


def wait_for(found, process, tmp_path):
    deadline = time.monotonic() + 90
    while True:
        try:
            if answer := found():
                return answer
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError((tmp_path / "log").read_text()[-2000:])
        time.sleep(0.2)


def alerts(api):
    return {each["labels"]["alertname"] for each in json.loads(fetch(f"{api}/alerts"))["data"]["alerts"]
            if each["state"] == "firing"}  # fmt: skip


def value(api, query):
    found = json.loads(fetch(f"{api}/query?{urllib.parse.urlencode({'query': query})}"))["data"]["result"]
    return float(found[0]["value"][1])


def used_by_deploy():
    """Names of series that the rules and the dashboard ask for."""
    dashboard = json.loads((DEPLOY / "grafana" / "telltale.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    text = " ".join([*queries, *(str(rule["expr"]) for rule in rules())])
    return set(re.findall(r"(?<![:\w])((?:llm|telltale)_[a-z0-9_]+)(?![\w:])", text))


def test_dashboard_and_rules_ask_for_series_that_the_product_has():
    from telltale.web import metrics

    source = Path(metrics.__file__).read_text()
    told = set(re.findall(r'"((?:llm|telltale)_[a-z0-9_]+)"', source))
    ends = ("", "_total", "_bucket", "_sum", "_count")
    known = {name + end for name in told for end in ends}

    assert used_by_deploy() <= known
    assert used_by_deploy() >= SERIES


def test_every_rule_says_what_to_do_and_every_panel_has_a_place():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
    dashboard = json.loads((DEPLOY / "grafana" / "telltale.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])
