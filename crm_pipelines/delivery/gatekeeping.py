"""Opens a gate that was closed for its credentials, once there is evidence that they are accepted."""

from crm_pipelines.contacts.gates import Gate, GateKeeper
from crm_pipelines.crms.base import Crm, Result


def reopen_if_accepted(gate: GateKeeper, crm: Crm) -> Gate:
    """The gate as it stands after this attempt.

    A new key opens it at once. The same key opens it when one cheap request succeeds: an address that is allowed on the
    CRM's side changes no key.
    """
    state = gate.read()
    if not state.closed_for_credentials:
        return state
    if state.refused_fingerprint != crm.credentials_fingerprint:
        gate.open()
    else:
        outcome = crm.probe(before_request=lambda: None)
        if outcome.result is Result.SYNCED:
            gate.open()
        elif outcome.result is Result.REFUSED:
            gate.close(outcome.message or outcome.kind or "", crm.credentials_fingerprint)
    return gate.read()
