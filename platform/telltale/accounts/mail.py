"""Mail: by SMTP where `TELLTALE_SMTP_URL` names a server, else into a file that the operator reads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from telltale.accounts.smtp import Backend as SmtpBackend
from telltale.lib import clock

logger = logging.getLogger("telltale.mail")
# One step of a talk with a mail server, and all of it where somebody waits for the outcome.
TIMEOUT_SECONDS = 15
TALK_SECONDS = 25.0


def is_by_smtp() -> bool:
    """Whether mail leaves the machine."""
    return bool(settings.TELLTALE_SMTP_URL)


def mail_file() -> Path:
    """Where mail is written that does not leave the machine."""
    return Path(settings.TELLTALE_HOME) / "log" / "mail.log"


def smtp_backend(url: str) -> SmtpBackend:
    """The sender for smtp://user:password@host:port (STARTTLS unless ?starttls=0) or smtps:// (TLS from the start)."""
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("TELLTALE_SMTP_URL must look like smtp://user:password@host:587 or smtps://...:465")
    is_tls = parts.scheme == "smtps"
    starttls = parse_qs(parts.query).get("starttls", ["1"])[0] not in {"0", "no", "false"}
    return SmtpBackend(
        host=parts.hostname,
        port=parts.port or (465 if is_tls else 587),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_ssl=is_tls,
        use_tls=not is_tls and starttls,
        timeout=TIMEOUT_SECONDS,
    )


class MailBackend(BaseEmailBackend):
    """Never keeps a page waiting for a mail server."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Hand the messages over; how many."""
        if is_by_smtp():
            threading.Thread(target=_send, args=(list(email_messages),), name="mail", daemon=True).start()
        else:
            for message in email_messages:
                _write(message)
        return len(email_messages)


def send_now(message: EmailMessage, seconds: float = TALK_SECONDS) -> bool:
    """Hand one mail over and wait for the server's word; False: written into the file, no server is set up.

    OSError where the server is away, does not take it (smtplib's errors are OSErrors) or needs longer than `seconds` in
    all; ValueError for wrong settings. A second or so after `seconds` nothing of it goes on.
    """
    if not is_by_smtp():
        _write(message)
        return False
    smtp_backend(settings.TELLTALE_SMTP_URL).send_within([message], seconds)
    return True


def _send(messages: list[EmailMessage]) -> None:
    try:
        smtp_backend(settings.TELLTALE_SMTP_URL).send_messages(messages)
    except (OSError, ValueError):
        # smtplib's errors are OSErrors. The text of a mail may hold a link that opens an account: it is not logged.
        logger.exception("a mail could not be sent")


def _write(message: EmailMessage) -> None:
    path = mail_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    head = f"--- {clock.now():%Y-%m-%d %H:%M:%S} UTC to {', '.join(message.to)}: {message.subject}"
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{head}\n{message.body.strip()}\n\n")
    logger.info("mail for an operator written to %s", path)
