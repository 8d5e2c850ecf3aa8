"""What is checked, in this order: each check leaves the stack as the next one finds it."""

from collections.abc import Callable

from crm_pipelines_tests.containers import data, image, login, mid_run, outside, pages, standing, workers
from crm_pipelines_tests.containers.stack import Stack

Check = Callable[[Stack], str]
"""Returns what was seen, in some words. Raises AssertionError where it is not as promised."""

CHECKS: tuple[Check, ...] = (
    image.the_image_for_several_machines_is_built,
    image.the_image_is_built,
    image.it_holds_neither_secrets_nor_what_only_builds,
    standing.all_are_healthy,
    standing.they_may_do_little,
    standing.ports_are_as_documented,
    data.the_documented_import_takes_the_good_rows,
    data.the_schedule_delivers_them,
    standing.the_sandbox_is_reached_after_a_stop_of_code,
    pages.the_pages_refuse_foreign_pages,
    standing.a_silent_program_is_unhealthy,
    standing.a_second_daemon_is_refused,
    outside.proxy_and_certificates_are_passed_on,
    mid_run.a_stop_lets_the_run_in_flight_end,
    mid_run.an_update_lets_the_run_in_flight_end,
    mid_run.contacts_of_a_killed_code_go_again,
    mid_run.contacts_of_a_run_without_memory_go_again,
    pages.token_api_and_status_page_work,
    data.the_documented_backup_comes_back,
    login.nobody_gets_past_the_login,
    login.whoever_signs_in_reaches_the_pages,
    login.a_browser_signs_in_and_launches_a_run,
    workers.a_worker_of_celery_executes_the_runs,
    workers.contacts_of_a_killed_worker_of_celery_go_again,
)

NEEDED = {image.the_image_is_built, standing.all_are_healthy}
"""Without these the others can say nothing."""
