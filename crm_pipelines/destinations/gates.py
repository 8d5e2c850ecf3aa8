"""The gate of a CRM account: one rate limiter and one circuit breaker in Postgres, shared by all runs and machines.

Failure policy: closed. Without the database no slot can be reserved, so nothing is sent. The statements stand in
gates.sql.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from crm_pipelines.database.sql import asking, load_statements
from crm_pipelines.destinations.clocks import Clocks
from crm_pipelines.destinations.unknown import if_unknown
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.vocabulary import counted

SANDBOX = "sandbox"
"""Name of the account at which nothing is real."""

MAX_FAILURES_IN_A_ROW = 10

RESTORED = (
    "This database was restored or copied, so what the CRM holds may be newer than what stands here. "
    'See the runbook, "A restored database".'
)

OPENED_BY_PEOPLE = frozenset({"manual", "restored", "attributes"})
"""Kinds of pause that wait for a person; `attributes` ends as well once the account has them."""

# Of the keys that are known to open the account, the latest: while a key is replaced, two machines may use two.
_MOST_FINGERPRINTS = 8

_SQL = load_statements("destinations/gates")


class AccountMixup(CrmPipelinesError):
    """The contacts of this database are in a real CRM account; the sandbox must not mark them as delivered."""


class OtherAccount(CrmPipelinesError):
    """The credentials open another account than the one that the contacts of this database were delivered to."""


class AccountTaken(CrmPipelinesError):
    """The credentials open the account of another destination: everybody would be sent there twice."""

    def __init__(self, account: str, *, taken_by: str, crm: str) -> None:
        super().__init__(
            f"The destination {taken_by} delivers to the account {account} already, so {crm} sends nothing to it: the "
            f"account would get everything twice. Set the key of another account for {crm}, or take one of the two "
            "out of CRM_DESTINATIONS."
        )


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The gate as it stands. `paused_until` is None for an open gate and for a pause without end.

    `open_for`: how long sending has been on since its last stop or pause for more than the rate; zero while such a
    pause lasts. `refused_kind` is what the CRM's refusal was about; None also where an earlier version closed the gate.
    `account` is the CRM's own name of the account that the contacts were delivered to, SANDBOX, or None before the
    first run; `account_fingerprints` are of credentials that open it. `account_since`, `former_account` and
    `contacts_forgotten` (how many became New) tell of its last change. `accepted_account` and `accepted_mappings` are
    for which account, with which mappings, deliveries may begin; no mappings: with the one of its next run.
    """

    crm: str
    account: str | None
    account_fingerprints: Sequence[str]
    account_since: datetime | None
    former_account: str | None
    contacts_forgotten: int
    paused: bool
    paused_until: datetime | None
    paused_seconds: float | None
    pause_kind: str | None
    pause_reason: str | None
    refused_kind: str | None
    refused_fingerprint: str | None
    probing: bool
    limit_observed: float | None
    consecutive_failures: int
    changed_at: datetime
    accepted_account: str | None
    accepted_mappings: Sequence[str]
    open_for: timedelta

    def knows(self, fingerprint: str) -> bool:
        """Whether these credentials are known to open the account."""
        return self.account is not None and fingerprint in self.account_fingerprints

    def accepts(self, mapping_version: str) -> bool:
        """Whether contacts may be sent to the account by this mapping: it lacked nothing, or a user said so."""
        if self.account is None or self.accepted_account != self.account:
            return False
        return not self.accepted_mappings or mapping_version in self.accepted_mappings

    @property
    def account_is_open(self) -> bool:
        """Whether the account that the next run's credentials open becomes the account: nothing of another is known.

        Without any fingerprint it is the API's host name, which earlier versions wrote down.
        """
        return self.account is None or (self.account != SANDBOX and not self.account_fingerprints)

    @property
    def account_change(self) -> str:
        """That the account took the place of another one, to go after its name; empty if it never did."""
        if self.account_since is None:
            return ""
        return (
            f", since {self.account_since:%Y-%m-%d %H:%M} UTC in place of {self.former_account}; "
            f"unselected then: {counted(self.contacts_forgotten, 'contact')}"
        )

    @property
    def closed_for_credentials(self) -> bool:
        return self.paused and self.pause_kind == "credentials"

    @property
    def tries_credentials(self) -> bool:
        """Whether one contact is let through to find out if the key is accepted by now."""
        return self.probing and not self.paused and self.pause_kind == "credentials"

    @property
    def closed_for_settings(self) -> bool:
        return self.paused and self.pause_kind == "settings"

    @property
    def refuses(self) -> bool:
        """Closed until what the CRM refuses is mended: the key, say, or a setting."""
        return self.closed_for_credentials or self.closed_for_settings

    @property
    def waits_for_a_person(self) -> bool:
        """Whether it was closed by hand, by a restore, or for what the account lacks: see `OPENED_BY_PEOPLE`."""
        return self.paused and self.pause_kind in OPENED_BY_PEOPLE

    @property
    def waits_for_attributes(self) -> bool:
        """Closed until the account has what the mapping needs, or a user sends without it."""
        return self.paused and self.pause_kind == "attributes"

    @property
    def paused_until_in_words(self) -> str:
        """What ends the pause, to go after "until"."""
        if self.paused_until is not None:
            return f"{self.paused_until:%Y-%m-%d %H:%M:%S} UTC"
        if self.waits_for_attributes:
            create, send = f"`crm-pipelines provision {self.crm}`", f"`crm-pipelines gate open {self.crm}`"
            return f"the account has them ({create}) or somebody sends without them ({send})"
        if self.waits_for_a_person:
            return f"somebody starts it again (`crm-pipelines gate open {self.crm}`)"
        return "the setting is corrected" if self.closed_for_settings else "the key is accepted"


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """Requests that may be made: the first in `first_seconds` from now, each further one `spacing_seconds` later.

    What is in the past by now is below zero.
    """

    slots: int
    first_seconds: float
    spacing_seconds: float


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A group of outcomes in the order in which they came in, as far as the breaker looks at them."""

    successes: int
    failures: int
    trailing_failures: int
    rejects: int
    last_failure: str = ""
    last_reject: str = ""


class GateKeeper:
    """The gate of one CRM's account. With an `account` it gives slots only while that is the gate's.

    `others` are further destinations of the same kind, none of which may have the same account. `clocks`: those of the
    same database that were compared before.
    """

    def __init__(
        self,
        engine: sa.Engine,
        crm: str,
        *,
        account: str | None = None,
        others: Sequence[str] = (),
        clocks: Clocks | None = None,
    ) -> None:
        self._engine = engine
        self.crm = crm
        self.account = account
        self.others = list(others)
        self._clocks = clocks or Clocks()
        self._all = asking(engine, _SQL, crm)

    def of(self, account: str) -> "GateKeeper":
        """The same gate, for somebody who sends to this account only."""
        return GateKeeper(self._engine, self.crm, account=account, others=self.others, clocks=self._clocks)

    def read(self) -> Gate:
        """The gate as it stands. One that was restored or copied is closed by whoever looks at it first."""
        row = self._all("read")[0]
        if not row.at_home:
            self._settle()
            row = self._all("read")[0]
        self._clocks.compare(row.moment)  # so that the first slots are on time, too
        return Gate(**{name: value for name, value in row._mapping.items() if name not in {"at_home", "moment"}})

    def _settle(self) -> None:
        with self._engine.begin() as connection:
            found = connection.execute(_SQL["lock_home"], {"crm": self.crm}).one()
            if not found.at_home and not found.never_noted:
                self._distrust(connection)
            connection.execute(_SQL["settle"], {"crm": self.crm})

    def restored(self) -> None:
        """This is an older state of the database: what the CRM holds is not known, and nothing is sent.

        For restores that cannot be noticed, such as those of the server's files. Claims and imports under way are over.
        """
        with self._engine.begin() as connection:
            connection.execute(_SQL["lock_home"], {"crm": self.crm})
            self._distrust(connection)
            connection.execute(_SQL["settle"], {"crm": self.crm})

    def _distrust(self, connection: sa.Connection) -> None:
        given = {"crm": self.crm, "if_unknown": if_unknown(self.crm)}
        for name in ("at_leisure", "forget_rows", "forget_imports", "forget_walks", "park_sent", "forget_held"):
            connection.execute(_SQL[name], given)
        connection.execute(_SQL["close_restored"], {"crm": self.crm, "reason": RESTORED})

    def reserve(self, slots: int, rate_per_second: float) -> Reservation | None:
        """Reserve `slots` requests at `rate_per_second`; None while the gate is paused, and at another account's.

        An answer that was late makes no slot late: the next ones may be another process's.
        """
        rows = self._all("reserve", slots=slots, rate=rate_per_second, account=self.account)
        if not rows:
            return None
        spacing, end = rows[0].spacing, rows[0].end_seconds
        first = end - slots * spacing - self._clocks.lateness(rows[0].moment)
        return Reservation(slots=slots, first_seconds=first, spacing_seconds=spacing)

    def pause(self, kind: str, reason: str, duration: timedelta) -> None:
        """Stop all requests for `duration`; a longer pause already in force stays."""
        self._all("pause", kind=kind, reason=reason, duration=duration)

    def close(
        self, reason: str, fingerprint: str, kind: str = "credentials", *, refused_kind: str | None = None
    ) -> None:
        """Stop all requests because the account refused the credentials, or settings, with this fingerprint.

        `refused_kind` is what the refusal was about: the kind of its outcome.
        """
        self._all("close", reason=reason, fingerprint=fingerprint, kind=kind, refused_kind=refused_kind)

    def open(self) -> None:
        """Let requests through again and forget what was counted against the account; not what waits for a person."""
        self._all("open", by_hand=False)

    def try_out(self) -> None:
        """Let one contact through, after which all may follow or the gate is closed again for the same reason."""
        self._all("try_out")

    def close_by_hand(self, reason: str) -> None:
        """Stop all requests until `open_by_hand`; a gate that was closed by a restore stays so."""
        self._all("close_by_hand", reason=reason)

    def open_by_hand(self) -> Gate:
        """Open a gate that waits for a person; returns it as it stood before. Any other stays as it is.

        What the account lacks is left out from now on, and not asked again for this mapping.
        """
        before = self.read()
        if before.waits_for_attributes and before.refused_fingerprint is not None:
            self.accept(before.refused_fingerprint)
        elif before.waits_for_a_person:
            self._all("open", by_hand=True)
        return before

    def wait_for_attributes(self, reason: str, mapping_version: str) -> None:
        """Stop all requests until the account has what this mapping needs, unless a user has just said otherwise."""
        self._all("wait_for_attributes", reason=reason, mapping=mapping_version, account=self._present_account())

    def accept(self, mapping_version: str) -> None:
        """Let deliveries by this mapping begin, from now on."""
        given = {"crm": self.crm, "mapping": mapping_version, "account": self._present_account()}
        with self._engine.begin() as connection:
            connection.execute(_SQL["accept"], given)
            connection.execute(_SQL["end_wait"], {"crm": self.crm, "account": given["account"]})

    def ask_anew(self) -> None:
        """What is waited for is not asked any more: the next run finds out what there is to be asked."""
        self._all("end_wait", account=self._present_account())

    def end_wait_of_another(self, mapping_version: str, *, silence: timedelta) -> None:
        """Go on by this settled mapping, if for so long nobody has found that the account lacks what another needs."""
        given = {"mapping": mapping_version, "silence": silence, "account": self._present_account()}
        self._all("end_wait_of_another", **given)

    def _present_account(self) -> str | None:
        return self.account if self.account is not None else self.read().account

    def judge(self, tally: Tally) -> str | None:
        """Tell the breaker what came in; returns `outage` or `rejects` when it paused the gate."""
        rows = self._all(
            "judge",
            successes=tally.successes,
            failures=tally.failures,
            trailing_failures=tally.trailing_failures,
            rejects=tally.rejects,
            last_failure=tally.last_failure,
            last_reject=tally.last_reject,
            max_in_a_row=MAX_FAILURES_IN_A_ROW,
        )
        return rows[0].kind if rows else None

    def observe_limit(self, requests_per_second: float) -> None:
        """Note the rate limit that the account's answers reported."""
        self._all("observe_limit", limit=requests_per_second)

    def reserve_poll(self, *, most: int, refill: timedelta, reserve: int) -> bool:
        """Whether the CRM may be asked now how its imports stand; if so, that is one request less for all who ask.

        The bucket of such requests holds `most`, and gets one more after each `refill`. Its last `reserve` are not for
        this.
        """
        return bool(self._all("reserve_poll", most=most, refill=refill, reserve=reserve))

    def count_aside(self, *, most: int, refill: timedelta) -> None:
        """Take one request out of this bucket that is made in any case."""
        self._all("count_aside", most=most, refill=refill)

    def delay_poll(self, pause: timedelta) -> None:
        """Let nobody ask how imports stand for `pause`."""
        self._all("delay_poll", pause=pause)

    def require_own(self, account: str) -> None:
        """Raises AccountTaken if this is the account of another destination. At the sandbox nothing is real."""
        self._refuse_taken(account, self._all("taken_by", others=self.others, account=account)[0][0])

    def _refuse_taken(self, account: str, taken_by: str | None) -> None:
        if taken_by is not None and account != SANDBOX:
            raise AccountTaken(account, taken_by=taken_by, crm=self.crm)

    def distrust_key(self, account: str, fingerprint: str) -> None:
        """These credentials do not open `account` any more: whoever comes with them asks again."""
        self._all("distrust_key", account=account, fingerprint=fingerprint)

    def bind_account(self, account: str, fingerprint: str, *, move: bool = True) -> int:
        """Make sure that what this database calls delivered was delivered to `account`, which these credentials open.

        When it was another one, that one is forgotten: every contact but the suppressed ones is New again; returns how
        many of them were not. With `move` false it raises OtherAccount instead. Raises AccountMixup on the way from a
        real account to the sandbox, and AccountTaken when it is another destination's. An account without any
        fingerprint is the API's host name, which earlier versions wrote down: the real account that the credentials
        open takes its place.
        """
        with self._engine.begin() as connection:
            asked = {"crm": self.crm, "others": self.others, "account": account}
            connection.execute(_SQL["one_comes_first"], asked)
            bound, known, taken_by = connection.execute(_SQL["lock_account"], asked).one()
            self._refuse_taken(account, taken_by)
            if bound is not None and bound != SANDBOX and account == SANDBOX:
                raise AccountMixup(
                    f"The contacts of this database were delivered to {bound}, so the sandbox is not used with it: "
                    f"it would mark contacts as delivered that are not. Set the key of {self.crm}, or use another "
                    "CRM_DATABASE_URL to try things out."
                )
            if bound != account and account != SANDBOX:
                self._suppress_as_before(connection, account)
            if bound in {None, account} or (bound != SANDBOX and not known):
                others = [one for one in known if one != fingerprint]
                fingerprints = [*others, fingerprint][-_MOST_FINGERPRINTS:]
                given = {"crm": self.crm, "account": account, "fingerprints": fingerprints}
                connection.execute(_SQL["remember_account"], given)
                return 0
            if not move:
                raise OtherAccount(
                    f"The credentials open the account {account} of {self.crm}, but the contacts of this database were "
                    f"delivered to {bound}. If that is meant, `crm-pipelines sync {self.crm}` unselects all contacts. "
                    f"If not, set the key of {bound}."
                )
            return self._change_account(connection, account, fingerprint)

    def _suppress_as_before(self, connection: sa.Connection, account: str) -> None:
        """Whoever must never be sent to this account under another name must not under this one."""
        there = list(connection.scalars(_SQL["known_as"], {"crm": self.crm, "account": account}))
        if there:
            connection.execute(_SQL["at_leisure"])
            for name in ("suppress_everybody_as_there", "suppress_contacts_as_there"):
                connection.execute(_SQL[name], {"crm": self.crm, "there": there})

    def _change_account(self, connection: sa.Connection, account: str, fingerprint: str) -> int:
        for name in ("at_leisure", "forget_rows", "forget_imports", "forget_walks"):
            connection.execute(_SQL[name], {"crm": self.crm})
        forgotten: int = connection.execute(_SQL["forget_deliveries"], {"crm": self.crm}).scalar_one()
        changed = {"crm": self.crm, "account": account, "fingerprints": [fingerprint], "forgotten": forgotten}
        connection.execute(_SQL["change_account"], changed)
        return forgotten
