"""Runs on workers of Celery, beside the stack as the other checks leave it."""

import re
import time

import yaml  # type: ignore[import-untyped]

from crm_pipelines_tests.containers.mid_run import begin_run, delivered_again
from crm_pipelines_tests.containers.stack import IMAGE, Stack, documented
from crm_pipelines_tests.fixtures.compose import ROOT
from crm_pipelines_tests.patience import wait_until

_QUEUED = """
SELECT count(*) FROM runs JOIN run_tags AS queue USING (run_id) JOIN run_tags AS task USING (run_id)
 WHERE queue.key = 'dagster-celery/queue' AND queue.value = 'brevo' AND task.key = 'dagster-celery/task_id'
"""


def a_worker_of_celery_executes_the_runs(stack: Stack) -> str:
    """With two workers, by the documented command; the image gets the packages of cluster.lock."""
    _put_workers_beside(stack)
    stack.add_contacts(3, "worker")
    stack.wait_until_delivered(3, "worker")
    runs = int(stack.sql(_QUEUED, "dagster"))
    wait_until(lambda: sum(map(len, _messages(stack).values())) > 0, "a worker has executed a run", poll_seconds=1)
    assert runs, "none of the runs went to Redis"
    return f"3 contacts; {runs} runs in the queue of their destination"


def contacts_of_a_killed_worker_of_celery_go_again(stack: Stack) -> str:
    """SIGKILL in mid-run to a container that stays dead, as of a machine without power: the other worker goes on."""
    sandbox = begin_run(stack, "powerless")
    [executing] = [worker for worker, messages in _messages(stack).items() if "begun" in messages[-1:]]
    stack.run("docker", "kill", executing)
    began = time.monotonic()
    seen = delivered_again(stack, sandbox, "powerless")
    alive = stack.compose("ps", "--quiet", "--status", "running", "worker").split()
    assert alive
    assert executing not in alive
    twice = sum(times > 1 for times in sandbox.deliveries().values())
    return f"{seen}, by the other worker, {time.monotonic() - began:.0f} s later; {twice} were sent twice"


def _put_workers_beside(stack: Stack) -> None:
    certificates = [f"{stack.folder}/ca.pem:/etc/ca.pem:ro"]
    override = stack.folder / "workers.yml"
    override.write_text(
        yaml.safe_dump({"services": {"worker": {"image": IMAGE, "volumes": certificates}}}), encoding="utf-8"
    )
    stack.files += [ROOT / "deploy" / "celery" / "docker-compose.celery.yml", override]
    stack.settings["REDIS_PASSWORD"] = "letters4nddigits"
    [_, up] = documented("Several machines with Celery", document="scaling.md")
    stack.shell(up)


def _messages(stack: Stack) -> dict[str, list[str]]:
    """What each worker says of runs, by the id of its container: begun or ended, in order."""
    said: dict[str, list[str]] = {}
    for worker in stack.compose("ps", "--all", "--quiet", "worker").split():
        log = stack.run("docker", "logs", worker).stdout
        words = re.findall(r"Task \S+ (received|succeeded|raised)", log)
        said[worker] = ["begun" if word == "received" else "ended" for word in words]
    return said
