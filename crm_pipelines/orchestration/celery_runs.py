"""Runs as tasks of Celery: one worker each, in the queue of their destination. deploy/celery/dagster.yaml names it."""

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG

from crm_pipelines.orchestration.sync.tags import DESTINATION_TAG


class DestinationQueuesLauncher(CeleryRunLauncher):
    """Dagster's launcher for Celery, with a queue per destination, a cancel that sticks, and no end on mere doubt."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Send the run to the queue of its destination; one of all, such as the daily report, to the default one."""
        run = context.dagster_run
        queue = run.tags.get(DESTINATION_TAG)
        if queue and DAGSTER_CELERY_QUEUE_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, {DAGSTER_CELERY_QUEUE_TAG: queue})
            run = run.with_tags({**run.tags, DAGSTER_CELERY_QUEUE_TAG: queue})
        super().launch_run(context._replace(dagster_run=run))

    def terminate(self, run_id: str) -> bool:
        """Stop the run for good.

        Dagster takes a run that ends by a signal for crashed, and executes it again, unless it was told before that
        somebody wants the end. Its other launchers do so; in dagster-celery 0.29 nobody does.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        self._instance.report_run_canceling(run)
        return super().terminate(run_id)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's worker lives, as far as Redis knows.

        A Redis that has lost its memory knows no task, and Dagster fails every started run of which it hears that.
        Whether such a run lives its contacts tell: a tick ends those that give no sign of life.
        """
        health = super().check_run_worker_health(run)
        return CheckRunHealthResult(WorkerStatus.RUNNING) if health.status is WorkerStatus.UNKNOWN else health
