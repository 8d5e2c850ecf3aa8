"""Runs on workers of Celery: several machines, their ends, and messages that come twice."""

from crm_pipelines_tests.fixtures.celery import Workers
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox, HubSpotSandbox
from crm_pipelines_tests.fixtures.stack import NAME
from crm_pipelines_tests.patience import wait_until

SYNC = "fetch_queued_contacts"


def test_runs_of_two_destinations_go_side_by_side_each_on_the_machine_of_its_queue(
    workers: Workers, brevo_sandbox: BrevoSandbox, hubspot_sandbox: HubSpotSandbox
) -> None:
    workers.people.add(6, name=NAME)
    workers.hubspot_people.add(6, name=NAME)
    brevo_sandbox.fault("hold", path=DELIVERIES)
    hubspot_sandbox.fault("hold", path="/batch/")
    with workers.machine("brevo") as one, workers.machine("hubspot", "dagster") as other:
        brevo, hubspot = workers.pages.launch(), workers.pages.launch_job("hubspot_sync", SYNC)
        brevo_sandbox.wait_for_requests(1, path=DELIVERIES)
        hubspot_sandbox.wait_for_requests(1, path="/batch/")
        assert one.executes(workers.process_of(brevo))
        assert other.executes(workers.process_of(hubspot))
        for sandbox in (brevo_sandbox, hubspot_sandbox):
            sandbox.clear_faults()
            sandbox.release()
        for run_id, queue in ((brevo, "brevo"), (hubspot, "hubspot")):
            assert workers.pages.wait(run_id, "SUCCESS")["tags"]["dagster-celery/queue"] == queue
    assert workers.people.states() == workers.hubspot_people.states() == {"synced": 6}
    assert len(brevo_sandbox.contacts()) == 12 - len(hubspot_sandbox.contacts()) == 6
