"""One measured run of drt: `drt run` of the project in the working folder; prints its figures as JSON.

It is run by the Python of drt's own virtual environment, and imports nothing of ours. drt lets the URL of a REST API be
set, and none for HubSpot: where HUBSPOT_STAND_IN is set, that takes the place of https://api.hubapi.com in the one
constant that has it. Nothing else of drt is changed. As with ours, neither the interpreter's start nor the import of
the program counts.
"""

import contextlib
import io
import json
import os
import resource
import time

from drt.cli.main import app
from drt.destinations import hubspot


def main() -> None:
    if stand_in := os.environ.get("HUBSPOT_STAND_IN"):
        hubspot._HUBSPOT_API = f"{stand_in}/crm/v3/objects"
    said = io.StringIO()
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        app(["run", "--output", "json"])
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    print(  # noqa: T201 - the answer to the process that measures
        json.dumps(
            {
                "said": json.loads(said.getvalue()),
                "seconds": seconds,
                "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                "peak_mb": after.ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
