"""Runs of the job in processes of their own, to be killed.

For each line of its input, the environment of a test as JSON, it forks one, tells its process id, and then its end. So
what takes long, loading Dagster, is done once.
"""

import json
import os
import sys

import dagster as dg

from crm_pipelines.orchestration.sync.jobs import sync_job
from crm_pipelines.settings import load_settings


def deliver() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        sync_job(load_settings().destination("brevo")).execute_in_process(instance=instance)


def tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for line in sys.stdin:
        worker = os.fork()
        if not worker:
            try:
                os.environ.update(json.loads(line))
                deliver()
            finally:
                os._exit(1)
        tell(str(worker))
        os.waitpid(worker, 0)
        tell("ended")
