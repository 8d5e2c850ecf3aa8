"""Edits and selections that arrive from outside while others deliver, in a thread of its own."""

import random
import threading
import time
from collections.abc import Callable
from typing import Self
from uuid import UUID

import psycopg

from benchmarks.setting import Stage

_EDIT = "UPDATE crm_contacts SET name = 'Person Renamed' || %s WHERE id = ANY (%s)"
_SELECT = "SELECT count(*) FROM crm_select('brevo', %s)"
_IDS = "SELECT id FROM crm_contacts ORDER BY id"
_AT_A_TIME = 500


class Arrivals:
    """Contacts become due as long as the block lasts; `count` is how many times. A lost connection is made anew."""

    def __init__(self, there: Stage, work: Callable[["Arrivals", psycopg.Connection], None]) -> None:
        self.count = 0
        self._url = there.url.replace("+psycopg", "")
        with psycopg.connect(self._url) as connection:
            self._ids: list[UUID] = [row[0] for row in connection.execute(_IDS).fetchall()]
        random.shuffle(self._ids)
        self._work = work
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._arrive)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def edit(self, connection: psycopg.Connection, most: int) -> None:
        """So many contacts, those first whose turn was longest ago."""
        connection.execute(_EDIT, [random.randrange(10**9), self._next(most)])  # noqa: S311
        self.count += most

    def select(self, connection: psycopg.Connection, most: int) -> None:
        """In the same way: the user wants them to be sent again, changed or not."""
        connection.execute(_SELECT, [self._next(most)])
        self.count += most

    def _next(self, most: int) -> list[UUID]:
        some, rest = self._ids[:most], self._ids[most:]
        self._ids = rest + some
        return some

    def pause(self, seconds: float) -> None:
        self._over.wait(seconds)

    def _arrive(self) -> None:
        while not self._over.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, application_name="arrivals") as connection:
                    while not self._over.is_set():
                        self._work(self, connection)
            except psycopg.OperationalError:
                self.pause(0.2)


def steadily(per_second: float, *, selections: float = 0.0) -> Callable[[Arrivals, psycopg.Connection], None]:
    """One after the other at this rate, whatever was late made up for; a share of them are selections."""
    began, arrived = time.monotonic(), 0

    def work(arrivals: Arrivals, connection: psycopg.Connection) -> None:
        nonlocal arrived
        late = int((time.monotonic() - began) * per_second) - arrived
        if late <= 0:
            arrivals.pause(0.5 / per_second)
            return
        for _ in range(late):
            (arrivals.select if random.random() < selections else arrivals.edit)(connection, 1)  # noqa: S311
            arrived += 1

    return work


def always(due: int, delivered: Callable[[], int]) -> Callable[[Arrivals, psycopg.Connection], None]:
    """As many edits as it takes that so many contacts are due; `delivered` is how many have been meanwhile.

    The queue itself is not asked: that would be a load of its own.
    """

    def work(arrivals: Arrivals, connection: psycopg.Connection) -> None:
        if arrivals.count - delivered() >= due:
            arrivals.pause(0.1)
        else:
            arrivals.edit(connection, _AT_A_TIME)

    return work
