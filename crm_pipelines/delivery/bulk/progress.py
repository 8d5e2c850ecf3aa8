"""How far the contacts that changed since a moment were read, so that no page need be read again."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from crm_pipelines.crms.bulk import ContactPage

# Kept in memory; with more of them all is read again.
_MOST_OTHERS = 5000


@dataclass(kw_only=True)
class Progress:
    """Full pages from the first one on. `last` is the CRM's id of the last contact.

    `others` are the keys on these pages that were not recorded as delivered: contacts of nobody, or not yet as sent.
    `read` counts all that were read, those on the last page, which is read again once it is full, among them.
    """

    since: datetime
    read: int = 0
    contacts: int = 0
    last: str = ""
    others: set[str] = field(default_factory=set)

    def add(self, page: ContactPage, recorded: Collection[str]) -> None:
        """The next page, of which these keys were recorded."""
        self.read = self.contacts + len(page.contacts)
        if not page.full:
            return
        self.contacts = self.read
        self.last = page.contacts[-1].remote_id
        self.others |= {one.key for one in page.contacts} - set(recorded)

    @property
    def is_of_use(self) -> bool:
        """Whether there is something that need not be read again."""
        return self.contacts > 0 and len(self.others) <= _MOST_OTHERS
