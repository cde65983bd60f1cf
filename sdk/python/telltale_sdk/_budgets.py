"""Asking Telltale whether a user or feature may spend: within a time limit, and open where it does not answer."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from telltale_sdk._config import BUDGETS_PATH, Config
from telltale_sdk._guard import trouble, warn_once
from telltale_sdk._signals import _NoRedirect
from telltale_sdk._version import VERSION

TIMEOUT_SECONDS = 0.25
# An answer holds so long for the same user and feature; sums themselves are some seconds old.
KEPT_SECONDS = 1.0
KEPT_MAX = 1_000
# Telltale was away or slow: nobody waits for it again before this.
REST_SECONDS = 5.0
# Questions that are under way at once; more are answered as unknown.
ASKING_MAX = 16
ANSWER_BYTES = 256 * 1024
ADVICE = ("warn", "shorter_context", "cheaper_model", "cached_answer", "refuse")


@dataclass(frozen=True)
class BudgetCheck:
    """What Telltale says: `allowed` is False only where a policy says to refuse.

    `is_known` False: it did not answer in time, and the request should go on as always. `over`, `spent_usd` and `share`
    are None where nobody knows. `advice`: warn, shorter_context, cheaper_model, cached_answer, refuse or None; `using`
    is what it names, such as a model. The others are of the budget that decides.
    """

    allowed: bool = True
    is_known: bool = False
    over: bool | None = None
    advice: str | None = None
    using: str | None = None
    budget: str | None = None
    spent_usd: Decimal | None = None
    limit_usd: Decimal | None = None
    share: float | None = None
    resets_at: str | None = None
    is_stale: bool = False


UNKNOWN = BudgetCheck()


class BudgetAsker:
    """Asks for one configuration. Keeps answers for a moment, and rests where nobody answers."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.renew()

    def renew(self) -> None:
        """Begin at nothing, as the child of a fork does."""
        self.lock = threading.Lock()
        self.kept: dict[tuple[str | None, str | None], tuple[float, BudgetCheck]] = {}
        self.asking = 0
        self.rests_until = 0.0
        self.opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, user: str | None, feature: str | None, timeout_s: float, kept_s: float) -> BudgetCheck:
        """The answer, kept or new; `UNKNOWN` after `timeout_s` at the latest."""
        key, now = (user, feature), time.monotonic()
        with self.lock:
            held = self.kept.get(key)
            if held is not None and now - held[0] < kept_s:
                return held[1]
            if now < self.rests_until or self.asking >= ASKING_MAX:
                return UNKNOWN
            self.asking += 1
        found: list[BudgetCheck] = []
        # A thread of its own: neither a slow name server nor an answer that drips holds the request up for longer.
        thread = threading.Thread(target=self._run, args=(key, timeout_s, found), name="telltale-budget", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is ending, or may have no more threads.
            with self.lock:
                self.asking -= 1
            return UNKNOWN
        thread.join(timeout_s)
        if not found:
            if thread.is_alive():
                self._rest("budgets/slow", "Telltale at %s did not answer for a budget in time; requests go on")
            return UNKNOWN
        return found[0]

    def _run(self, key: tuple[str | None, str | None], timeout_s: float, found: list[BudgetCheck]) -> None:
        try:
            answer = self._fetch(*key, timeout_s)
            if answer is not None:
                with self.lock:
                    if len(self.kept) >= KEPT_MAX:
                        self.kept.clear()
                    self.kept[key] = (time.monotonic(), answer)
                found.append(answer)
        except Exception as error:  # noqa: BLE001 - a thread of ours that fails must not print into the application
            trouble("budgets", error)
        finally:
            with self.lock:
                self.asking -= 1

    def _fetch(self, user: str | None, feature: str | None, timeout_s: float) -> BudgetCheck | None:
        asked = urlencode({name: value for name, value in (("user", user), ("feature", feature)) if value})
        request = urllib.request.Request(  # noqa: S310 - the endpoint was checked to be http or https
            self.config.url(BUDGETS_PATH) + (f"?{asked}" if asked else ""),
            headers={
                **self.config.headers,
                "Authorization": f"Bearer {self.config.api_key}",
                "User-Agent": f"telltale-sdk-python/{VERSION}",
            },
        )
        try:
            with self.opener.open(request, timeout=timeout_s) as response:
                return read_check(json.loads(response.read(ANSWER_BYTES)))
        except urllib.error.HTTPError as error:
            with error:
                kind = f"budgets/{error.code}"
                if error.code == 400:
                    # This user or feature alone cannot be asked for.
                    warn_once(kind, "Telltale at %s refused a question about budgets; it goes on", self.config.shown)
                else:
                    self._rest(kind, "Telltale at %s refused to answer for budgets; requests go on")
        except (OSError, ValueError):
            self._rest("budgets/away", "Telltale at %s does not answer for budgets; requests go on")
        return None

    def _rest(self, kind: str, words: str) -> None:
        with self.lock:
            self.rests_until = time.monotonic() + REST_SECONDS
        warn_once(kind, words, self.config.shown)


def read_check(told: Any) -> BudgetCheck:
    """An answer as a value; ValueError where it is none."""
    if not isinstance(told, dict) or not isinstance(told.get("allowed"), bool):
        raise ValueError("no answer of a budget check")
    held = told["budget"] if isinstance(told.get("budget"), dict) else {}
    share, over = held.get("share"), told.get("over")
    return BudgetCheck(
        allowed=told["allowed"],
        is_known=True,
        over=over if isinstance(over, bool) else None,
        advice=told["advice"] if told.get("advice") in ADVICE else None,
        using=_text(told.get("with")),
        budget=_text(held.get("name")),
        spent_usd=_money(held.get("spent_usd")),
        limit_usd=_money(held.get("limit_usd")),
        share=float(share) if isinstance(share, (int, float)) else None,
        resets_at=_text(held.get("resets_at")),
        is_stale=bool(told.get("is_stale")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _money(value: Any) -> Decimal | None:
    try:
        return Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
