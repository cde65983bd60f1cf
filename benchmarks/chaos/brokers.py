"""The broker away: the table that is the embedded one, and a RabbitMQ or Redis of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks import _product
from benchmarks._proc import family, is_alive
from benchmarks.chaos.scene import Load, Scene, Skip, latency_ms, scenario, started, stopped, wait_for

CALM_S = 30.0
TIMES_CALM = 2.0


def compare(scene: Scene, load: Load, calm: tuple[float, float], away: tuple[float, float]) -> None:
    """All posts taken while the broker was away, about as quickly as before."""
    before, meanwhile = load.steady.between(*calm), load.steady.between(*away)
    refused = [f"{answer.status} after {answer.took_s:.2f} s" for answer in meanwhile if answer.status != 200]
    scene.hold("every post is 200 while the broker is away", len(meanwhile), refused)
    p99 = latency_ms(before, 0.99)
    scene.report.add("p99 before", p99, "ms")
    scene.report.add("p99 while away", latency_ms(meanwhile, 0.99), "ms", TIMES_CALM * p99, note="twice what it was")


@scenario("broker-table", "R9")
def broker_table(scene: Scene) -> None:
    """The embedded broker's table is locked and then emptied, and its connections are cut: posts do not notice"""
    with started() as product:
        with scene.load(product, senders=1, pause_s=0.5) as load:
            time.sleep(2)
            calm = time.monotonic()
            time.sleep(scene.seconds(10, CALM_S))
            with psycopg.connect(product.dsn) as holder:
                began = time.monotonic()
                holder.execute("LOCK TABLE jobs_message IN ACCESS EXCLUSIVE MODE")
                lasts = scene.seconds(15, 300)
                while time.monotonic() - began < lasts:
                    holder.execute("SELECT pg_sleep(1)")
                holder.execute("DELETE FROM jobs_message")
                holder.commit()
            ended = time.monotonic()
            with product.connect() as axe:
                axe.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'telltale broker'"
                )
            scene.recovered(load, ended)
        compare(scene, load, (calm, began), (began, ended))
        scene.drained(product, ended)
        scene.balance(load)


class Broker:
    """A broker of its own on a free port, in a directory of its own; started and stopped at will."""

    def __init__(self, home: Path, command: list[str], environment: dict[str, str], account: str, port: int) -> None:
        self.home, self.command, self.environment, self.port = home, command, environment, port
        self.account = pwd.getpwnam(account) if os.geteuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until the port answers."""
        drop = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}
        with (self.home / "out").open("ab") as out:
            self.process = subprocess.Popen(
                self.command, cwd=self.home, env=os.environ | self.environment, stdout=out, stderr=out,
                start_new_session=True, **drop,
            )  # fmt: skip
        if wait_for(self.answers, 90) == float("inf"):
            raise Skip(f"{self.command[0]} does not start: {(self.home / 'out').read_text()[-400:]}")

    def answers(self) -> bool:
        """Whether its port is open."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def pids(self) -> list[int]:
        """Its processes."""
        return family([self.process.pid]) if self.process else []

    def kill(self) -> None:
        """kill -9 of all its processes."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
            wait_for(lambda: not self.answers(), 10)


@contextmanager
def _home(account: str) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="telltale-broker-"))
    home.chmod(0o755)
    try:
        if os.geteuid() == 0:
            try:
                found = pwd.getpwnam(account)
            except KeyError:
                raise Skip(f"there is no account {account}") from None
            os.chown(home, found.pw_uid, found.pw_gid)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def rabbitmq() -> Iterator[tuple[Broker, str]]:
    """A RabbitMQ node of its own and its address."""
    program = shutil.which("rabbitmq-server")
    if program is None:
        raise Skip("rabbitmq-server is not installed (Debian: rabbitmq-server)")
    with _home("rabbitmq") as home:
        port, distribution, mapper = _product.free_port(), _product.free_port(), _product.free_port()
        (home / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n")
        (home / "enabled_plugins").write_text("[].\n")
        environment = {
            "HOME": str(home), "RABBITMQ_NODENAME": f"chaos{port}@localhost", "RABBITMQ_MNESIA_BASE": str(home / "db"),
            "RABBITMQ_LOG_BASE": str(home / "log"), "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"), "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_DIST_PORT": str(distribution), "ERL_EPMD_PORT": str(mapper), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none",
        }  # fmt: skip
        # The script in sbin changes accounts and the environment; the one below it does neither.
        inner = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        broker = Broker(home, [str(inner) if inner.exists() else program], environment, "rabbitmq", port)
        broker.start()
        try:
            yield broker, f"amqp://guest:guest@127.0.0.1:{port}//"
        finally:
            broker.kill()
            _end_mapper(mapper)


def _end_mapper(port: int) -> None:
    """Erlang's port mapper outlives its nodes; the one on our own port is told to end."""
    if epmd := shutil.which("epmd"):
        subprocess.run([epmd, "-port", str(port), "-kill"], capture_output=True, timeout=20, check=False)


@contextmanager
def redis() -> Iterator[tuple[Broker, str]]:
    """A Redis of its own and its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise Skip("redis-server is not installed (Debian: redis-server)")
    if importlib.util.find_spec("redis") is None:
        raise Skip("the Python package redis is not installed: pip install redis")
    with _home("redis") as home:
        port = _product.free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
        broker = Broker(home, command, {}, "redis", port)
        broker.start()
        try:
            yield broker, f"redis://127.0.0.1:{port}/0"
        finally:
            broker.kill()


def away(scene: Scene, make: Callable[[], contextlib.AbstractContextManager[tuple[Broker, str]]]) -> None:
    """The broker is killed with -9, away for five minutes, back, then stopped for a while and goes on."""
    with make() as (broker, url), started(environment={"TELLTALE_BROKER_URL": url}) as product:
        with scene.load(product, senders=1, pause_s=0.5) as load:
            time.sleep(5)
            calm = time.monotonic()
            time.sleep(scene.seconds(10, CALM_S))
            began = time.monotonic()
            broker.kill()
            time.sleep(scene.seconds(20, 300))
            ended = time.monotonic()
            broker.start()
            back = time.monotonic()
            scene.say(f"away for {ended - began:.0f} s, then {back - ended:.0f} s until it answered")
            scene.keeps_up(product, back)
            scene.recovered(load, back, bar=60, name="well again, worker included")
            halted = time.monotonic()
            with stopped(pid for pid in broker.pids() if is_alive(pid)):
                time.sleep(scene.seconds(10, 30))
            resumed = time.monotonic()
        compare(scene, load, (calm, began), (began, ended))
        compare(scene, load, (calm, began), (halted, resumed))
        scene.drained(product, resumed)
        scene.balance(load)


@scenario("rabbitmq-away", "R9")
def rabbitmq_away(scene: Scene) -> None:
    """RabbitMQ as the broker: killed with -9 and away for five minutes, then standing still (SIGSTOP)"""
    away(scene, rabbitmq)


@scenario("redis-away", "R9")
def redis_away(scene: Scene) -> None:
    """Redis as the broker: killed with -9 and away for five minutes, then standing still (SIGSTOP)"""
    away(scene, redis)
