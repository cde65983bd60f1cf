"""Settings, all of them read from the environment; `docs/settings.md` is the table of every one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def env(name: str, default: str = "") -> str:
    """The environment variable `name`, stripped, or `default` where it is absent or empty."""
    return os.environ.get(name, "").strip() or default


def env_int(name: str, default: int) -> int:
    """The environment variable `name` as an integer; ValueError names the variable."""
    raw = env(name)
    if not raw:
        return default
    try:
        return int(raw)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, not {raw!r}") from None


def env_bool(name: str, default: bool) -> bool:
    """The environment variable `name` as a switch: 1, true, yes, on are true."""
    raw = env(name)
    return raw.lower() in {"1", "true", "yes", "on"} if raw else default


def env_list(name: str, default: str = "") -> list[str]:
    """The environment variable `name` as a comma-separated list without empty items."""
    return [item.strip() for item in env(name, default).split(",") if item.strip()]


TELLTALE_HOME = Path(env("TELLTALE_HOME", str(ROOT / ".telltale"))).resolve()


def _secret_key() -> str:
    given = env("TELLTALE_SECRET_KEY")
    if given:
        return given
    kept = TELLTALE_HOME / "secret_key"
    if kept.exists():
        return kept.read_text().strip()
    # Not kept by this process: the supervisor makes the file before it starts anything.
    return secrets.token_urlsafe(48)


def _old_secret_keys() -> list[str]:
    kept = TELLTALE_HOME / "secret_key.old"
    told = [] if env("TELLTALE_SECRET_KEY") or not kept.exists() else kept.read_text().split()
    return [*env_list("TELLTALE_OLD_SECRET_KEYS"), *told]


SECRET_KEY = _secret_key()
# Sessions signed and secrets sealed under them still hold: docs/operations.md ("Changing the secret key").
SECRET_KEY_FALLBACKS = [key for key in _old_secret_keys() if key != SECRET_KEY]
DEBUG = env_bool("TELLTALE_DEBUG", False)
TELLTALE_BIND = env("TELLTALE_BIND", "127.0.0.1")
TELLTALE_PORT = env_int("TELLTALE_PORT", 8000)
TELLTALE_PUBLIC_URL = env("TELLTALE_PUBLIC_URL", f"http://{TELLTALE_BIND}:{TELLTALE_PORT}").rstrip("/")
TELLTALE_WEB_WORKERS = env_int("TELLTALE_WEB_WORKERS", 2)
TELLTALE_WEB_THREADS = env_int("TELLTALE_WEB_THREADS", 10)
TELLTALE_BROKER_URL = env("TELLTALE_BROKER_URL")
TELLTALE_EGRESS_ALLOW = env_list("TELLTALE_EGRESS_ALLOW")
TELLTALE_EGRESS_HOSTS = env_list("TELLTALE_EGRESS_HOSTS")
TELLTALE_METRICS_TOKEN = env("TELLTALE_METRICS_TOKEN")
TELLTALE_TRUSTED_PROXIES = env_list("TELLTALE_TRUSTED_PROXIES")
TELLTALE_SMTP_URL = env("TELLTALE_SMTP_URL")
# A watchdog in each web process tells when monitors are not evaluated: what is older than this has stopped.
TELLTALE_WATCHDOG = env_bool("TELLTALE_WATCHDOG", True)
TELLTALE_AUDIT_DAYS = env_int("TELLTALE_AUDIT_DAYS", 0)
if TELLTALE_AUDIT_DAYS and TELLTALE_AUDIT_DAYS < 365:
    raise ValueError(f"TELLTALE_AUDIT_DAYS must be 365 at least, or 0 for ever, not {TELLTALE_AUDIT_DAYS}")
TELLTALE_ENGINE_LIMIT_SECONDS = env_int("TELLTALE_ENGINE_LIMIT_SECONDS", 40)
TELLTALE_MAIL_FROM = env("TELLTALE_MAIL_FROM", "telltale@localhost")

# Signing in at an OpenID Connect provider; docs/sign-in.md.
TELLTALE_OIDC_ISSUER = env("TELLTALE_OIDC_ISSUER")
TELLTALE_OIDC_CLIENT_ID = env("TELLTALE_OIDC_CLIENT_ID")
TELLTALE_OIDC_CLIENT_SECRET = env("TELLTALE_OIDC_CLIENT_SECRET")
TELLTALE_OIDC_NAME = env("TELLTALE_OIDC_NAME", "single sign-on")
TELLTALE_OIDC_ONLY = env_bool("TELLTALE_OIDC_ONLY", False)
TELLTALE_OIDC_DOMAINS = [domain.lower() for domain in env_list("TELLTALE_OIDC_DOMAINS")]
TELLTALE_OIDC_PROJECT = env("TELLTALE_OIDC_PROJECT")
TELLTALE_OIDC_ROLE = env("TELLTALE_OIDC_ROLE", "viewer")

ALLOWED_HOSTS = env_list("TELLTALE_ALLOWED_HOSTS", "*")
CSRF_TRUSTED_ORIGINS = [TELLTALE_PUBLIC_URL]

# Ingest limits (bytes and counts); docs/settings.md says what each one guards.
INGEST_MAX_BODY_BYTES = env_int("TELLTALE_INGEST_MAX_BODY_BYTES", 64 * 1024 * 1024)
INGEST_BYTES_IN_FLIGHT = env_int("TELLTALE_INGEST_BYTES_IN_FLIGHT", 96 * 1024 * 1024)
INGEST_CONCURRENCY = env_int("TELLTALE_INGEST_CONCURRENCY", 5)
INGEST_MAX_TEXT_BYTES = env_int("TELLTALE_INGEST_MAX_TEXT_BYTES", 4 * 1024 * 1024)
INGEST_METRIC_SERIES_MAX = env_int("TELLTALE_INGEST_METRIC_SERIES_MAX", 1000)
INGEST_KEY_SPANS_A_SECOND = env_int("TELLTALE_INGEST_KEY_SPANS_A_SECOND", 0)
# Of one key for browsers that has no limit of its own: it lies open in the page.
BROWSER_SIGNALS_A_SECOND = env_int("TELLTALE_BROWSER_SIGNALS_A_SECOND", 100)
# Combinations of dimensions that roll-ups of a project keep apart; docs/data-model.md ("Roll-ups").
ROLLUP_SCOPES_MAX = env_int("TELLTALE_ROLLUP_SCOPES_MAX", 2000)
# Calls of models that a worker makes at a time for judging.
JUDGE_THREADS = env_int("TELLTALE_JUDGE_THREADS", 4)
# A folder with tokenizer.json and model.onnx, for vectors made here by the extra `minilm`.
TELLTALE_MINILM_DIR = env("TELLTALE_MINILM_DIR")
ACCOUNT_BATCH_DAYS = env_int("TELLTALE_ACCOUNT_BATCH_DAYS", 30)
ACCOUNT_HOUR_DAYS = env_int("TELLTALE_ACCOUNT_HOUR_DAYS", 400)
KEY_CACHE_SECONDS = 4

# A person waits this long for one answer of the database; then a sentence with advice is worth more.
PAGE_TIMEOUT_MS = env_int("TELLTALE_PAGE_TIMEOUT_MS", 3000)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "rest_framework",
    "drf_spectacular",
    "telltale.audit",
    "telltale.accounts",
    "telltale.projects",
    "telltale.jobs",
    "traces",
    "evals",
    "alerts",
    "telltale.web",
]

MIDDLEWARE = [
    "telltale.web.middleware.MachinePathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "telltale.web.middleware.BrowserShellMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "telltale.accounts.middleware.AccountGuardMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "telltale.urls"
WSGI_APPLICATION = "telltale.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "telltale.web.context.shell",
            ],
        },
    }
]


def _database() -> dict[str, Any]:
    from telltale.lib.dsn import django_database

    return django_database(env("TELLTALE_DATABASE_URL"), TELLTALE_HOME)


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "telltale.accounts.passwords.LeakedPasswordValidator"},
    {"NAME": "telltale.accounts.passwords.OwnWordsValidator"},
    {"NAME": "telltale.accounts.passwords.OtherPasswordValidator"},
]

# Behind TLS by the public address; on loopback without it a Secure cookie would never come back.
IS_TLS = TELLTALE_PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_TLS
# A browser takes `__Host-` from this very host alone, over TLS: no neighbour below the same domain sets them.
COOKIE_PREFIX = "__Host-" if IS_TLS else ""
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
MESSAGE_STORAGE = "telltale.web.told.Storage"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_TLS
# Only where a proxy of ours says what the scheme was: anywhere else a redirect would go round in circles.
SECURE_SSL_REDIRECT = IS_TLS and bool(TELLTALE_TRUSTED_PROXIES)
# W008: else the proxy redirects. W021: being on the browsers' preload list is the domain owner's decision.
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W021"]
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "telltale.web.errors.csrf_failure"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"

ACCOUNT_ADAPTER = "telltale.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_LOGIN_ON_PASSWORD_RESET = False
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_FORMS = {
    "login": "telltale.accounts.forms.LoginForm",
    "reset_password": "telltale.accounts.forms.ResetForm",
    "change_password": "telltale.accounts.password_forms.ChangeForm",
    "set_password": "telltale.accounts.password_forms.SetForm",
    "reset_password_from_key": "telltale.accounts.password_forms.NewForm",
    "reauthenticate": "telltale.accounts.password_forms.AgainForm",
}
# Tries are counted in the database by telltale.accounts.throttle: a cache of each process would not hold the limit.
ACCOUNT_RATE_LIMITS = False
MFA_FORMS = {
    "authenticate": "telltale.accounts.forms.CodeForm",
    "reauthenticate": "telltale.accounts.forms.CodeAgainForm",
}
MFA_ADAPTER = "telltale.accounts.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
# People come by invitation or are provisioned: their addresses are the inviter's word, and nobody mails them a check.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "Telltale"
SOCIALACCOUNT_ADAPTER = "telltale.accounts.oidc.SocialAdapter"
# `form-action 'self'` refuses a form's redirect to another host, so a link leads there; `state` guards the way back.
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": TELLTALE_OIDC_NAME,
                "client_id": TELLTALE_OIDC_CLIENT_ID,
                "secret": TELLTALE_OIDC_CLIENT_SECRET,
                "settings": {"server_url": TELLTALE_OIDC_ISSUER.rstrip("/")},
            }
        ],
    }
}

EMAIL_BACKEND = "telltale.accounts.mail.MailBackend"
DEFAULT_FROM_EMAIL = TELLTALE_MAIL_FROM

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).resolve().parent / "static"]
# Served from where they lie, without a collecting step; pages name them with a digest of their contents.
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600
STATIC_ROOT = env("TELLTALE_STATIC_ROOT") or None

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "telltale.rest.problems.answer",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Telltale",
    "VERSION": "1",
    "DESCRIPTION": "What a page shows can be read here, what a page does can be done here, by the same rules.",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PREPROCESSING_HOOKS": ["telltale.rest.schema.rest_alone"],
    "POSTPROCESSING_HOOKS": ["telltale.rest.schema.finish"],
}

# Jobs. Truth is rows with leases; a message only says "look now", so none is waited for and none is answered.
CELERY_BROKER_URL = TELLTALE_BROKER_URL or "telltale://"
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Redis hands a dead worker's messages on after this many seconds (its own default is an hour).
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 60} if TELLTALE_BROKER_URL.startswith("redis") else {}
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_PUBLISH_RETRY = False
# After a lost connection Celery would take fewer messages at a time, for every task that was under way then.
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
TELLTALE_QUEUES = ("roll-up", "judge", "watch", "notify", "upkeep")
CELERY_TASK_QUEUES = {name: {"exchange": name, "routing_key": name} for name in TELLTALE_QUEUES}
CELERY_TASK_DEFAULT_QUEUE = "upkeep"
CELERY_TASK_ROUTES = {
    "traces.fold_batches": {"queue": "roll-up"},
    "traces.fold_roll_ups": {"queue": "roll-up"},
    "traces.fold_behaviour": {"queue": "roll-up"},
    "traces.refresh_sessions": {"queue": "roll-up"},
    "traces.see_changes": {"queue": "roll-up"},
    "traces.forward": {"queue": "notify"},
    "traces.forward_to": {"queue": "notify"},
    "evals.draw": {"queue": "judge"},
    "evals.judge_rules": {"queue": "judge"},
    "evals.judge_models": {"queue": "judge"},
    "evals.tend_backfills": {"queue": "judge"},
    "alerts.evaluate": {"queue": "watch"},
    "alerts.notify": {"queue": "notify"},
    "alerts.tend_limits": {"queue": "watch"},
    "alerts.look_into_incidents": {"queue": "watch"},
    "alerts.tend_baselines": {"queue": "watch"},
    "alerts.revise": {"queue": "watch"},
    "alerts.tend_incidents": {"queue": "watch"},
    "alerts.sample_drift": {"queue": "judge"},
    "alerts.tend_budgets": {"queue": "watch"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "telltale.jobs.beat.LeasedScheduler"
# Each room appends its own: name -> task, schedule (seconds or crontab), options with the queue.
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "jobs.sweep": {"task": "jobs.sweep", "schedule": 5.0},
    "jobs.tidy": {"task": "jobs.tidy", "schedule": 3600.0},
    "web.measure_storage": {"task": "web.measure_storage", "schedule": 3600.0},
    "web.sweep_archives": {"task": "web.sweep_archives", "schedule": 60.0},
    "web.start_due_removals": {"task": "web.start_due_removals", "schedule": 60.0},
    "web.prune_audit": {"task": "web.prune_audit", "schedule": 86400.0},
    "traces.fold_batches": {"task": "traces.fold_batches", "schedule": 2.0},
    "traces.fold_roll_ups": {"task": "traces.fold_roll_ups", "schedule": 2.0},
    "traces.fold_behaviour": {"task": "traces.fold_behaviour", "schedule": 2.0},
    "traces.bind_signals": {"task": "traces.bind_signals", "schedule": 60.0},
    "traces.tend_roll_ups": {"task": "traces.tend_roll_ups", "schedule": 3600.0},
    "traces.index_search": {"task": "traces.index_search", "schedule": 2.0},
    "traces.merge_search": {"task": "traces.merge_search", "schedule": 15.0},
    "traces.sweep_search": {"task": "traces.sweep_search", "schedule": 3600.0},
    "traces.forward": {"task": "traces.forward", "schedule": 2.0},
    "traces.make_partitions": {"task": "traces.make_partitions", "schedule": 3600.0},
    "traces.sweep_retention": {"task": "traces.sweep_retention", "schedule": 3600.0},
    "traces.sweep_account": {"task": "traces.sweep_account", "schedule": 3600.0},
    "traces.refresh_sessions": {"task": "traces.refresh_sessions", "schedule": 5.0},
    "traces.see_changes": {"task": "traces.see_changes", "schedule": 5.0},
    "evals.draw": {"task": "evals.draw", "schedule": 2.0},
    "evals.judge_rules": {"task": "evals.judge_rules", "schedule": 2.0},
    "evals.judge_models": {"task": "evals.judge_models", "schedule": 2.0},
    "evals.tend_backfills": {"task": "evals.tend_backfills", "schedule": 5.0},
    "evals.fill_reviews": {"task": "evals.fill_reviews", "schedule": 5.0},
    "evals.tend_experiments": {"task": "evals.tend_experiments", "schedule": 5.0},
    "evals.tend_calibrations": {"task": "evals.tend_calibrations", "schedule": 15.0},
    "evals.tend_routines": {"task": "evals.tend_routines", "schedule": 60.0},
    "evals.sweep_retention": {"task": "evals.sweep_retention", "schedule": 3600.0},
    "evals.date_scores": {"task": "evals.date_scores", "schedule": 30.0},
    "evals.build_days": {"task": "evals.build_days", "schedule": 600.0},
    "evals.tend_survivorship": {"task": "evals.tend_survivorship", "schedule": 3600.0},
    "evals.tend_probes": {"task": "evals.tend_probes", "schedule": 15.0},
    "alerts.evaluate": {"task": "alerts.evaluate", "schedule": 5.0},
    "alerts.tend_incidents": {"task": "alerts.tend_incidents", "schedule": 2.0},
    "alerts.look_into_incidents": {"task": "alerts.look_into_incidents", "schedule": 5.0},
    "alerts.notify": {"task": "alerts.notify", "schedule": 2.0},
    "alerts.sweep_notices": {"task": "alerts.sweep_notices", "schedule": 3600.0},
    "alerts.tend_limits": {"task": "alerts.tend_limits", "schedule": 30.0},
    "alerts.tend_baselines": {"task": "alerts.tend_baselines", "schedule": 60.0},
    "alerts.revise": {"task": "alerts.revise", "schedule": 900.0},
    "alerts.sweep_points": {"task": "alerts.sweep_points", "schedule": 3600.0},
    "alerts.sample_drift": {"task": "alerts.sample_drift", "schedule": 5.0},
    "alerts.tend_drift": {"task": "alerts.tend_drift", "schedule": 300.0},
    "alerts.tend_questions": {"task": "alerts.tend_questions", "schedule": 60.0},
    "alerts.sweep_drift": {"task": "alerts.sweep_drift", "schedule": 3600.0},
    "alerts.tend_budgets": {"task": "alerts.tend_budgets", "schedule": 15.0},
    "alerts.sweep_budgets": {"task": "alerts.sweep_budgets", "schedule": 3600.0},
}
# How often these look for work while nothing is going on (telltale.jobs.quiet).
QUIET_TASKS = dict.fromkeys(
    (
        "jobs.sweep",
        "traces.fold_batches",
        "traces.fold_roll_ups",
        "traces.fold_behaviour",
        "traces.forward",
        "traces.index_search",
        "traces.merge_search",
        "traces.refresh_sessions",
        "traces.see_changes",
        "evals.draw",
        "evals.judge_rules",
        "evals.judge_models",
        "evals.tend_backfills",
        "alerts.tend_incidents",
        "evals.fill_reviews",
        "evals.tend_experiments",
        "alerts.evaluate",
        "alerts.notify",
        "alerts.sample_drift",
    ),
    20.0,
)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "telltale.lib.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Each 4xx as a warning of its own would only repeat what the sender did; 5xx come with a reference.
        "django.request": {"level": "ERROR"},
        "django.server": {"level": "ERROR"},
        # It quotes the address as it was sent; telltale.refused has the line with its pattern.
        "django.security.csrf": {"level": "ERROR"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}
