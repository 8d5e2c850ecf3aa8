"""Two contacts become one."""

from crm_pipelines.sandbox.mautic.account import Account, Contact, Member


def merge(account: Account, winner: Contact, loser: Contact) -> None:
    """Merge the loser into the contact that is being edited, and delete it.

    The values of the one that was changed last count, the other's fill the gaps; points add up; tags and segments come
    along. What the loser's person said about being contacted does not.
    """
    newest, oldest = (loser, winner) if _changed(loser) > _changed(winner) else (winner, loser)
    values = {**oldest.values, **newest.values}
    values["points"] = sum(float(one.values.get("points") or 0) for one in (winner, loser))
    tags = [tag for tag in loser.tags if tag not in winner.tags]
    members = {
        segment.id: segment.members[loser.id] for segment in account.segments.values() if loser.id in segment.members
    }
    account.remove(loser)
    account.store(winner, values)
    winner.tags += tags
    winner.owner = loser.owner if winner.owner is None else winner.owner
    for number, member in members.items():
        account.segments[number].members.setdefault(winner.id, Member(added=member.added, removed=member.removed))
    account.merged[loser.id] = winner.id


def _changed(contact: Contact) -> int:
    return contact.created if contact.updated is None else contact.updated
