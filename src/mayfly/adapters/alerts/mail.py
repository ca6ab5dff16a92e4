"""Alerts as mail, handed to a server over SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime

from mayfly.adapters.http import is_loopback, tls
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.domain.settings import AlertSettings
from mayfly.ports.alerts import Message

TIMEOUT_SECONDS = 10.0


class MailChannel:
    """One message for each notice. Off loopback nothing is said before TLS is verified.

    Args:
        settings: of the channel.
        password: gives what to log in with.
        context: for tests, whose server has a certificate of its own.
    """

    def __init__(
        self,
        settings: AlertSettings,
        *,
        password: Callable[[], str],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._password = password
        self._context = context

    def send(self, notice: Message) -> None:
        """See `AlertChannel.send`."""
        with self._session() as server:
            server.send_message(self._message(notice))

    def check(self) -> None:
        """See `AlertChannel.check`."""
        with self._session() as server:
            server.noop()

    def _message(self, notice: Message) -> EmailMessage:
        settings = self._settings
        message = EmailMessage()
        message["From"] = settings.sender
        message["To"] = ", ".join(settings.to)
        message["Subject"] = notice.title()
        message["Date"] = format_datetime(notice.at)
        message["Message-ID"] = f"<{notice.id}@{settings.sender.partition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n".join([*notice.lines(), ""]))
        return message

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """What a server says may repeat an address: of it the number alone is told."""
        name = self._settings.name
        try:
            with self._connected() as server:
                if self._settings.username is not None:
                    server.login(self._settings.username, self._password())
                yield server
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError):
            raise _refused(name, "does not take the log-in, or has no STARTTLS") from None
        except smtplib.SMTPRecipientsRefused:
            raise _refused(name, "takes none of its addresses") from None
        except smtplib.SMTPResponseException as error:
            if 500 <= error.smtp_code < 600:
                raise _refused(name, f"answers {error.smtp_code}") from None
            raise _away(name, f"answers {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError):
            raise _away(name, "does not answer, or its certificate is not valid") from None

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.tls == "none" and not is_loopback(settings.host):
            raise _refused(settings.name, "is on another machine and takes no TLS")
        context = self._context or tls()
        at = settings.host, settings.port
        if settings.tls == "tls":
            return smtplib.SMTP_SSL(
                *at, local_hostname="localhost", timeout=TIMEOUT_SECONDS, context=context
            )
        server = smtplib.SMTP(*at, local_hostname="localhost", timeout=TIMEOUT_SECONDS)
        if settings.tls == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server


def _refused(name: str, what: str) -> ConfigError:
    return ConfigError(
        "alert_refused",
        f"The mail server of channel {name} {what}.",
        hint="Check host, port, tls, username, password and the addresses under alerts.",
    )


def _away(name: str, what: str) -> TransientError:
    return TransientError("alert_away", f"The mail server of channel {name} {what}.")
