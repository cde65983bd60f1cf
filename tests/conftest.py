"""What every test stands on: a PostgreSQL of its own, the people everyone knows, a closed network, a browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

# As the product's own processes have it; numpy reads it when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if os.path.exists(path)), None)
# The live server's own secret key: sessions are signed with it.
LIVE_SECRET = "only-for-tests-" + "k" * 40
# Tests may lose their data in a crash, acknowledged spans of people may not.
QUICK_SETTINGS = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nshared_buffers = '64MB'\n"


def pytest_configure():
    """Pages of tests may wait: whether they answer is what is asked, not how fast a machine is that does much else."""
    from django.conf import settings

    settings.PAGE_TIMEOUT_MS = 30_000


@pytest.fixture(scope="session")
def postgres_home():
    """The home of an embedded PostgreSQL as the supervisor starts it, for root and for ordinary users."""
    from telltale.run.child import Child
    from telltale.run.home import prepare_home
    from telltale.run.postgres import Postgres

    directory = Path(tempfile.mkdtemp(prefix="telltale-test-", dir="/tmp"))
    try:
        home = prepare_home(directory)
        (home.path / "postgres.conf").write_text(QUICK_SETTINGS)
        home.own(home.path / "postgres.conf", 0o600)
        server = Postgres(home)
        server.initialise()
        child = Child(home, "postgres", server.start, stop_with=2)
        child.start()
        try:
            server.make_database()
            yield home.path
        finally:
            child.stop(5.0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request, django_db_modify_db_settings_parallel_suffix):
    """Without TELLTALE_DATABASE_URL the tests' database is an embedded one, started when the first test asks for it."""
    if os.environ.get("TELLTALE_DATABASE_URL"):
        return
    from django.db import connections

    from telltale.lib.dsn import django_database, embedded_dsn

    wanted = django_database(embedded_dsn(request.getfixturevalue("postgres_home")), Path("/"))
    for name in ("HOST", "PORT", "USER", "PASSWORD", "NAME"):
        connections["default"].settings_dict[name] = wanted[name]


_OTHERS = """
    SELECT pg_terminate_backend(pid), state, query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The tests' database, which no process of a test that was stopped may keep from being removed at the end."""
    yield
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for _ in range(20):
            cursor.execute(_OTHERS.replace("pg_terminate_backend(pid)", "pid"))
            if not cursor.fetchall():
                return
            time.sleep(0.1)
        cursor.execute(_OTHERS)
        for _, state, query in cursor.fetchall():
            print(f"a connection was left, {state}: {query[:500]}", file=sys.stderr)


@pytest.fixture(autouse=True)
def closed_network(monkeypatch):
    """No test reaches beyond this machine."""
    real = socket.socket.connect

    def connect(self, address):
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise PermissionError(f"tests have no network: {address[0]}")
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def quiet_refusals(monkeypatch):
    """Refused requests are counted by a timer's thread a second later: into whatever another test looks at by then."""
    from traces.ingest import refusals

    refusals.forget()
    monkeypatch.setattr(refusals, "_timer", object())
    yield
    refusals.forget()


@pytest.fixture(autouse=True)
def fresh_key_cache():
    """Keys another test has seen are not this one's."""
    from telltale.projects.keys import cache

    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes():
    """Passwords of tests are hashed as others are, with a thousandth of the work."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"time_cost": 1, "memory_cost": 64, "parallelism": 1}.items():
            patch.setattr(Argon2PasswordHasher, name, value)
        yield


@pytest.fixture
def alice(db):
    """The owner."""
    from telltale.accounts.models import Organisation, OrganisationMember, User

    person = User.objects.create(email="alice@example.com", name="Alice")
    organisation = Organisation.objects.create(name="Example Ltd", slug="example-ltd")
    OrganisationMember.objects.create(organisation=organisation, user=person, is_owner=True)
    return person


@pytest.fixture
def project(alice):
    """alice's project `shop`."""
    from telltale.accounts.models import Organisation
    from telltale.projects.models import Project

    organisation = Organisation.objects.get(members__user=alice)
    return Project.objects.create(organisation=organisation, name="Shop", slug="shop")


@pytest.fixture
def bob(project):
    """A member who may only look."""
    from telltale.accounts.models import User
    from telltale.projects.models import ProjectMember

    person = User.objects.create(email="bob@example.com", name="Bob")
    ProjectMember.objects.create(project=project, user=person, role="viewer")
    return person


@pytest.fixture
def charlie(db):
    """A stranger, with a project of their own."""
    from telltale.accounts.models import Organisation, OrganisationMember, User
    from telltale.projects.models import Project

    person = User.objects.create(email="charlie@example.com", name="Charlie")
    organisation = Organisation.objects.create(name="Far Ltd", slug="far-ltd")
    OrganisationMember.objects.create(organisation=organisation, user=person, is_owner=True)
    Project.objects.create(organisation=organisation, name="Far", slug="far")
    return person


@pytest.fixture
def key(project):
    """A key of the project with every scope but admin: `.secret` goes into a header."""
    from telltale.projects.keys import make_key

    return make_key(project, "Test", ("ingest", "signal", "read", "write"))


@pytest.fixture
def sign_in():
    """`sign_in(person)` is a client of somebody signed in."""
    from django.test import Client

    def signed_in(person, **options):
        client = Client(**options)
        client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return signed_in


def database_url():
    """The DSN of the test database, for processes beside this one."""
    from django.db import connection

    found = connection.settings_dict
    where = f"{found['HOST']}:{found['PORT']}" if found["PORT"] else found["HOST"]
    user = quote(found["USER"], safe="") + (":" + quote(found["PASSWORD"], safe="") if found["PASSWORD"] else "")
    if found["HOST"].startswith("/"):
        return f"postgresql://{user}@/{found['NAME']}?host={quote(found['HOST'], safe='')}"
    return f"postgresql://{user}@{where}/{found['NAME']}"


@pytest.fixture
def committed_db(transactional_db):
    """A database whose rows other processes see; emptied afterwards, the partitioned tables too."""


@pytest.fixture(autouse=True)
def _nothing_stays_committed(request, django_db_blocker):
    """After a test that commits, empty the tables that the ORM's flush does not know: others count their rows."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if "transactional_db" not in request.fixturenames and not (marker and marker.kwargs.get("transaction")):
        return
    from django.db import connection

    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class WHERE relkind IN ('r', 'p')"
                " AND NOT relispartition"
                " AND relname LIKE ANY (ARRAY['alerts\\_%', 'traces\\_%', 'jobs\\_%', 'evals\\_%'])"
            )
            cursor.execute(f"TRUNCATE {cursor.fetchone()[0]} CASCADE")
        connection.close()


@pytest.fixture(scope="session")
def _gunicorn(django_db_setup, django_db_blocker, tmp_path_factory):
    with django_db_blocker.unblock():
        url = database_url()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    home = tmp_path_factory.mktemp("live-home")
    from telltale.run.supervisor import web_command

    environment = {
        **os.environ,
        "TELLTALE_DATABASE_URL": url,
        "TELLTALE_HOME": str(home),
        "TELLTALE_PORT": str(port),
        "TELLTALE_WEB_WORKERS": "1",
        # No worker runs beside it, which the watchdog would tell on every page.
        "TELLTALE_WATCHDOG": "0",
        "TELLTALE_SECRET_KEY": LIVE_SECRET,
        "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
    }
    log = open(home / "web.log", "wb")  # noqa: SIM115 - closed below, after the process
    process = subprocess.Popen(
        web_command(listening.fileno()), env=environment, stdout=log, stderr=log, pass_fds=(listening.fileno(),)
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(address + "/healthz", timeout=10).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((home / "web.log").read_text()[-3000:]) from None
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)
        log.close()
        listening.close()


@pytest.fixture
def live(committed_db, _gunicorn):
    """The address of the real web server over the test database. What a test commits, it sees."""
    return _gunicorn


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium, driven by playwright."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: as root, make test installs it")
    sync_api = pytest.importorskip("playwright.sync_api")
    # playwright keeps an event loop in this thread; Django would refuse the database here.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page(chromium, live):
    """A fresh page at the live server. A script error or something the page's policy blocked fails the test."""
    context = chromium.new_context(base_url=live, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(10_000)
    page = context.new_page()
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda said: troubles.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield page
    context.close()
    assert not troubles


@pytest.fixture
def sign_in_browser(live):
    """`sign_in_browser(page, person)` gives the page's browser a session of that person."""
    from django.conf import settings

    def signed_in(page, person):
        from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
        from django.contrib.sessions.backends.db import SessionStore
        from django.test import override_settings

        with override_settings(SECRET_KEY=LIVE_SECRET):
            session = SessionStore()
            session[SESSION_KEY] = str(person.pk)
            session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
            session[HASH_SESSION_KEY] = person.get_session_auth_hash()
            session.create()
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": live}])

    return signed_in


@pytest.fixture(scope="session")
def axe():
    """`axe(page)` are the page's accessibility violations, as `rule: element` lines; none is what a test wants."""
    playwright_axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    checker = playwright_axe.Axe()

    def violations(page):
        # axe comes in as a script of the test's own, which the page's policy would refuse.
        found = checker.run(page).response["violations"]
        return [f"{v['id']}: {node['html'][:160]}" for v in found for node in v["nodes"]]

    return violations


def pytest_report_header(config):
    """Say loudly what will not run."""
    database = "TELLTALE_DATABASE_URL" if os.environ.get("TELLTALE_DATABASE_URL") else "embedded, its own"
    browser = CHROMIUM or "NONE: browser tests are SKIPPED"
    return [f"database: {database}", f"browser: {browser}", f"python: {sys.version.split()[0]}"]
