"""E-mail by SMTP, with TLS."""

import smtplib
import socket
import ssl
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import partial
from urllib.parse import unquote, urlsplit

from crm_pipelines.alerts.channels.base import ChannelFailed, PartlyTaken
from crm_pipelines.alerts.messages import Alert, Links
from crm_pipelines.crms.transport import is_loopback

_STEP_SECONDS = 10.0
_LONGEST_SECONDS = 20.0
_PORTS = {"smtp": 587, "smtps": 465}
# RFC 5322 allows 998 characters in a line; mail programs show far fewer of a subject.
_LONGEST_SUBJECT = 200
_WIDTH = 76
# Folded at 78, the subject would begin on a line of its own, which some programs show as a blank before it.
_UNFOLDED = policy.SMTP.clone(max_line_length=500)


class Mail:
    """`url` as SMTP_URL; `recipients` separated by commas; without a `sender` the first of them is it."""

    name = "email"

    def __init__(self, url: str, *, recipients: str, sender: str | None, links: Links) -> None:
        self._url = urlsplit(url)
        self._tls_after_greeting = (
            self._url.scheme == "smtp" and self._url.query != "starttls=never" and not is_loopback(url)
        )
        self._recipients = recipients.split(", ")
        self._sender = sender or self._recipients[0]
        self._links = links

    def send(self, alert: Alert) -> None:
        try:
            with self._connection() as smtp:
                # Its `send_message` would write a line that begins with From as >From.
                refused = smtp.sendmail(self._sender, self._recipients, self._message(alert).as_bytes())
        except smtplib.SMTPRecipientsRefused:
            raise ChannelFailed("The mail server takes none of the recipients of ALERT_EMAIL_TO.") from None
        except smtplib.SMTPResponseException as error:  # its text may hold an address
            raise ChannelFailed(
                f"The mail server refused with code {error.smtp_code} ({type(error).__name__})."
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise ChannelFailed("The mail server does not offer what is needed: STARTTLS, or a login.") from None
        except smtplib.SMTPServerDisconnected:
            raise ChannelFailed("The mail server hung up, or did not answer in time.") from None
        except smtplib.SMTPException as error:
            raise ChannelFailed(f"The mail server did not keep to SMTP ({type(error).__name__}).") from None
        except ssl.SSLError:
            raise ChannelFailed("No trusted connection: the mail server's certificate is not accepted.") from None
        except TimeoutError:
            raise ChannelFailed("The mail server did not answer in time.") from None
        except OSError as error:
            raise ChannelFailed(f"No connection to the mail server ({type(error).__name__}).") from None
        if refused:
            raise PartlyTaken(f"The mail server refused {len(refused)} of {len(self._recipients)} recipients.")

    @contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        # Given here, since smtplib would ask a name server what this machine is called, and wait.
        myself, context = socket.gethostname(), ssl.create_default_context()
        smtp = (
            smtplib.SMTP_SSL(local_hostname=myself, timeout=_STEP_SECONDS, context=context)
            if self._url.scheme == "smtps"
            else smtplib.SMTP(local_hostname=myself, timeout=_STEP_SECONDS)
        )
        smtp._host = self._url.hostname or ""  # type: ignore[attr-defined] # what TLS verifies; set by its constructor only
        # A time-out starts again with every byte; this one does not.
        deadline = threading.Timer(_LONGEST_SECONDS, _cut, [smtp])
        deadline.daemon = True
        deadline.start()
        try:
            smtp.connect(self._url.hostname or "", self._url.port or _PORTS[self._url.scheme])
            if self._tls_after_greeting:
                smtp.starttls(context=context)
            if self._url.username:
                smtp.login(unquote(self._url.username), unquote(self._url.password or ""))
            yield smtp
            with suppress(smtplib.SMTPException, OSError):  # the message is taken, however they part
                smtp.quit()
        finally:
            deadline.cancel()
            smtp.close()

    def _message(self, alert: Alert) -> EmailMessage:
        message = EmailMessage(policy=_UNFOLDED)
        # EmailMessage refuses a header with line breaks, so nothing gets in there; better one line than no message.
        message["Subject"] = " ".join(f"[crm-pipelines] {alert.subject}".split())[:_LONGEST_SUBJECT]
        message["From"] = self._sender
        message["To"] = ", ".join(self._recipients)
        message["Date"] = format_datetime(alert.at)
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(_wrapped(f"{alert.subject}\n\n{alert.body(self._links)}\n"))
        return message


def _wrapped(text: str) -> str:
    """Mail programs that show text as it is have such lines. An address stays whole, so that it can be opened."""
    wrap = partial(textwrap.fill, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    lines = text.split("\n")
    return "\n".join(wrap(line, subsequent_indent="  " if line.startswith("- ") else "") for line in lines)


def _cut(smtp: smtplib.SMTP) -> None:
    with suppress(OSError, AttributeError):  # not connected, or closed already
        smtp.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
