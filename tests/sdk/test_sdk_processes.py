"""Ends, forks and neighbours: programs of their own, as applications are."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

import telltale_sdk as telltale

ROOT = Path(__file__).resolve().parents[2]
START = """
import os, sys, telltale_sdk as telltale
telltale.init(URL, "tt_sk_test", service="app")

@telltale.observe
def work(name):
    return name
"""

pytestmark = pytest.mark.process


def inputs(receiver):
    return sorted(span.attributes["telltale.input"] for span in receiver.spans)


def test_what_waits_is_sent_at_the_end(run_python, receiver):
    run_python(START + "work('last words'); telltale.signal('thumbs_up', session='s1')")

    assert inputs(receiver) == ["last words"]
    assert len(receiver.signals) == 1


@pytest.mark.parametrize(("ending", "code"), [("sys.exit(3)", 3), ("raise RuntimeError('x')", 1)])
def test_however_it_ends_its_exit_code_is_its_own(run_python, receiver, ending, code):
    run_python(START + f"work('x')\n{ending}", code_expected=code)

    assert inputs(receiver) == ["x"]


def test_with_nobody_there_it_ends_soon_and_well(run_python):
    began = time.monotonic()

    told = run_python(START + "work('x'); print('done')", url="http://127.0.0.1:9")

    assert "done" in told
    assert "Traceback" not in told
    assert time.monotonic() - began < 15


def test_a_forked_child_sends_its_own_and_nothing_twice(run_python, receiver):
    run_python(
        START
        + """
with telltale.observe_span("parent", input="open while forking"):
    for n in range(200):
        work(f"parent {n}")
    children = []
    for n in range(3):
        pid = os.fork()
        if pid == 0:
            for m in range(50):
                work(f"child {n} {m}")
            telltale.signal("copy", session=f"s{n}")
            stats = telltale.stats()
            assert stats.spans_ended == 50, stats
            sys.exit(0)
        children.append(pid)
    codes = [os.waitpid(pid, 0)[1] for pid in children]
assert codes == [0, 0, 0], codes
"""
    )

    expected = [f"parent {n}" for n in range(200)] + [f"child {n} {m}" for n in range(3) for m in range(50)]
    # The span around the fork was open in each child, too: each of the four ended it, the children by sys.exit.
    works = [span for span in receiver.spans if span.name == "work"]
    assert sorted(span.attributes["telltale.input"] for span in works) == sorted(expected)
    assert len({span.span_id for span in works}) == len(works)
    assert sorted(signal["session_id"] for signal in receiver.signals) == ["s0", "s1", "s2"]


def test_a_child_of_multiprocessing_sends_at_its_end(run_python, receiver):
    run_python(
        START
        + """
import multiprocessing
work("before")
telltale.flush()
context = multiprocessing.get_context("fork")
processes = [context.Process(target=work, args=(f"child {n}",)) for n in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join(20)
assert [process.exitcode for process in processes] == [0, 0, 0]
work("after")
"""
    )

    assert inputs(receiver) == ["after", "before", "child 0", "child 1", "child 2"]


def test_a_fork_in_the_middle_of_sending_leaves_both_well(run_python, receiver):
    run_python(
        START
        + """
import threading
stop = threading.Event()
def busy():
    n = 0
    while not stop.is_set():
        work(f"busy {n}")
        telltale.signal("copy", session="s")
        n += 1
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
for n in range(10):
    pid = os.fork()
    if pid == 0:
        work(f"child {n}")
        os._exit(0 if telltale.flush(10) else 1)
    assert os.waitpid(pid, 0)[1] == 0, n
stop.set()
for thread in threads:
    thread.join()
"""
    )

    children = [span for span in receiver.spans if span.attributes["telltale.input"].startswith("child")]
    assert sorted(span.attributes["telltale.input"] for span in children) == [f"child {n}" for n in range(10)]
    ids = [span.span_id for span in receiver.spans]
    assert len(ids) == len(set(ids))


def test_gunicorn_with_preloading_sends_from_its_workers(run_python, receiver, tmp_path):
    (tmp_path / "app.py").write_text(
        f"URL = {receiver.url!r}\n{START}\n"
        "def application(environ, start_response):\n"
        "    work(environ['PATH_INFO'])\n"
        "    start_response('200 OK', [])\n"
        "    return [b'ok']\n"
    )
    run_python(
        f"""
import http.client, signal, socket, subprocess, sys, time
with socket.create_server(("127.0.0.1", 0)) as reserved:
    port = reserved.getsockname()[1]
# A worker that SIGTERM meets while it boots does not hear it.
command = [sys.executable, "-m", "gunicorn", "--preload", "--graceful-timeout", "3", "-w", "2"]
command += ["-b", f"127.0.0.1:{{port}}", "--chdir", {str(tmp_path)!r}, "app:application"]
server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
for n in range(12):
    for attempt in range(200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", f"/{{n}}")
            assert connection.getresponse().status == 200
            break
        except OSError:
            time.sleep(0.05)
server.send_signal(signal.SIGTERM)
server.wait(20)
"""
    )

    assert inputs(receiver) == sorted(f"/{n}" for n in range(12))


def test_the_application_s_own_opentelemetry_is_left_alone(run_python, receiver):
    told = run_python(
        """
import telltale_sdk as telltale
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
telltale.init(URL, "tt_sk_test")
own = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(own))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("app")
with tracer.start_as_current_span("http request"):
    with telltale.observe_span("turn"):
        with tracer.start_as_current_span("sql"):
            pass
telltale.shutdown()
spans = {span.name: span for span in own.get_finished_spans()}
assert set(spans) == {"http request", "sql"}
assert spans["sql"].parent.span_id == spans["http request"].context.span_id
"""
    )

    [turn] = receiver.spans
    assert (turn.name, turn.parent_id) == ("turn", "")
    assert told == ""


@pytest.mark.parametrize("is_there", [True, False])
def test_with_the_global_provider_others_join_the_trace(run_python, receiver, is_there):
    run_python(
        f"""
import telltale_sdk as telltale
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
if {is_there}:
    trace.set_tracer_provider(TracerProvider())
telltale.init(URL, "tt_sk_test", provider="global", environment="staging", release="1.0")
tracer = trace.get_tracer("app")
with tracer.start_as_current_span("http request"), telltale.user("u1"), telltale.observe_span("turn"):
    with tracer.start_as_current_span("sql"):
        with telltale.observe_span("rows"):
            pass
telltale.shutdown()
with tracer.start_as_current_span("later"):
    pass
"""
    )

    names = {span.span_id: span.name for span in receiver.spans}
    assert {span.name: names.get(span.parent_id, "") for span in receiver.spans} == {
        "http request": "", "turn": "http request", "sql": "turn", "rows": "sql",
    }  # fmt: skip
    turn = receiver.named("turn")
    assert turn.attributes["user.id"] == "u1"
    assert turn.attributes["telltale.environment"] == "staging"


def test_it_needs_neither_httpx_nor_openai(run_python, receiver):
    run_python(
        "import sys\nsys.modules['httpx'] = sys.modules['openai'] = None\n" + START + "work('x')\n"
        "assert not {'django', 'telltale', 'traces', 'numpy'} & set(sys.modules)"
    )

    assert inputs(receiver) == ["x"]
    stated = (ROOT / "sdk" / "python" / "pyproject.toml").read_text()
    block = re.search(r"dependencies = \[(.*?)\]", stated, re.DOTALL).group(1)
    assert sorted(re.findall(r'"([a-z-]+)', block)) == [
        "opentelemetry-api", "opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk",
    ]  # fmt: skip


def test_the_package_says_its_version_once():
    stated = (ROOT / "sdk" / "python" / "pyproject.toml").read_text()

    assert re.search(r'^version = "(.+)"$', stated, re.MULTILINE).group(1) == telltale.__version__
    assert (Path(telltale.__file__).parent / "py.typed").exists()


def test_its_own_python_is_old_enough():
    # 3.10 is promised; what 3.11 brought must not be used.
    import ast

    for path in (ROOT / "sdk" / "python" / "telltale_sdk").glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 10))
        assert "datetime import UTC" not in path.read_text()
    assert sys.version_info >= (3, 10)


def test_a_child_of_celerys_pool_sends_at_its_end(run_python, receiver):
    run_python(
        START
        + """
import billiard
process = billiard.get_context("fork").Process(target=work, args=("task",))
process.start()
process.join(20)
assert process.exitcode == 0
"""
    )

    assert inputs(receiver) == ["task"]
