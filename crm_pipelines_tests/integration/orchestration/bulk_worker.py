"""One run of the job in a process of its own, to be killed. Database and sandbox are those of the environment."""

import dagster as dg

from crm_pipelines.orchestration.jobs import brevo_sync

if __name__ == "__main__":
    with dg.DagsterInstance.ephemeral() as instance:
        brevo_sync.execute_in_process(instance=instance)
