"""Sending what is due, until it is there: claimed by a lease, sent outside of any transaction, settled after.

A process that ends between sending and settling leaves a delivery that is sent once more when its lease has run out,
with the same id. Nothing is ever settled twice, and no receiver that is away keeps another one waiting.
"""

from __future__ import annotations

import logging
import secrets
import smtplib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.http import HttpRequest

from alerts.models import Channel, Delivery, Transition
from alerts.notices import mail, webhook
from alerts.notices.answers import GIVE_UP, Fate, Outcome, pause, read_answer
from alerts.notices.messages import Message, from_json, to_json
from alerts.notices.outgoing import ChannelKind, request_of
from alerts.notices.transitions import Kind
from alerts.notices.wording import write as write_message
from alerts.read.notice_facts import read_told
from alerts.routing import members_among
from alerts.write import incidents as incidents_write
from alerts.write import notices as write
from alerts.write.notices import Target
from telltale.accounts.mail import mail_file, send_now
from telltale.audit.log import record_in
from telltale.lib import clock, egress, vault
from telltale.lib.logs import describe_error
from telltale.projects.models import Project

logger = logging.getLogger("telltale.alerts")
PURPOSE = "notices"
# Longer than any attempt takes; a killed process' deliveries are free again after it.
LEASE_SECONDS = 40.0
# Servers greet late on purpose: the whole talk may take so much longer than a request.
MAIL_EXTRA_SECONDS = 10.0
LIMITS = egress.Limits(connect_seconds=5, read_seconds=10, total_seconds=15, answer_bytes=16 * 1024)
TEST_LIMITS = egress.Limits(connect_seconds=3, read_seconds=6, total_seconds=8, answer_bytes=16 * 1024)
# One receiver's turn, and receivers at a time in a process.
TURN_SECONDS = 20.0
THREADS = 4
KEPT = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test came to."""

    is_delivered: bool
    words: str
    delivery_id: int
    status: int | None


class _Turns:
    """Receivers that this process sends to just now, each in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: set[Target] = set()

    def begin(self, target: Target) -> bool:
        """Whether there is room, and nobody here sends there."""
        with self._lock:
            if target in self._going or len(self._going) >= THREADS:
                return False
            self._going.add(target)
            return True

    def end(self, target: Target) -> None:
        with self._lock:
            self._going.discard(target)

    def __len__(self) -> int:
        return len(self._going)


_turns = _Turns()


def spread(*, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Begin sending to every receiver that something is due for, beside the caller; how many were begun."""
    begun = 0
    for target in write.due_targets(clock.now()):
        if is_stopping() or not _turns.begin(target):
            continue
        threading.Thread(target=_turn, args=(target, is_stopping), name="notify", daemon=True).start()
        begun += 1
    return begun


def _turn(target: Target, is_stopping: Callable[[], bool]) -> None:
    try:
        deliver_to(target, is_stopping=is_stopping)
    except Exception as error:
        # The thread ends; what it held is free when its lease runs out.
        logger.error("a message could not be sent", exc_info=error)
    finally:
        _turns.end(target)
        connection.close()


def deliver_due(*, seconds: float = TURN_SECONDS) -> int:
    """Send what is due, one receiver after the other, for about `seconds`; how many messages were delivered."""
    until, done = time.monotonic() + seconds, 0
    for target in write.due_targets(clock.now()):
        if time.monotonic() >= until:
            break
        done += deliver_to(target, seconds=until - time.monotonic())
    return done


def deliver_to(
    target: Target, *, seconds: float = TURN_SECONDS, is_stopping: Callable[[], bool] = lambda: False
) -> int:
    """Send what is due for one receiver, in its order, until one is not taken; how many were delivered."""
    until, done = time.monotonic() + seconds, 0
    while time.monotonic() < until and not is_stopping():
        row = write.claim(target, clock.now(), LEASE_SECONDS)
        if row is None:
            break
        outcome = attempt(row, LIMITS)
        if outcome.fate not in (Fate.DELIVERED, Fate.NOTHING, Fate.REFUSED):
            break
        done += outcome.is_delivered
    return done


def attempt(row: Delivery, limits: egress.Limits, *, is_last: bool = False) -> Outcome:
    """One attempt of a claimed delivery, and what is written of it. `is_last`: none follows (a test)."""
    began = time.monotonic()
    outcome = _send(row, limits)
    took, now = time.monotonic() - began, clock.now()
    state, next_at, paused = "delivered", None, None
    if outcome.fate is Fate.NOTHING:
        state = "dropped"
    elif not outcome.is_delivered:
        is_over = is_last or now - row.created_at >= GIVE_UP
        state = "failed" if is_over else "waiting"
        next_at = now + pause(outcome, row.attempts)
        if not is_last and outcome.fate in (Fate.AGAIN, Fate.WRONG):
            paused = next_at
    is_settled = write.settle(row, outcome, state=state, now=now, seconds=round(took, 3), next_at=next_at)
    if row.channel_id is not None and state != "dropped" and (is_settled or outcome.is_delivered):
        write.mark_channel(row.channel_id, outcome, now, paused)
    if is_settled and state in {"delivered", "failed"} and not is_last:
        _note(row, outcome)
    return outcome


def _send(row: Delivery, limits: egress.Limits) -> Outcome:
    """Send one delivery; what came of it. Never raises for what is wrong with a receiver or a message."""
    try:
        message = _message(row)
        if row.channel is None:
            return _to_person(row, message, limits)
        kind = ChannelKind(row.channel.kind)
        if kind is ChannelKind.EMAIL:
            return _mail(row, message, list(row.channel.config.get("to", ())), limits)
        return _request(row.channel, kind, message, limits)
    except egress.Refused as refused:
        return Outcome(Fate.WRONG, str(refused))
    except egress.Unreachable as error:
        return Outcome(Fate.AGAIN, str(error))
    except (KeyError, TypeError, ValueError, vault.Sealed) as error:
        if isinstance(error, vault.Sealed):
            return Outcome(Fate.WRONG, "Its secret cannot be opened: the installation’s key changed. Enter it again.")
        logger.error("delivery %s cannot be written", row.pk, exc_info=error)
        return Outcome(Fate.REFUSED, f"The message could not be written ({describe_error(error)['error']}).")


def _message(row: Delivery) -> Message:
    """What the delivery says: as it was frozen, else as things are now, frozen from here on."""
    if row.message:
        return from_json(row.message)
    message = write_message(read_told(row.transition))
    write.freeze(row, to_json(message))
    return message


def _request(channel: Channel, kind: ChannelKind, message: Message, limits: egress.Limits) -> Outcome:
    secret: dict[str, Any] = orjson.loads(vault.unseal(PURPOSE, channel.secret))
    if kind is ChannelKind.WEBHOOK and not webhook.keys_in_force(secret, clock.now()):
        return Outcome(Fate.WRONG, "It has no signing key any more: nothing is sent unsigned. Make a new one.")
    sent = request_of(kind, message, channel.config, secret, clock.now())
    if sent is None:
        return Outcome(Fate.NOTHING, "It has no word for this: nothing was sent.")
    answer = egress.request(sent.method, sent.url, headers=sent.headers, body=sent.body, limits=limits)
    outcome = read_answer(answer.status, answer.headers, clock.now())
    return Outcome(outcome.fate, outcome.words, outcome.status, outcome.asked, sent.ref)


def _to_person(row: Delivery, message: Message, limits: egress.Limits) -> Outcome:
    """Mail to somebody who watches, while they may still see the project."""
    user = row.user
    if user is None or not members_among(row.project_id, {user.pk}):
        return Outcome(Fate.NOTHING, "Nothing was sent: the person is not in the project any more.")
    return _mail(row, message, [user.email], limits)


def _mail(row: Delivery, message: Message, to: list[str], limits: egress.Limits) -> Outcome:
    domain = urlsplit(settings.TELLTALE_PUBLIC_URL).hostname or "telltale.localhost"
    written = mail.write(message, row.pk, domain)
    sent = EmailMultiAlternatives(
        written.subject, written.text, settings.DEFAULT_FROM_EMAIL, to, headers=dict(written.headers)
    )
    sent.attach_alternative(written.html, "text/html")
    try:
        has_left = send_now(sent, limits.total_seconds + MAIL_EXTRA_SECONDS)
    except smtplib.SMTPRecipientsRefused as error:
        code = max((int(told[0]) for told in error.recipients.values()), default=550)
        return Outcome(Fate.AGAIN if code < 500 else Fate.WRONG, f"The server refuses the addresses ({code}).", code)
    except smtplib.SMTPResponseException as error:
        code = int(error.smtp_code)
        is_login = isinstance(error, smtplib.SMTPAuthenticationError)
        words = "The mail server refuses the login" if is_login else "The mail server does not take the message"
        return Outcome(
            Fate.AGAIN if code < 500 else Fate.WRONG, f"{words} ({code}).", code if 0 < code < 1000 else None
        )
    except TimeoutError:
        return Outcome(Fate.AGAIN, "The mail server does not answer in time.")
    except (OSError, smtplib.SMTPException):
        return Outcome(Fate.AGAIN, "The mail server does not answer.")
    if has_left:
        return Outcome(Fate.DELIVERED, "The mail server took it.", 250, ref=written.headers["Message-ID"])
    return Outcome(Fate.DELIVERED, "Written to a file.", ref=f"file {mail_file().name}, no mail server is set up")


def _note(row: Delivery, outcome: Outcome) -> None:
    """A line in the timeline of the incident: told, or given up."""
    incident = row.transition.incident
    if incident is None:
        return
    to = row.channel.name if row.channel else str(row.user or "a watcher")
    kind = "told" if outcome.is_delivered else "not_told"
    words = f"{to}: {row.transition.kind}" if outcome.is_delivered else f"{to}, given up: {outcome.words}"
    incidents_write.add_event(
        incident, kind, clock.now(), facts={"words": words, "delivery": row.pk}, key=f"told:{row.pk}"
    )


def make_token() -> str:
    """What makes a test message one of its own."""
    return secrets.token_hex(8)


def send_test(
    project: Project, channel_id: int, *, token: str, request: HttpRequest | None = None, actor: str = ""
) -> Tested | None:
    """Send a test message now and say what came of it; None where there is no such channel. At most some ten seconds.

    `token` makes it a message of its own. It is in the log as others are, and is not tried again.
    """
    now = clock.now()
    with transaction.atomic():
        channel = Channel.objects.filter(project=project, pk=channel_id, archived_at=None).first()
        if channel is None:
            return None
        told = write.put_transition(project.pk, Kind.TEST, f"test:{channel_id}:{token}", at=now, due_at=now)
        Transition.objects.filter(pk=told.pk).update(routed_at=now)
        row = write.make_claimed(told, Target(channel_id=channel_id), now, LEASE_SECONDS)
        Channel.objects.filter(pk=channel_id).update(tested_at=now)
    outcome = attempt(row, TEST_LIMITS, is_last=True)
    if outcome.is_delivered:
        write.hurry(channel_id, clock.now())
    record_in(
        project, "channel.test", f"channel {channel.name}", request=request, actor=actor,
        outcome="delivered" if outcome.is_delivered else "failed",
    )  # fmt: skip
    return Tested(outcome.is_delivered, outcome.words, row.pk, outcome.status)


def retry_now(project: Project, delivery_id: int, *, request: HttpRequest | None = None, actor: str = "") -> bool:
    """Let a delivery that waits or was given up be tried at once; False where it is neither."""
    with transaction.atomic():
        row = write.revive(delivery_id, project.pk, clock.now())
        if row is None:
            return False
        record_in(project, "delivery.retry", f"delivery {row.pk}", request=request, actor=actor)
    return True


def sweep() -> int:
    """Forget deliveries that ended half a year ago."""
    return write.sweep(clock.now() - KEPT)
