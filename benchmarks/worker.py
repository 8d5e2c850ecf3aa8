"""One measured run of a CRM's job in a process of its own; prints its figures as JSON.

Arguments: the CRM, at most this many contacts (0: all), and `stages` to measure those. Environment: CRM_DATABASE_URL,
DAGSTER_POSTGRES_URL, DAGSTER_HOME, and the CRM's own.
"""

import json
import resource
import sys
import time

import dagster as dg

from crm_pipelines.orchestration.sync.run_now import run_now


def main() -> None:
    stages: dict[str, list[float]] = {}
    if "stages" in sys.argv[3:]:
        from benchmarks.stages import Stopwatch

        stages = Stopwatch().seconds
    began_at = time.time()
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    result = run_now(sys.argv[1], limit=int(sys.argv[2]) or None)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    if not result.success:
        sys.exit(f"The run failed: {result.problem}")
    with dg.DagsterInstance.get() as instance:
        stats = instance.get_run_stats(result.run_id)
        events = len(instance.all_logs(result.run_id))
        steps = instance.get_run_step_stats(result.run_id)
    first = min(step.start_time for step in steps if step.start_time)
    last = max(step.end_time for step in steps if step.end_time)
    print(  # noqa: T201 - the answer to the process that measures
        json.dumps(
            {
                "run_id": result.run_id,
                "counts": result.counts,
                "began_at": began_at,
                "seconds": seconds,
                "ops_seconds": last - first,
                "run_seconds": (stats.end_time or 0.0) - (stats.start_time or 0.0),
                "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                "peak_mb": after.ru_maxrss / 1024,
                "events": events,
                "stages": stages,
            }
        )
    )


if __name__ == "__main__":
    main()
