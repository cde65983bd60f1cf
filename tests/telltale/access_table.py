"""Every address of the product and who may use it: the table that the access walk holds the product to.

A new address needs one line here: a page of a project in `PAGES` (weakest role for GET and for POST, None where it is
not taken), a REST address in `REST` (per method the weakest role and the scope a key needs), else in `OTHERS`.
"""

from __future__ import annotations

from telltale.projects.models import Role

VIEWER, REVIEWER, ENGINEER, ADMIN, OWNER = Role.VIEWER, Role.REVIEWER, Role.ENGINEER, Role.ADMIN, Role.OWNER
P = "p/<slug:slug>/"
KEYS, MEMBERS, PRICES = P + "settings/keys/", P + "settings/members/", P + "settings/prices/"
FORWARDING = P + "settings/forwarding/"
CONNECTIONS, JUDGES, RUBRICS = P + "settings/connections/", P + "judges/", P + "rubrics/"

PAGES: dict[str, tuple[Role | None, Role | None]] = {
    P: (VIEWER, None),
    P + "welcome/": (VIEWER, ADMIN),
    P + "welcome/status/": (VIEWER, None),
    P + "traces/": (VIEWER, None),
    P + "traces/compare/": (VIEWER, None),
    P + "traces/views/": (VIEWER, VIEWER),
    P + "traces/views/<int:view_id>/": (VIEWER, VIEWER),
    P + "traces/views/<int:view_id>/delete/": (None, VIEWER),
    P + "traces/views/<int:view_id>/default/": (None, VIEWER),
    P + "traces/<str:trace>/": (VIEWER, None),
    P + "traces/<str:trace>/copy/": (VIEWER, None),
    P + "traces/<str:trace>/comments/": (None, REVIEWER),
    P + "traces/<str:trace>/comments/<int:comment_id>/": (REVIEWER, REVIEWER),
    P + "traces/<str:trace>/comments/<int:comment_id>/delete/": (None, REVIEWER),
    P + "traces/<str:trace>/labels/": (None, REVIEWER),
    P + "traces/<str:trace>/labels/remove/": (None, REVIEWER),
    P + "sessions/": (VIEWER, None),
    P + "sessions/<path:session>/": (VIEWER, None),
    P + "users/": (VIEWER, None),
    P + "users/<path:user>/": (VIEWER, None),
    P + "accounting/": (VIEWER, None),
    P + "cost/": (VIEWER, None),
    P + "performance/": (VIEWER, None),
    P + "settings/": (VIEWER, ADMIN),
    P + "settings/audit/": (ADMIN, None),
    P + "settings/invitations/<int:invitation_id>/withdraw/": (None, ADMIN),
    KEYS: (VIEWER, None),
    KEYS + "new/": (None, ADMIN),
    KEYS + "<int:key_id>/revoke/": (ADMIN, ADMIN),
    KEYS + "<int:key_id>/limit/": (ADMIN, ADMIN),
    MEMBERS: (VIEWER, ADMIN),
    MEMBERS + "<int:member_id>/role/": (None, ADMIN),
    MEMBERS + "<int:member_id>/remove/": (ADMIN, ADMIN),
    FORWARDING: (VIEWER, None),
    FORWARDING + "new/": (ADMIN, ADMIN),
    FORWARDING + "<int:target_id>/": (ADMIN, ADMIN),
    FORWARDING + "<int:target_id>/test/": (None, ADMIN),
    FORWARDING + "<int:target_id>/pause/": (None, ADMIN),
    FORWARDING + "<int:target_id>/resume/": (None, ADMIN),
    FORWARDING + "<int:target_id>/remove/": (ADMIN, ADMIN),
    CONNECTIONS: (VIEWER, None),
    CONNECTIONS + "new/": (ADMIN, ADMIN),
    CONNECTIONS + "<int:connection_id>/": (ADMIN, ADMIN),
    CONNECTIONS + "<int:connection_id>/test/": (None, ADMIN),
    CONNECTIONS + "<int:connection_id>/archive/": (ADMIN, ADMIN),
    CONNECTIONS + "<int:connection_id>/restore/": (None, ADMIN),
    PRICES: (VIEWER, None),
    PRICES + "new/": (ADMIN, ADMIN),
    PRICES + "<int:price_id>/": (ADMIN, ADMIN),
    PRICES + "<int:price_id>/end/": (ADMIN, ADMIN),
    PRICES + "again/": (VIEWER, ADMIN),
    PRICES + "again/<int:job_id>/": (VIEWER, None),
    PRICES + "again/<int:job_id>/apply/": (None, ADMIN),
    PRICES + "again/<int:job_id>/cancel/": (None, ADMIN),
}

# What is its author's: others of the role get a 403.
OWN = (
    P + "traces/<str:trace>/comments/<int:comment_id>/",
    P + "traces/<str:trace>/comments/<int:comment_id>/delete/",
    "api/v1/traces/<str:trace_id>/comments/<str:comment_id>",
    P + "traces/views/<int:view_id>/",
    P + "traces/views/<int:view_id>/delete/",
    "api/v1/views/<str:view_id>",
)

READ, CHANGE, NOTE = (VIEWER, "read"), (ADMIN, "admin"), (REVIEWER, "write")
REST: dict[str, dict[str, tuple[Role | None, str]]] = {
    "api/v1/project": {"GET": READ, "PATCH": CHANGE},
    "api/v1/audit": {"GET": CHANGE},
    "api/v1/keys": {"GET": (VIEWER, "admin"), "POST": CHANGE},
    "api/v1/keys/<str:key_id>": {"PATCH": CHANGE, "DELETE": CHANGE},
    "api/v1/members": {"GET": (VIEWER, "admin"), "POST": CHANGE},
    "api/v1/members/<str:member_id>": {"PATCH": CHANGE, "DELETE": CHANGE},
    "api/v1/invitations/<str:invitation_id>": {"DELETE": CHANGE},
    # Native ingest knows keys alone: no role of a person stands for a key.
    "api/v1/traces": {"GET": READ, "POST": (None, "ingest")},
    "api/v1/traces/facets": {"GET": READ},
    "api/v1/traces/<str:trace_id>": {"GET": READ},
    "api/v1/traces/<str:trace_id>/otlp": {"GET": READ},
    "api/v1/traces/<str:trace_id>/spans": {"GET": READ},
    "api/v1/traces/<str:trace_id>/spans/<str:span_id>": {"GET": READ},
    "api/v1/traces/<str:trace_id>/comments": {"GET": READ, "POST": NOTE},
    "api/v1/traces/<str:trace_id>/comments/<str:comment_id>": {"GET": READ, "PATCH": NOTE, "DELETE": NOTE},
    "api/v1/traces/<str:trace_id>/labels": {"GET": READ, "POST": NOTE, "DELETE": NOTE},
    "api/v1/labels": {"GET": READ},
    "api/v1/forwarding": {"GET": READ, "POST": CHANGE},
    "api/v1/forwarding/<str:target_id>": {"GET": READ, "PATCH": CHANGE, "DELETE": CHANGE},
    "api/v1/forwarding/<str:target_id>/test": {"POST": CHANGE},
    "api/v1/compare": {"GET": READ},
    "api/v1/sessions": {"GET": READ},
    "api/v1/sessions/<path:session>": {"GET": READ},
    "api/v1/sessions/<path:session>/turns": {"GET": READ},
    "api/v1/users": {"GET": READ},
    "api/v1/users/<path:user>": {"GET": READ},
    "api/v1/views": {"GET": READ, "POST": (VIEWER, "write")},
    "api/v1/views/<str:view_id>": {"GET": READ, "PATCH": (VIEWER, "write"), "DELETE": (VIEWER, "write")},
    "api/v1/accounting": {"GET": READ},
    "api/v1/performance": {"GET": READ},
    "api/v1/performance/hosts": {"GET": READ},
    "api/v1/cost": {"GET": READ},
    "api/v1/cost/days": {"GET": READ},
    "api/v1/cost/change": {"GET": READ},
    "api/v1/cost/forecast": {"GET": READ},
    "api/v1/prices": {"GET": READ, "POST": CHANGE},
    "api/v1/prices/unpriced": {"GET": READ},
    "api/v1/prices/<str:price_id>": {"GET": READ, "PUT": CHANGE, "DELETE": CHANGE},
    "api/v1/reprice": {"GET": READ, "POST": CHANGE},
    "api/v1/reprice/<str:job_id>": {"GET": READ, "DELETE": CHANGE},
    "api/v1/reprice/<str:job_id>/apply": {"POST": CHANGE},
    "api/v1/scores": {"GET": READ, "POST": NOTE},
    "api/v1/scores/names": {"GET": READ},
    "api/v1/scores/<str:score_id>": {"GET": READ, "DELETE": NOTE},
}

# "ingest": POST with an ingest key alone. "open": for everybody. "own": for whoever is signed in, about themselves.
# "rest-own": the same by REST, for people and for keys that read. "owner": for owners of the organisation of the
# address; "rest-owner": the same by REST, where a key owns nothing.
OTHERS = {
    "^(?:api/public/otel/|otel/)?v1/traces/?$": "ingest",
    "^(?:api/public/otel/|otel/)?v1/logs/?$": "ingest",
    "^(?:api/public/otel/|otel/)?v1/metrics/?$": "ingest",
    "healthz": "open",
    "readyz": "open",
    "metrics": "open",  # to loopback, or with a token; tests/telltale/test_health.py
    "accounts/login/": "open",
    "accounts/logout/": "open",
    "accounts/inactive/": "open",
    "accounts/signup/": "open",
    "accounts/reauthenticate/": "own",
    "accounts/password/change/": "own",
    "accounts/password/set/": "own",
    "accounts/password/reset/": "open",
    "accounts/password/reset/done/": "open",
    "accounts/password/reset/key/done/": "open",
    "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "open",
    "accounts/2fa/": "own",
    "accounts/2fa/authenticate/": "open",  # between password and code, nobody is signed in yet
    "accounts/2fa/reauthenticate/": "own",
    "accounts/2fa/totp/activate/": "own",
    "accounts/2fa/totp/deactivate/": "own",
    "accounts/2fa/recovery-codes/": "own",
    "accounts/2fa/recovery-codes/generate/": "own",
    "accounts/2fa/recovery-codes/download/": "own",
    "accounts/settings/": "own",
    "accounts/sessions/": "own",
    "accounts/sessions/<int:session_id>/end/": "own",
    "accounts/sessions/end-others/": "own",
    "projects/new/": "own",
    "organisations/new/": "own",
    "organisations/<slug:organisation_slug>/": "owner",
    "organisations/<slug:organisation_slug>/owners/<int:user_id>/": "owner",
    "join/<str:token>/": "open",
    "api/v1/projects": "rest-own",
    "api/v1/organisations": "rest-own",
    "api/v1/organisations/<str:organisation_slug>": "rest-owner",
    "api/v1/organisations/<str:organisation_slug>/owners/<str:user_id>": "rest-owner",
    "api/schema/": "open",
    "api/docs/": "open",
    "": "own",
}
