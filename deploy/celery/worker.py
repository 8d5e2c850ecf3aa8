"""Executes runs that Dagster sends to Celery, one at a time. docs/scaling.md says what a machine with it needs.

`python worker.py` takes the runs of all destinations that the settings name, and those of none, such as the daily
report. `python worker.py brevo` takes those of that queue only; the queue of none is `dagster`.

SIGTERM: the run in flight ends first, which takes 15 minutes at most. Nothing new is begun meanwhile.
"""

import os
import sys

from dagster_celery.app import app
from dagster_celery.defaults import task_default_queue

from crm_pipelines.settings import load_settings


def main() -> None:
    """Work until a signal."""
    url = os.environ.get("CELERY_BROKER_URL")
    if not url:
        sys.exit("CELERY_BROKER_URL is not set: name the Redis that dagster.yaml names, such as redis://host:6379/0.")
    queues = sys.argv[1:] or [task_default_queue, *load_settings().destinations]
    app.conf.update(
        broker_url=url,
        # Without one in Redis, Dagster finds every run's worker dead.
        result_backend=url,
        # However long Redis is away.
        broker_connection_max_retries=None,
        # A Redis that is cut off without a word would be waited for in vain.
        broker_transport_options={"socket_timeout": 10, "socket_connect_timeout": 5},
        redis_socket_timeout=10,
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        # A run that waits behind another one in a busy worker would wait there while other workers are idle.
        worker_disable_prefetch=True,
        # A process that has executed a run ignores SIGTERM afterwards.
        worker_max_tasks_per_child=1,
    )
    name = f"crm-pipelines-{os.getpid()}@%h"
    alone = ["--without-gossip", "--without-mingle"]
    app.worker_main(
        ["worker", "-Ofair", "--loglevel", "INFO", "--queues", ",".join(queues), "--hostname", name, *alone]
    )


if __name__ == "__main__":
    main()
