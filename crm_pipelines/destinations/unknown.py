"""Contacts that may have arrived where nothing must be sent twice: they are parked until a person decides."""

UNKNOWN = "unknown"
"""Kind of the error of such a contact."""


def if_unknown(crm: str) -> str:
    """What is said of a contact that may have arrived where nothing must be sent twice."""
    return (
        "It may have arrived, so nothing sends it again by itself. Look whether it did: "
        f"`crm-pipelines retry {crm} --email …` sends it again, "
        f"`crm-pipelines contacts unselect {crm} --email …` leaves it at that."
    )
