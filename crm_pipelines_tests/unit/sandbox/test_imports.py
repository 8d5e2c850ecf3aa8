"""An import is done a little at a time."""

import asyncio
import json
from itertools import pairwise

from crm_pipelines.sandbox.brevo.config import SandboxConfig
from crm_pipelines.sandbox.brevo.imports import ROWS_PER_STEP, import_contacts
from crm_pipelines.sandbox.brevo.sandbox import Brevo
from crm_pipelines.sandbox.core.answers import Call


def test_others_have_a_turn_after_every_few_rows_of_a_large_import() -> None:
    rows = [{"email": f"c{number}@example.org"} for number in range(5 * ROWS_PER_STEP)]
    body = json.dumps({"listIds": [2], "jsonBody": rows}).encode()

    async def stored_at_each_turn() -> list[int]:
        sandbox = Brevo(SandboxConfig(import_seconds=0))
        import_contacts(sandbox.account, Call("POST", "", "", body, host="127.0.0.1", client_host="127.0.0.1"))
        [process] = sandbox.account.processes.values()
        stored = [0]
        while process.status != "completed":
            await asyncio.sleep(0)
            stored.append(len(sandbox.account.contacts))
        return stored

    stored = asyncio.run(stored_at_each_turn())
    assert stored[-1] == len(rows)
    assert max(after - before for before, after in pairwise(stored)) == ROWS_PER_STEP
