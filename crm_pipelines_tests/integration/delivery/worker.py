"""One run's worker in a process of its own: claims, delivers, applies, and tells on stdout how it went.

Run as a module: worker.py RUN_ID COUNT RATE [stop-before-sending]. With the last one the process stops itself (SIGSTOP)
at the moment at which its first request is due. The database and the sandbox are those of the environment.
"""

import json
import os
import signal
import sys
import threading
from datetime import timedelta

import pytest

from crm_pipelines.contacts import database
from crm_pipelines.delivery import courier, fence
from crm_pipelines.delivery.pacing import Pacer
from crm_pipelines_tests.integration.delivery.conftest import Delivery, brevo

SHORT_LEASE = timedelta(seconds=0.5)


def main(run_id: str, count: int, rate: float, *, stops: bool) -> None:
    engine = database.create_engine(os.environ["CRM_DATABASE_URL"], application_name=run_id)
    crm = brevo(os.environ["BREVO_API_BASE_URL"])
    delivery = Delivery(engine, crm)
    if stops:
        patch = pytest.MonkeyPatch()
        patch.setattr(fence, "TRUST", SHORT_LEASE / 2)
        patch.setattr(courier, "DELIVERY_LEASE", SHORT_LEASE)
        wait = Pacer.wait

        def stop_once_due(pacer: Pacer) -> None:
            wait(pacer)
            # To this thread: sent to the process, it could go on for a while before the stop reaches it.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

        patch.setattr(Pacer, "wait", stop_once_due)
    receipt = delivery.courier(rate=rate, run_id=run_id).deliver(delivery.claim(count, run_id))
    print(json.dumps({"states": delivery.apply(run_id), "released": receipt.released, "halted": receipt.halted}))  # noqa: T201
    crm.close()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), stops="stop-before-sending" in sys.argv[4:])
