"""`make up` that delivers soon after an edit, without a tick of the schedule."""

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.fixtures.stack import NAME, Stack
from crm_pipelines_tests.patience import wait_until

_SENSOR = "brevo_prompt_sensor"


def test_a_selection_and_an_edit_arrive_without_a_tick_and_idleness_starts_no_run(
    stack_down: Stack, stack_sandbox: BrevoSandbox
) -> None:
    if stack_down.data.exists():
        stack_down.wipe()  # what became of runs of other tests would be a reason to rest
    stack_down.start(BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES="1440", BREVO_SYNC_PROMPT_SECONDS="10")
    try:
        [contact_id] = stack_down.people.add(name=NAME)
        wait_until(lambda: stack_down.people.states() == {"synced": 1}, "the selection is delivered")
        stack_down.pages.wait_for_idle()  # of an edit during a run, the follow-up sensor would take care
        stack_down.people.run("UPDATE contacts SET name = 'Zuleika Quux' WHERE id = :id", id=contact_id)
        wait_until(lambda: _first_names(stack_sandbox) == ["Zuleika"], "the edit is delivered")
        stack_down.pages.wait_for_idle()

        runs = stack_down.pages.runs()
        assert {(run["tags"].get("dagster/sensor_name"), run["status"]) for run in runs} == {(_SENSOR, "SUCCESS")}
        seen = {tick["timestamp"] for tick in stack_down.pages.sensor_ticks(_SENSOR)}
        wait_until(
            lambda: len({tick["timestamp"] for tick in stack_down.pages.sensor_ticks(_SENSOR)} - seen) >= 2,
            "the sensor has looked twice more",
        )
        assert len(stack_down.pages.runs()) == len(runs)
    finally:
        stack_down.cut_power()  # the next test starts it as it is without this


def _first_names(sandbox: BrevoSandbox) -> list[str]:
    return [one["attributes"]["FIRSTNAME"] for one in sandbox.contacts()]
