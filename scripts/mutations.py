"""The guards of the protocol: how each is removed, and which tests must notice. mutation_check.py tries them."""

from dataclasses import dataclass

_QUEUE_SQL = "crm_pipelines/queue/claims.sql"
_HUBSPOT_TESTS = "crm_pipelines_tests/integration/crms/test_hubspot.py"
_HUBSPOT_RUNS = "crm_pipelines_tests/integration/orchestration/test_hubspot_sync.py"
_N8N_UNIT = "crm_pipelines_tests/unit/crms/test_n8n.py"
_N8N_TESTS = "crm_pipelines_tests/integration/crms/test_n8n.py"
_ONE_TRUTH = "crm_pipelines_tests/integration/test_one_truth.py"
_STATUS_CLI = "crm_pipelines_tests/integration/cli/test_cli.py"
_OPERATOR_JOBS = "crm_pipelines_tests/integration/orchestration/test_operator_jobs.py"
_N8N_RUNS = "crm_pipelines_tests/integration/orchestration/test_n8n_sync.py"
_VARIABLES = "crm_pipelines_tests/unit/test_settings.py"
_MAUTIC = "crm_pipelines/crms/mautic"
_MAUTIC_TESTS = "crm_pipelines_tests/integration/crms/test_mautic.py"
_MAUTIC_UNIT = "crm_pipelines_tests/unit/crms/test_mautic_values.py"
_MAUTIC_LOG_TESTS = "crm_pipelines_tests/integration/sandbox/mautic/test_tokens_limits_and_log.py"
_FIGURES_TESTS = "crm_pipelines_tests/integration/statistics/test_status.py"
_COURIER = "crm_pipelines/delivery/single/courier.py"
_UNKNOWN = "crm_pipelines_tests/integration/queue/test_unknown.py"
_ONCE = "crm_pipelines_tests/integration/delivery/test_at_most_once.py"
_SELECTION = "crm_pipelines_tests/integration/contacts/test_selection.py"
_COURIER_TESTS = "crm_pipelines_tests/integration/delivery/test_courier.py"
_MANY = "crm_pipelines_tests/integration/delivery/test_many.py"
_HALVING_TESTS = "crm_pipelines_tests/unit/delivery/test_halving.py"
_CLAIM_COST = "crm_pipelines_tests/integration/queue/test_claim_cost.py"
_PROTOCOL = "crm_pipelines_tests/integration/queue/test_protocol.py"
_DEPARTURES = "crm_pipelines/delivery/pace/departures.py"
_DEPARTURE_TESTS = "crm_pipelines_tests/unit/delivery/test_departures.py"
_FENCE_TESTS = "crm_pipelines_tests/unit/delivery/test_fence.py"
_GUARDS = "crm_pipelines_tests/system/chaos/test_guards.py"
_CELERY = "crm_pipelines/orchestration/celery_runs.py"
_CELERY_RUNS = "crm_pipelines_tests/integration/orchestration/test_celery_runs.py"
_PROMPT = "crm_pipelines/orchestration/sync/prompting.py"
_PROMPT_TESTS = "crm_pipelines_tests/integration/orchestration/test_prompting.py"
_FOLLOW_UP = "crm_pipelines/orchestration/sync/following.py"
_GATE_TESTS = "crm_pipelines_tests/integration/destinations/test_gate.py"
_MATRIX = "crm_pipelines_tests/system/chaos/test_kill_matrix.py"
_RUNS = "crm_pipelines_tests/integration/orchestration/test_brevo_sync.py"
_BULK = "crm_pipelines_tests/integration/orchestration/test_bulk.py"
_BULK_AHEAD = "crm_pipelines_tests/integration/orchestration/test_bulk_ahead.py"
_FOLLOWING = "crm_pipelines_tests/integration/orchestration/test_following.py"
_RUN_ENDS = "crm_pipelines_tests/integration/orchestration/test_run_ends.py"
_SCHEDULE = "crm_pipelines_tests/integration/orchestration/test_schedule.py"
_SHARED_INSTANCE = "crm_pipelines_tests/integration/orchestration/test_shared_instance.py"
_UPSTREAM = "crm_pipelines/orchestration/sync/upstream.py"
_UPSTREAM_TESTS = "crm_pipelines_tests/integration/orchestration/test_upstream.py"
_PRUNING = "crm_pipelines_tests/integration/orchestration/test_pruning.py"
_CHECKS = "crm_pipelines_tests/integration/orchestration/test_checks.py"
_ACCESS = "crm_pipelines_tests/integration/api/test_access.py"
_WRITING = "crm_pipelines_tests/integration/api/test_writing.py"
_SIGNING_IN = "crm_pipelines_tests/integration/pages/test_signing_in.py"
_INTENTS = "crm_pipelines_tests/integration/delivery/test_intents.py"
_PREFLIGHT_TURNS = "crm_pipelines_tests/integration/delivery/test_preflight_turns.py"
_RINGS = "crm_pipelines_tests/integration/delivery/test_address_rings.py"
_TWINS = "crm_pipelines_tests/integration/contacts/test_twins.py"
_ADDRESS_TESTS = "crm_pipelines_tests/integration/contacts/test_addresses.py"
_ADDRESSES_SQL = "crm_pipelines/database/migrations/versions/0017_addresses.sql"
_TWINS_SQL = "crm_pipelines/database/migrations/versions/0017_twins.sql"
_DELAYS_SQL = "crm_pipelines/database/migrations/versions/0030_delays.sql"
_DELAYS = "crm_pipelines_tests/integration/queue/test_delays.py"
_DELAY_FIGURES = "crm_pipelines/statistics/delays.sql"
_ALERTS = "crm_pipelines_tests/integration/orchestration/test_alert_sensors.py"
_FINDINGS = "crm_pipelines/orchestration/watching/findings.py"
_SENT_KEYS_SQL = "crm_pipelines/database/migrations/versions/0026_sent_keys.sql"
_TWO = "crm_pipelines_tests/integration/queue/test_two_processes.py"
_PROVED = "crm_pipelines_tests/integration/queue/test_proved.py"
_TENDING = "crm_pipelines_tests/integration/queue/test_bulk_tending.py"
_EXECUTED_TWICE = "crm_pipelines_tests/system/test_executed_twice.py"
_STOPS = "crm_pipelines/orchestration/sync/stops.py"
_STOPS_TESTS = "crm_pipelines_tests/integration/orchestration/test_stops.py"
_IMPORTS_SQL = "crm_pipelines/queue/bulk_imports.sql"
_RELEASE_SKIPS = """\
       FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', claimed_by = NULL, lease_until = NULL, delivery"""
_REFUSED = "crm_pipelines_tests/integration/orchestration/test_refused.py"
_RESCUE_OF_IMPORTS = """\
            OR claimed_by IN (SELECT 'import:' || id FROM crm_bulk_imports
                               WHERE crm = :crm AND state = 'ended' AND ended_at > now() - interval '1 day')
"""
_HELD = " AND s.claim_no = d.claim_no AND s.state = 'claimed'\n"
_LOCKS = "crm_pipelines_tests/integration/delivery/test_locks.py"
_BLIND = "crm_pipelines_tests/integration/orchestration/test_never_blind.py"
_COMPLETENESS = "crm_pipelines/delivery/account/completeness.py"
_PAGES = "crm_pipelines_tests/integration/pages/test_pages.py"
_MIGRATE = "crm_pipelines_tests/integration/database/test_migrate.py"
_BARE_PAGES = "crm_pipelines_tests/integration/pages/test_pages_of_bare_destination.py"
_CLI_DESTINATIONS = "crm_pipelines_tests/integration/cli/test_destinations.py"
_OPS = "crm_pipelines/orchestration/sync/ops.py"
_LAUNCH_CONFIG = "crm_pipelines_tests/integration/orchestration/test_launch_config.py"
_STALE = "crm_pipelines_tests/integration/contacts/test_stale.py"
_SENDING = "crm_pipelines/orchestration/sync/sending.py"
_TAKING = "crm_pipelines/orchestration/sync/taking.py"
_FILLING = "crm_pipelines/delivery/bulk/filling.py"
_BULK_SENDING = "crm_pipelines/delivery/bulk/sending.py"
_CONFIRMING = "crm_pipelines/delivery/bulk/confirming.py"
_LOOKS = "crm_pipelines_tests/integration/orchestration/test_bulk_looks.py"
_SCANNING = "crm_pipelines/delivery/bulk/scanning.py"
_CRM_SESSION = "crm_pipelines/delivery/pace/session.py"
_LEFT_OUT = "crm_pipelines_tests/integration/orchestration/test_left_out.py"
_LITERALS = "crm_pipelines/database/literals.py"
_LITERAL_TESTS = "crm_pipelines_tests/integration/database/test_literals.py"
_SUPPRESSED = "crm_pipelines_tests/integration/queue/test_suppressed.py"
_UNPROVED = "crm_pipelines_tests/integration/queue/test_unproved.py"
_PHONES = "crm_pipelines/crms/phones.py"
_PHONE_TESTS = "crm_pipelines_tests/unit/crms/test_phones.py"
_NUMERALS = "crm_pipelines/crms/numerals.py"
_DAYS = "crm_pipelines/crms/days.py"
_MAPPING = "crm_pipelines/crms/mapping.py"
_WANTED = "crm_pipelines/crms/wanted.py"
_ANSWERS = "crm_pipelines/crms/answers.py"
_PREFLIGHT = "crm_pipelines/crms/brevo/preflight.py"
_NORMALIZE_TESTS = "crm_pipelines_tests/unit/crms/test_normalize.py"
_ATTRIBUTE_TESTS = "crm_pipelines_tests/unit/crms/test_brevo_attributes.py"
_VALUES = "crm_pipelines_tests/integration/crms/test_brevo_values.py"
_ATTRIBUTES_SQL = "crm_pipelines/destinations/attributes.sql"
_UPSERT = "crm_pipelines/crms/brevo/upsert.py"
_FOLLOWS = "crm_pipelines/orchestration/sync/following.py"
_SESSION = "crm_pipelines/api/pages/session.py"
_DESTINATIONS_SQL = "crm_pipelines/destinations/registered.sql"
_NOTICE_SQL = "crm_pipelines/database/migrations/versions/0021_destinations.sql"
_DESTINATION_TESTS = "crm_pipelines_tests/integration/destinations/test_destinations.py"
_GATES_SQL = "crm_pipelines/destinations/gates.sql"
_GATES = "crm_pipelines/destinations/gates.py"
_COMMANDS = "crm_pipelines_tests/integration/cli/test_destinations.py"
_VARIABLES = "crm_pipelines_tests/unit/test_settings.py"
_EMBEDDED_ERRORS = "crm_pipelines_tests/integration/local/embedded/test_errors.py"
_RESTORED = "crm_pipelines_tests/integration/destinations/test_restored_gate.py"
_DATABASES = "crm_pipelines_tests/integration/local/test_databases.py"
_BACKUPS = "crm_pipelines_tests/integration/local/test_backups.py"
_ACCOUNTS = "crm_pipelines/delivery/account/identity.py"
_OPENING = "crm_pipelines/delivery/account/opening.py"
_TWO_DESTINATIONS = "crm_pipelines_tests/integration/delivery/test_two_destinations.py"
_ACCOUNT_TESTS = "crm_pipelines_tests/integration/orchestration/test_accounts.py"
_ACCOUNT_CHANGE = (
    "crm_pipelines_tests/system/chaos/test_account_change.py"
    "::test_nothing_that_a_woken_worker_of_the_former_account_did_counts"
)
_OURS_TESTS = "crm_pipelines_tests/integration/crms/test_brevo_ours.py"

_LISTS = "crm_pipelines_tests/integration/crms/test_brevo_lists_and_marks.py"
_SUPPRESSIONS = "crm_pipelines_tests/integration/contacts/test_suppressions.py"
_SPELT_OTHERWISE = "test_who_was_suppressed_by_sql_and_comes_back_with_the_domain_spelt_otherwise_is_not_sent"
_OFF_THE_LIST = "test_who_is_off_the_list_since_an_import_of_which_nothing_is_known_is_put_back_by_no_other"
_REJECTS = "crm_pipelines/files/rejects.py"
_REJECTS_TESTS = "crm_pipelines_tests/integration/files/test_import_rejects.py"
_FORECAST_SQL = "crm_pipelines/files/forecast.sql"
_FORECAST_TESTS = "crm_pipelines_tests/integration/files/test_import_forecast.py"
_CLI_IMPORTING = "crm_pipelines_tests/integration/cli/test_importing.py"
_MEANT_TESTS = "crm_pipelines_tests/unit/files/test_meant_columns.py"
_FORMAT_TESTS = "crm_pipelines_tests/unit/crms/test_formats.py"
_TAKEN_TESTS = "crm_pipelines_tests/integration/database/test_taken_names.py"
_IMPORTING_TESTS = "crm_pipelines_tests/integration/files/test_importing.py"
_NAMES = "crm_pipelines_tests/integration/contacts/test_names.py"
_NAMES_SQL = "crm_pipelines/database/migrations/versions/0018_names.sql"
_ROUND_TRIPS = "crm_pipelines_tests/integration/files/test_round_trips.py"
_QUOTING = "crm_pipelines/files/quoting.py"
_CSV_TESTS = "crm_pipelines_tests/unit/files/test_csv_files.py"
_XLSX_TESTS = "crm_pipelines_tests/unit/files/test_xlsx_files.py"
_ENCODING_TESTS = "crm_pipelines_tests/unit/files/test_encodings.py"
_CONSENT_SQL = "crm_pipelines/database/migrations/versions/0012_consent.sql"
_STAYS_SUPPRESSED = """
       AND NOT (s.state = 'skipped' AND s.last_error_kind = 'suppressed')
    RETURNING s.contact_id;
"""
_SESSIONS_SQL = "crm_pipelines/access/sessions.sql"
_API_DESTINATIONS = "crm_pipelines/api/destinations.py"
_NAMED = "crm_pipelines_tests/integration/api/test_destinations.py"
_DESTINATION_PAGES = "crm_pipelines_tests/integration/pages/test_pages_of_destinations.py"
_DAGSTER_PAGE = "crm_pipelines/api/dagster_page.py"
_DAGSTER_PAGE_TESTS = "crm_pipelines_tests/integration/api/test_dagster_page.py"

_ENRICHING = "crm_pipelines/contacts/enriching.py"
_ENRICHMENTS_SQL = "crm_pipelines/contacts/enrichments.sql"
_WEBHOOK = "crm_pipelines/api/n8n.py"
_ENRICHMENT_RUNS = "crm_pipelines_tests/integration/orchestration/test_enrichment.py"
_WEBHOOK_TESTS = "crm_pipelines_tests/integration/api/test_n8n.py"
_ENRICHING_TESTS = "crm_pipelines_tests/integration/contacts/test_enriching.py"
_ROUND = "crm_pipelines_tests/integration/orchestration/test_enrichment.py"

_CONFORMANCE = "crm_pipelines_tests/conformance"
_OF_ACCOUNTS = f"{_CONFORMANCE}/test_accounts.py"
_OF_CONSENT = f"{_CONFORMANCE}/test_consent.py"
_OF_TURNS = f"{_CONFORMANCE}/test_turns.py"
_ENDPOINT = "crm_pipelines_tests/integration/orchestration/test_import_endpoint.py"
_SETTINGS_TESTS = "crm_pipelines_tests/integration/orchestration/test_settings_refused.py"
_TURNS = "crm_pipelines_tests/integration/orchestration/test_turns.py"
_PLANNING = "crm_pipelines/delivery/planning.py"
_LOOKING = "crm_pipelines/crms/brevo/looking.py"
_OUTCOMES = "crm_pipelines/crms/brevo/outcomes.py"
_GATEKEEPING = "crm_pipelines/delivery/pace/gatekeeping.py"
_RATES = "crm_pipelines/delivery/pace/rates.py"
_RATES_TESTS = "crm_pipelines_tests/unit/delivery/test_rates.py"
_SHARED = "crm_pipelines_tests/integration/queue/test_shared_requests.py"
_TALLY_TESTS = "crm_pipelines_tests/unit/delivery/test_tally.py"
_WINDOWS = "crm_pipelines_tests/integration/delivery/test_rate_windows.py"
_BULK_PY = "crm_pipelines/crms/brevo/bulk.py"
_REFUSED_IN_BULK = (_CRM_SESSION, "if outcome.result is not Result.REFUSED:", "if True:")
_ENDED_RUNS = "crm_pipelines/orchestration/sync/ended_runs.py"
_BULK_STOPS = "crm_pipelines_tests/integration/orchestration/test_bulk_stops.py"
_PUT_FIRST = "crm_pipelines_tests/integration/orchestration/test_put_first.py"
_LAUNCHING = "crm_pipelines/orchestration/sync/launching.py"
_DESTINATIONS = "crm_pipelines_tests/integration/orchestration/test_destinations.py"
_SCHEDULES = "crm_pipelines/orchestration/sync/schedules.py"
_DATABASE = "crm_pipelines/database/migrating.py"
_DATABASE_TESTS = "crm_pipelines_tests/integration/database/test_database.py"
_UPSERT_SQL = "crm_pipelines/database/migrations/versions/0019_upsert.sql"
_UPSERT_TESTS = "crm_pipelines_tests/integration/contacts/test_upsert.py"
_CONNECTING = "crm_pipelines/database/connecting.py"
_CONNECTING_TESTS = "crm_pipelines_tests/integration/database/test_connecting.py"
_BEHIND_A_POOLER = f"{_CONNECTING_TESTS}::test_behind_a_pooler_the_settings_hold_in_every_transaction_and_in_no_session"
_BRIEF_LOCKS = "crm_pipelines/database/migrations/versions/0015_brief_locks.py"
_OTHERS_GO_ON = (
    f"{_DATABASE_TESTS}::test_while_an_upgrade_waits_for_somebodys_transaction_the_statements_of_others_go_on"
)

_GATE_CHECK = """\
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
"""
_CLAIM = """WITH picked AS MATERIALIZED (
    SELECT contact_id, run_at FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id, lease_until = now() + :lease
  FROM picked p WHERE s.contact_id = p.contact_id AND s.crm = :crm
RETURNING s.contact_id, s.claim_no, p.run_at
"""
_CLAIM_BY_SUBSELECT = """UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id,
       lease_until = now() + :lease
 WHERE s.crm = :crm AND s.contact_id IN (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
RETURNING s.contact_id, s.claim_no, s.run_at
"""


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One guard: how it is removed (file, text, replacement), and the tests of which one must go red."""

    guard: str
    changes: tuple[tuple[str, str, str], ...]
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        guard="cancel: Dagster knows that a run on a worker of Celery is cancelled before its process is stopped",
        changes=((_CELERY, "        self._instance.report_run_canceling(run)\n", ""),),
        tests=(
            f"{_CELERY_RUNS}::test_a_run_that_somebody_cancels_is_known_to_be_cancelled_before_its_process_hears_of_it",
        ),
    ),
    Mutation(
        guard="gate: an answer of the database that comes late makes no slot late",
        changes=(
            (
                "crm_pipelines/destinations/gates.py",
                " - self._clocks.lateness(rows[0].moment)\n        return",
                "\n        return",
            ),
        ),
        tests=(f"{_GATE_TESTS}::test_an_answer_that_comes_late_makes_no_slot_late",),
    ),
    Mutation(
        guard="pace: a request that left late holds back those after it",
        changes=(("crm_pipelines/delivery/pace/pacing.py", "                leave_by(self._departures.leave)\n", ""),),
        tests=(_DEPARTURE_TESTS,),
    ),
    Mutation(
        guard="pace: what is just leaving has not left before",
        changes=((_DEPARTURES, "others = most - self._leaving", "others = most"),),
        tests=(f"{_DEPARTURE_TESTS}::test_no_second_holds_more_departures_than_the_limit_however_late_they_are",),
    ),
    Mutation(
        guard="pace: a departure is when the bytes were gone, not when they were to go",
        changes=(
            (
                _DEPARTURES,
                "            if delay <= 0:\n                self._leaving += 1\n",
                "            if delay <= 0:\n                self._leaving += 1\n                self._now = now\n",
            ),
            (_DEPARTURES, "self._left.append(self._clock())", "self._left.append(self._now)"),
        ),
        tests=(f"{_DEPARTURE_TESTS}::test_no_second_holds_more_departures_than_the_limit_however_late_they_are",),
    ),
    Mutation(
        guard="pace: requests leave as their turn says",
        changes=(("crm_pipelines/crms/transport.py", "        with leaving():\n", "        with suppress():\n"),),
        tests=(
            "crm_pipelines_tests/integration/crms/test_transport.py::test_a_request_that_has_its_turn_leaves_as_told",
        ),
    ),
    Mutation(
        guard="gate: the clocks were compared before the first slots",
        changes=(("crm_pipelines/destinations/gates.py", "        self._clocks.compare(row.moment)  #", "        #"),),
        tests=(f"{_GATE_TESTS}::test_an_answer_that_comes_late_makes_no_slot_late[read]",),
    ),
    Mutation(
        guard="workers: a Redis that knows nothing of a run's task does not end the run",
        changes=((_CELERY, "if health.status is WorkerStatus.UNKNOWN else health", "if False else health"),),
        tests=(f"{_CELERY_RUNS}::test_a_run_of_which_redis_knows_nothing_is_not_ended",),
    ),
    Mutation(
        guard="intent: before a request, the hash of the last confirmed delivery is forgotten",
        changes=((_QUEUE_SQL, "    payload_hash = NULL,\n    sent_key", "    sent_key"),),
        tests=(f"{_INTENTS}::test_a_former_value_is_sent_again_after_a_request_whose_answer_was_lost",),
    ),
    Mutation(
        guard="intent: what an import is about to tell is written down, too",
        changes=(
            (
                _FILLING,
                "self.session.patiently(partial(self.queue.intend, told))",
                "{one.claim.contact_id for one in told}",
            ),
        ),
        tests=(
            f"{_BULK}::test_former_values_are_sent_again_after_an_import_whose_answer_was_lost",
            f"{_BULK}::test_former_values_are_sent_again_after_an_import_that_was_not_seen_to_arrive",
            f"{_BULK}::test_former_values_are_sent_again_after_a_worker_died_with_its_import",
        ),
    ),
    Mutation(
        guard="intent: of whom it cannot be written down what is sent is in no import",
        changes=((_FILLING, "if row.claim.contact_id not in intended]", "if False]"),),
        tests=(f"{_BULK}::test_whose_row_is_held_by_an_edit_that_brings_a_former_value_back_is_in_no_import",),
    ),
    Mutation(
        guard="lists: who is off the list since an import of which nothing is known is in no other",
        changes=((_FILLING, "return bool(seen) and off_list(prepared.payload.external_id) in seen", "return False"),),
        tests=(f"{_BULK}::test_who_is_off_the_list_since_an_import_of_which_nothing_is_known_is_put_back_by_no_other",),
    ),
    Mutation(
        guard="intent: an attribute that may have arrived is one that can be cleared",
        changes=((_QUEUE_SQL, " UNION SELECT unnest(d.names) ORDER BY 1", ""),),
        tests=(f"{_INTENTS}::test_an_attribute_of_a_request_whose_answer_was_lost_is_cleared_when_it_is_blank_again",),
    ),
    Mutation(
        guard="intent: an address that the contact may have at the CRM is remembered",
        changes=((_QUEUE_SQL, "ELSE s.maybe_keys || d.key END", "ELSE s.maybe_keys END"),),
        tests=(
            f"{_INTENTS}::test_a_former_address_is_restored_after_a_change_whose_answer_was_lost",
            f"{_INTENTS}::test_nobody_takes_over_an_address_under_which_the_crm_may_hold_somebody_else",
        ),
    ),
    Mutation(
        guard="intent: only for a claim that is still held",
        changes=(
            (
                _QUEUE_SQL,
                " AND claim_no = d.claim_no AND state = 'claimed'\n                       FOR NO KEY UPDATE",
                "\n                       FOR NO KEY UPDATE",
            ),
        ),
        tests=(f"{_INTENTS}::test_what_is_held_by_somebody_else_is_not_sent_and_keeps_what_is_known",),
    ),
    Mutation(
        guard="addresses: a former one of a contact whose first delivery was not confirmed is remembered",
        changes=((_SENT_KEYS_SQL, "remote_key IS NULL AND sent_key", "false AND sent_key"),),
        tests=(f"{_RINGS}::test_a_ring_of_contacts_whose_first_delivery_was_not_confirmed_arrives_too",),
    ),
    Mutation(
        guard="addresses: of contacts that wait for each other one gives way",
        changes=(("crm_pipelines/delivery/preparing.py", "if delivery.gives_way and", "if False and"),),
        tests=(f"{_RINGS}::test_contacts_that_pass_their_addresses_on_in_a_ring_all_arrive",),
    ),
    Mutation(
        guard="addresses: who holds one is known by its normal form",
        changes=((_QUEUE_SQL, "coalesce(c.address, crm_address(c.email)) AS address", "lower(c.email) AS address"),),
        tests=(
            f"{_RINGS}::test_who_takes_over_an_address_that_is_sent_in_another_spelling_waits_for_its_turn",
            f"{_RINGS}::test_a_swap_of_addresses_that_are_sent_in_another_spelling_arrives",
        ),
    ),
    Mutation(
        guard="addresses: a twin is not sent",
        changes=(("crm_pipelines/delivery/preparing.py", "if other := delivery.same_as:", "if other := None:"),),
        tests=(f"{_TWINS}::test_however_a_twin_gets_into_the_queue_again_it_is_not_sent",),
    ),
    Mutation(
        guard="addresses: what is stored is the normal form, whatever is written",
        changes=((_ADDRESSES_SQL, "OR NEW.address IS NOT NULL AND NEW.address IS DISTINCT FROM OLD.address", ""),),
        tests=(f"{_ADDRESS_TESTS}::test_the_form_is_kept_by_the_database_whatever_is_written_to_it",),
    ),
    Mutation(
        guard="addresses: a change waits for no entry about the contact",
        changes=(
            (
                "crm_pipelines/database/migrations/versions/0017_addresses.py",
                '"crm_contacts (address) WHERE address IS NOT NULL"',
                '"crm_contacts (address)"',
            ),
        ),
        tests=(
            f"{_ADDRESS_TESTS}::test_the_index_does_not_make_a_change_of_an_address_wait_for_entries_about_the_contact",
        ),
    ),
    Mutation(
        guard="addresses: a free one is the next twin's",
        changes=(
            (
                _TWINS_SQL,
                "AFTER DELETE ON crm_contacts\n    FOR EACH ROW WHEN (OLD.address IS NOT NULL)",
                "AFTER DELETE ON crm_contacts\n    FOR EACH ROW WHEN (false)",
            ),
        ),
        tests=(
            f"{_TWINS}::test_when_the_address_is_free_the_next_twin_is_an_ordinary_contact_and_goes_where_it_was_kept_from_going",
        ),
    ),
    Mutation(
        guard="addresses: who is suppressed is known by the normal form",
        changes=(
            (
                _TWINS_SQL,
                "unnest(ARRAY[crm_address(c.email), lower(btrim(c.email))])",
                "unnest(ARRAY[lower(btrim(c.email))])",
            ),
        ),
        tests=(f"{_TWINS}::test_nobody_who_is_suppressed_becomes_sendable",),
    ),
    Mutation(
        guard="addresses: nobody gets the entry of somebody who was taken back",
        changes=(("crm_pipelines/delivery/preparing.py", '    "unselected": "is not', '    "nobody": "is not'),),
        tests=(f"{_RINGS}::test_nobody_gets_the_entry_of_somebody_who_was_taken_back",),
    ),
    Mutation(
        guard="never send: asked in each spelling of the address",
        changes=(
            (
                "crm_pipelines/delivery/preparing.py",
                "forms_of(one.payload.key) for one in ready",
                "{one.payload.key} for one in ready",
            ),
        ),
        tests=(f"{_SUPPRESSIONS}::{_SPELT_OTHERWISE}",),
    ),
    Mutation(
        guard="locks: a renewal skips who is held",
        changes=(
            (
                _QUEUE_SQL,
                "       FOR NO KEY UPDATE OF s SKIP LOCKED\n), renewed",
                "       FOR NO KEY UPDATE OF s\n), renewed",
            ),
        ),
        tests=(f"{_LOCKS}::test_no_step_of_the_protocol_waits_for_a_lock",),
    ),
    Mutation(
        guard="locks: an intent skips who is held",
        changes=(
            (
                _QUEUE_SQL,
                "                       FOR NO KEY UPDATE SKIP LOCKED) s\n)\nUPDATE crm_syncs s SET\n    payload_hash",
                "                       FOR NO KEY UPDATE) s\n)\nUPDATE crm_syncs s SET\n    payload_hash",
            ),
        ),
        tests=(f"{_LOCKS}::test_no_step_of_the_protocol_waits_for_a_lock",),
    ),
    Mutation(
        guard="locks: the ledger skips who is held",
        changes=((_QUEUE_SQL, "FOR KEY SHARE SKIP LOCKED\n)\nSELECT c.id", "FOR KEY SHARE\n)\nSELECT c.id"),),
        tests=(f"{_LOCKS}::test_no_step_of_the_protocol_waits_for_a_lock",),
    ),
    Mutation(
        guard="locks: carrying over skips who is held",
        changes=(
            (
                _QUEUE_SQL,
                "       FOR NO KEY UPDATE OF s SKIP LOCKED\n), changed",
                "       FOR NO KEY UPDATE OF s\n), changed",
            ),
        ),
        tests=(f"{_LOCKS}::test_no_step_of_the_protocol_waits_for_a_lock",),
    ),
    Mutation(
        guard="locks: giving back skips who is held",
        changes=((_QUEUE_SQL, _RELEASE_SKIPS, _RELEASE_SKIPS.replace(" SKIP LOCKED", "")),),
        tests=(f"{_LOCKS}::test_no_step_of_the_protocol_waits_for_a_lock",),
    ),
    Mutation(
        guard="locks: a confirmation skips who is held",
        changes=(
            (
                _IMPORTS_SQL,
                "(ARRAY(SELECT contact_id FROM sent)) FOR KEY SHARE SKIP LOCKED",
                "(ARRAY(SELECT contact_id FROM sent)) FOR KEY SHARE",
            ),
        ),
        tests=(f"{_LOCKS}::test_who_is_held_during_an_import_waits_alone",),
    ),
    Mutation(
        guard="locks: what an import that is over left behind returns",
        changes=((_QUEUE_SQL, _RESCUE_OF_IMPORTS, ""),),
        tests=(f"{_LOCKS}::test_who_is_held_during_an_import_waits_alone",),
    ),
    Mutation(
        guard="gate: a page that is no answer of the CRM's closes nothing for the key",
        changes=(("crm_pipelines/crms/brevo/outcomes.py", "if (status in {402, 403, 406} and not code) or (", "if ("),),
        tests=("crm_pipelines_tests/unit/crms/test_brevo_outcomes.py",),
    ),
    Mutation(
        guard="gate: who is refused alone is charged",
        changes=(
            (
                "crm_pipelines/delivery/pace/gatekeeping.py",
                "            queue.pass_over_refused(state.changed_at, policy)\n",
                "",
            ),
        ),
        tests=(f"{_REFUSED}::test_a_contact_that_is_refused_alone_is_given_up_in_time_and_its_neighbours_arrive",),
    ),
    Mutation(
        guard="gate: while nobody gets through, nobody is charged",
        changes=((_QUEUE_SQL, "attempts = s.attempts + r.charged::int", "attempts = s.attempts + 1"),),
        tests=(f"{_REFUSED}::test_while_the_account_may_not_write_at_all_nobody_is_charged",),
    ),
    Mutation(
        guard="age: who is put off is as old as when first due",
        changes=(
            (_QUEUE_SQL, "THEN coalesce(s.due_since, s.run_at) END,\n        run_at", "THEN NULL END,\n        run_at"),
        ),
        tests=(f"{_INTENTS}::test_a_contact_that_is_put_off_again_and_again_grows_old",),
    ),
    Mutation(
        guard="age: who is given back is as old as when first due",
        changes=((_QUEUE_SQL, "due_since = coalesce(s.due_since, s.run_at), run_at = greatest", "run_at = greatest"),),
        tests=(f"{_INTENTS}::test_a_contact_that_is_given_back_again_and_again_grows_old",),
    ),
    Mutation(
        guard="schedule: an edit that its trigger missed is work",
        changes=(("crm_pipelines/orchestration/sync/schedules.py", " or queue.anything_edited():", ":"),),
        tests=(f"{_SCHEDULE}::test_an_edit_that_ends_after_its_contact_was_delivered_is_work",),
    ),
    Mutation(
        guard="edits: a run has time to find those that the trigger missed on a day with millions",
        changes=(("crm_pipelines/queue/claims.py", "            connection.execute(_NO_HURRY)\n", ""),),
        tests=(f"{_CLAIM_COST}::test_a_run_may_take_its_time_to_find_edits_that_their_trigger_missed",),
    ),
    Mutation(
        guard="edits: a tick looks at the latest only",
        changes=((_QUEUE_SQL, "ORDER BY updated_at DESC LIMIT :most", "ORDER BY updated_at DESC LIMIT 1000 * :most"),),
        tests=(f"{_CLAIM_COST}::test_a_tick_looks_at_no_more_edits_however_many_a_day_has",),
    ),
    Mutation(
        guard="imports: what one gives back, the next one of the run does not pass over",
        changes=(
            ("crm_pipelines/queue/bulk_imports.py", "        self._floor = _START\n        with", "        with"),
        ),
        tests=(f"{_CLAIM_COST}::test_what_an_import_gives_back_the_next_one_of_the_run_finds",),
    ),
    Mutation(
        guard="stop: signals in a row end the sending, too",
        changes=(
            (
                "crm_pipelines/delivery/signals.py",
                "with deferred(halt), ThreadPoolExecutor(",
                "with ThreadPoolExecutor(",
            ),
        ),
        tests=(
            f"{_COURIER_TESTS}::test_stop_signals_end_the_sending_also_those_that_come_while_one_is_being_dealt_with",
        ),
    ),
    Mutation(
        guard="together: who was taken over is in no request with the others",
        changes=(
            (
                _COURIER,
                "[one for one in sendables if by_id[one.external_id].contact_id in ours]",
                "list(sendables) if ours else []",
            ),
        ),
        tests=(f"{_MANY}::test_who_is_taken_over_right_before_the_request_is_not_in_it_and_the_others_are",),
    ),
    Mutation(
        guard="together: a refusal without a word for whom is nobody's outcome",
        changes=(
            (
                _COURIER,
                "if contact.outcome is not None and not contact.outcome.whole:",
                "if contact.outcome is not None:",
            ),
        ),
        tests=(f"{_MANY}::test_when_the_gate_closes_between_halves_nobody_is_refused_who_was_not_alone",),
    ),
    Mutation(
        guard="together: a refusal of the whole that befell one contact is its own",
        changes=((_COURIER, "outcome.whole for outcome in outcomes) > 1:", "outcome.whole for outcome in outcomes):"),),
        tests=(f"{_MANY}::test_a_refusal_of_the_whole_of_one_contact_is_that_contacts_own",),
    ),
    Mutation(
        guard="together: what was refused whole is sent again in halves",
        changes=((_COURIER, "if len(refused) > 1:", "if len(refused) > 100:"),),
        tests=(f"{_MANY}::test_of_a_hundred_that_are_refused_for_one_the_others_arrive_with_thirteen_requests_more",),
    ),
    Mutation(
        guard="together: the half that must hold the culprit is not sent whole",
        changes=(("crm_pipelines/delivery/single/halving.py", "if again or len(second) == 1:", "if True:"),),
        tests=(f"{_HALVING_TESTS}::test_of_a_hundred_one_culprit_is_found_with_thirteen_further_requests",),
    ),
    Mutation(
        guard="intents: what another contact is confirmed to have is not ours",
        changes=((_QUEUE_SQL, "o.remote_key = k AND o.contact_id <> s.contact_id", "false"),),
        tests=(
            f"{_HUBSPOT_RUNS}::test_who_was_once_given_the_address_of_another_contact_is_not_written_over_that_one",
        ),
    ),
    Mutation(
        guard="together: who is asked to wait is not sent apart",
        changes=(
            (
                _COURIER,
                "                        again.append(contact)\n                        continue\n",
                "                        again.append(contact)\n",
            ),
        ),
        tests=(f"{_MANY}::test_who_is_asked_to_wait_each_time_is_sent_four_times_and_has_one_outcome",),
    ),
    Mutation(
        guard="together: one refusal for rate is one pause",
        changes=(
            (
                _GATEKEEPING,
                "told.setdefault((outcome.result, outcome.kind, outcome.retry_after), outcome)",
                "told[number] = outcome",
            ),
        ),
        tests=(f"{_MANY}::test_a_refusal_for_rate_of_all_is_one_pause_and_all_are_sent_again_once",),
    ),
    Mutation(
        guard="together: no outcome is missing",
        changes=((_COURIER, "if len(outcomes) != len(contacts):", "if len(outcomes) > len(contacts):"),),
        tests=(f"{_MANY}::test_a_module_that_loses_one_of_a_hundred_costs_that_one_an_attempt_and_nobody_else",),
    ),
    Mutation(
        guard="together: a defect of ours is no failure of the CRM, however many contacts it befell",
        changes=((_GATEKEEPING, "elif outcome.requests:", "elif not outcome.shared:"),),
        tests=(f"{_MANY}::test_a_defect_for_one_of_a_hundred_costs_that_one_an_attempt_and_nobody_else",),
    ),
    Mutation(
        guard="together: a look at a hundred that fails is one failure",
        changes=(
            (
                "crm_pipelines/delivery/fidelity.py",
                "for outcome in dict.fromkeys(outcome for outcome, _ in found):",
                "for outcome, _ in found:",
            ),
        ),
        tests=(
            f"{_HUBSPOT_RUNS}::test_one_request_of_the_fidelity_check_that_fails_is_one_failure_and_the_check_goes_on",
        ),
    ),
    Mutation(
        guard="together: who was in a request that must not be repeated is not sent again after a defect",
        changes=((_COURIER, "if sent and not self._crm.repeatable:", "if not self._crm.repeatable and not sent:"),),
        tests=(
            f"{_MANY}::test_who_was_in_a_request_that_must_not_be_repeated_is_not_known_after_a_defect_and_not_sent_again",
        ),
    ),
    Mutation(
        guard="fence: an outcome counts only with the current claim_no",
        changes=((_QUEUE_SQL, "AND s.claim_no = o.claim_no\n", "\n"),),
        tests=(f"{_PROTOCOL}::test_nobody_completes_without_the_current_claim",),
    ),
    Mutation(
        guard="fence: a lease is renewed only with the current claim_no",
        changes=(
            (_QUEUE_SQL, _HELD + "), free AS", " AND s.state = 'claimed'\n), free AS"),
            (
                _QUEUE_SQL,
                _HELD + "       FOR NO KEY UPDATE OF s SKIP LOCKED\n), renewed",
                " AND s.state = 'claimed'\n       FOR NO KEY UPDATE OF s SKIP LOCKED\n), renewed",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_nobody_completes_without_the_current_claim",),
    ),
    Mutation(
        guard="two processes: of those who know a claim one begins",
        changes=((_QUEUE_SQL, "SET claim_no = f.claim_no, lease_until", "SET lease_until"),),
        tests=(f"{_TWO}::test_of_those_who_know_a_claim_one_begins_and_the_others_can_do_nothing_with_it",),
    ),
    Mutation(
        guard="two processes: a begin whose answer was lost may be repeated",
        changes=(
            (_QUEUE_SQL, "s.claim_no IN (d.claim_no, d.claim_no + CAST(:leap AS bigint))", "s.claim_no = d.claim_no"),
        ),
        tests=(f"{_TWO}::test_who_begins_again_for_want_of_an_answer_finds_its_own",),
    ),
    Mutation(
        guard="two processes: nothing is given back that the other one delivers",
        changes=(
            (
                _QUEUE_SQL,
                "AND (s.contact_id, s.claim_no) IN (SELECT",
                "AND true OR (s.contact_id, s.claim_no) IN (SELECT",
            ),
        ),
        tests=(f"{_TWO}::test_a_process_gives_back_nothing_that_another_one_of_its_run_delivers",),
    ),
    Mutation(
        guard="two processes: each counts its own outcomes",
        changes=((_QUEUE_SQL, "       AND (CAST(:claim_nos AS bigint[]) IS NULL\n", "       AND (true\n"),),
        tests=(f"{_TWO}::test_a_process_counts_the_outcomes_of_its_own_claims_alone",),
    ),
    Mutation(
        guard="two processes: no two draw the same number",
        changes=(("crm_pipelines/delivery/fence.py", "1 + secrets.randbelow(_LEAPS)", "1"),),
        tests=(f"{_FENCE_TESTS}::test_what_begins_has_numbers_that_stood_in_no_file",),
    ),
    Mutation(
        guard="two processes: a batch is that of the process itself, not what the other one has put into the folder",
        changes=(
            (
                "crm_pipelines/orchestration/sync/own_batches.py",
                "return self._own[identifier] if identifier in self._own else",
                "return",
            ),
        ),
        tests=(f"{_EXECUTED_TWICE}::test_with_one_folder",),
    ),
    Mutation(
        guard="two processes: an import is taken in hand by one",
        changes=(
            (
                _IMPORTS_SQL,
                "OR i.tended_by = :tender OR",
                "OR split_part(i.tended_by, '/', 1) = split_part(:tender, '/', 1) OR",
            ),
        ),
        tests=(
            f"{_TENDING}::test_an_import_that_somebody_looks_after_is_taken_in_hand_by_no_other_process_of_the_run",
        ),
    ),
    Mutation(
        guard="two processes: an import is sent by the one that puts it together",
        changes=(
            (_IMPORTS_SQL, " WHERE i.id = :id AND i.tended_by = :tender AND i.state", " WHERE i.id = :id AND i.state"),
        ),
        tests=(f"{_TENDING}::test_an_import_that_is_put_together_is_sent_by_no_other_process_of_the_run",),
    ),
    Mutation(
        guard="bulk: who slept and lost an import gives up none of its contacts",
        changes=((_IMPORTS_SQL, "WHERE id = :id AND tended_by = :tender\n), next", "WHERE id = :id\n), next"),),
        tests=(f"{_TENDING}::test_who_slept_and_lost_an_import_says_nothing_of_its_contacts",),
    ),
    Mutation(
        guard="proved: an edit since the claim is left to apply",
        changes=(
            (
                _IMPORTS_SQL,
                "AND claimed_by = (SELECT holder FROM import) AND revision = k.revision\n",
                "AND claimed_by = (SELECT holder FROM import)\n",
            ),
        ),
        tests=(f"{_PROVED}::test_when_something_has_happened_since_the_claim_apply_decides",),
    ),
    Mutation(
        guard="proved: who was taken over is not delivered at once",
        changes=(
            (
                _IMPORTS_SQL,
                "AND crm = :crm AND claim_no = k.claim_no\n                       AND claimed_by",
                "AND crm = :crm\n                       AND claimed_by",
            ),
        ),
        tests=(f"{_PROVED}::test_when_something_has_happened_since_the_claim_apply_decides",),
    ),
    Mutation(
        guard="proved: other attributes at the account are left to apply",
        changes=((_IMPORTS_SQL, "t.crm = :crm AND t.version <> (SELECT", "false AND t.version <> (SELECT"),),
        tests=(f"{_PROVED}::test_when_something_has_happened_since_the_claim_apply_decides",),
    ),
    Mutation(
        guard="proved: what a workflow found is left to apply",
        changes=(
            (
                _IMPORTS_SQL,
                "(ARRAY(SELECT contact_id FROM kept)) AND crm = :crm)",
                "(ARRAY(SELECT contact_id FROM kept)) AND false)",
            ),
        ),
        tests=(f"{_PROVED}::test_when_something_has_happened_since_the_claim_apply_decides",),
    ),
    Mutation(
        guard="proved: who is held up is not waited for",
        changes=(
            (
                _IMPORTS_SQL,
                "                       FOR NO KEY UPDATE SKIP LOCKED) s\n     WHERE NOT EXISTS",
                "                       FOR NO KEY UPDATE) s\n     WHERE NOT EXISTS",
            ),
        ),
        tests=(f"{_PROVED}::test_what_is_set_at_once_is_what_apply_would_have_set",),
    ),
    Mutation(
        guard="proved: an outage of before is forgotten",
        changes=(
            (
                _IMPORTS_SQL,
                "last_http_status = NULL,\n        last_attempt_at = now()",
                "last_attempt_at = now()",
            ),
        ),
        tests=(f"{_PROVED}::test_what_is_set_at_once_is_what_apply_would_have_set",),
    ),
    Mutation(
        guard="proved: the delay is told of who is delivered at once",
        changes=((_IMPORTS_SQL, "THEN now() END, c.wanted_since", "THEN now() END, NULL"),),
        tests=(f"{_PROVED}::test_what_is_set_at_once_is_what_apply_would_have_set",),
    ),
    Mutation(
        guard="proved: who is delivered at once waits no longer",
        changes=((_IMPORTS_SQL, "due_since = NULL, wanted_since = NULL, synced", "due_since = NULL, synced"),),
        tests=(f"{_PROVED}::test_what_is_set_at_once_is_what_apply_would_have_set",),
    ),
    Mutation(
        guard="proved: what was recorded is counted though the answer was lost",
        changes=(("crm_pipelines/delivery/bulk/sending.py", ".unaccounted > 0:", ".unaccounted < 0:"),),
        tests=(f"{_BULK}::test_what_was_recorded_is_counted_though_the_answer_of_the_database_was_lost",),
    ),
    Mutation(
        guard="attributes: nothing is settled by a run that does not know them",
        changes=(
            (
                "crm_pipelines/delivery/account/completeness.py",
                "    if not account.schema_known:\n        return\n",
                "",
            ),
        ),
        tests=(f"{_BLIND}::test_a_run_that_was_told_nothing_of_the_account_settles_nothing",),
    ),
    Mutation(
        guard="session: datestyle is ours",
        changes=(("crm_pipelines/database/connecting.py", '    "datestyle": "ISO",\n', ""),),
        tests=(f"{_CONNECTING_TESTS}::test_a_database_that_writes_values_in_its_own_style_is_read_all_the_same",),
    ),
    Mutation(
        guard="session: intervalstyle is ours",
        changes=(("crm_pipelines/database/connecting.py", '    "intervalstyle": "postgres",\n', ""),),
        tests=(f"{_CONNECTING_TESTS}::test_a_database_that_writes_values_in_its_own_style_is_read_all_the_same",),
    ),
    Mutation(
        guard="session: array_nulls is ours",
        changes=(("crm_pipelines/database/connecting.py", '    "array_nulls": "on",\n', ""),),
        tests=(f"{_CONNECTING_TESTS}::test_a_database_that_writes_values_in_its_own_style_is_read_all_the_same",),
    ),
    Mutation(
        guard="errors: what stands below the first line is not kept",
        changes=(("crm_pipelines/database/connecting.py", 'partition("\\n")[0]', 'partition("\\nDETAIL:")[0]'),),
        tests=("crm_pipelines_tests/integration/database/test_first_lines.py",),
    ),
    Mutation(
        guard="errors: a copy that failed is a statement that failed",
        changes=(("crm_pipelines/database/copying.py", "except psycopg.Error as", "except psycopg.Warning as"),),
        tests=("crm_pipelines_tests/integration/database/test_first_lines.py",),
    ),
    Mutation(
        guard="errors: nor is what a copy quotes",
        changes=(("crm_pipelines/database/copying.py", "        keep_first_line(error)\n", ""),),
        tests=("crm_pipelines_tests/integration/database/test_first_lines.py",),
    ),
    Mutation(
        guard="looks: what was read ahead is not waited for",
        changes=(
            (
                _BULK_SENDING,
                "        self._end_those_seen()\n        while self._open",
                "        while self._open",
            ),
        ),
        tests=(f"{_LOOKS}::test_of_imports_of_which_all_was_read_ahead_nothing_is_waited_for",),
    ),
    Mutation(
        guard="looks: what of arrivals was seen ahead counts",
        changes=((_BULK_SENDING, "            self._saw(page.count)\n", ""),),
        tests=(f"{_LOOKS}::test_the_time_in_which_pages_are_read_ahead_counts_as_waiting_for_more",),
    ),
    Mutation(
        guard="looks: what was sent a moment ago is waited for",
        changes=((_BULK_SENDING, "                    self._stall.sent(time.monotonic())\n", ""),),
        tests=(f"{_LOOKS}::test_the_time_in_which_an_import_is_put_together_does_not",),
    ),
    Mutation(
        guard="looks: what came between the count and the pages is read once",
        changes=((_BULK_SENDING, "if changed != progress.read and", "if changed > before and"),),
        tests=(f"{_LOOKS}::test_what_came_between_the_count_and_the_pages_is_not_read_again_nor_waited_for",),
    ),
    Mutation(
        guard="looks: what others write to the account is not read without a pause",
        changes=(
            ("crm_pipelines/delivery/bulk/sending.py", "0.0 if self.confirmer.seen > seen else _LONGEST_PAUSE", "0.0"),
        ),
        tests=(f"{_LOOKS}::test_who_else_writes_to_the_account_all_the_time_costs_few_requests",),
    ),
    Mutation(
        guard="stop: the process that is told to end says so",
        changes=((_OPS, "        tell_stopped(context.run_id, context.instance)\n        if not", "        if not"),),
        tests=(
            f"{_STOPS_TESTS}::test_a_run_that_is_cancelled_within_its_delivery_is_not_retried_though_its_worker_dies_before_the_end",
        ),
    ),
    Mutation(
        guard="stop: so does one that is told between two ops",
        changes=(
            (
                "crm_pipelines/orchestration/resources.py",
                "interrupted = isinstance(sys.exc_info()[1], INTERRUPTIONS)",
                "interrupted = False",
            ),
        ),
        tests=(
            f"{_STOPS_TESTS}::test_a_run_that_was_told_to_end_is_not_retried_though_its_launcher_wrote_nothing_down",
        ),
    ),
    Mutation(
        guard="stop: at whatever moment the op that takes contacts is told to end, it is not tried again",
        changes=(
            (
                _OPS,
                "@dg.op(\n    out=dg.Dyn",
                "@dg.op(\n    retry_policy=dg.RetryPolicy(max_retries=2, delay=5),\n    out=dg.Dyn",
            ),
            (
                _OPS,
                "    except INTERRUPTIONS:\n        destination.stopped = True\n        note",
                "    except ZeroDivisionError:\n        destination.stopped = True\n        note",
            ),
        ),
        tests=(
            f"{_STOPS_TESTS}::test_a_run_that_is_told_to_end_at_any_moment_sends_no_more_and_holds_nobody",
            f"{_RUN_ENDS}::test_a_run_cancelled_while_it_claims_does_not_begin_anew",
        ),
    ),
    Mutation(
        guard="stop: told to end between two ops, a run gives back what it holds, whoever told it",
        changes=(
            (
                "crm_pipelines/orchestration/resources.py",
                "if interrupted or is_being_cancelled(",
                "if is_being_cancelled(",
            ),
        ),
        tests=(
            f"{_STOPS_TESTS}::test_a_run_that_was_told_to_end_is_not_retried_though_its_launcher_wrote_nothing_down",
        ),
    ),
    Mutation(
        guard="stop: a signal over which a library stumbles ends the run",
        changes=(("crm_pipelines/orchestration/resources.py", "if interruption is None:", "if True:"),),
        tests=(f"{_STOPS_TESTS}::test_a_signal_that_a_library_stumbles_over_ends_the_run_as_any_other",),
    ),
    Mutation(
        guard="stop: nor is the statement repeated within which it came",
        changes=(("crm_pipelines/database/retrying.py", " or interruption_behind(error) is not None", ""),),
        tests=(f"{_CONNECTING_TESTS}::test_what_a_stop_signal_has_left_of_a_connection_is_not_tried_again",),
    ),
    Mutation(
        guard="stop: two signals at once stop the sending",
        changes=(("crm_pipelines/delivery/signals.py", "        if first:", "        if len(noted) == 1:"),),
        tests=(f"{_STOPS_TESTS}::test_two_signals_at_once_stop_what_goes_on",),
    ),
    Mutation(
        guard="stop: a second signal waits until all is given back",
        changes=(("crm_pipelines/delivery/account/opening.py", "with deferred(lambda: None):", "if True:"),),
        tests=(f"{_STOPS_TESTS}::test_a_second_signal_keeps_nobody_taken",),
    ),
    Mutation(
        guard="stop: a retry of a stopped run sends nothing",
        changes=(
            (
                _OPS,
                "        if repeats_a_stopped_run(context.run, context.instance):\n            context.log",
                "        if False:\n            context.log",
            ),
        ),
        tests=(f"{_STOPS_TESTS}::test_a_retry_of_a_run_that_somebody_stopped_sends_nothing_and_says_why",),
    ),
    Mutation(
        guard="stop: a run that was told to end alarms nobody, and ends no alert",
        changes=((_STOPS, "return bool(run.tags.get(STOPPED_TAG))", "return False"),),
        tests=(
            f"{_STOPS_TESTS}::test_of_a_run_that_was_told_to_end_nobody_is_alarmed",
            f"{_STOPS_TESTS}::test_a_retry_that_sends_nothing_is_no_success_for_health",
        ),
    ),
    Mutation(
        guard="stop: a cancelled run that does not end is no failure",
        changes=(
            (
                "crm_pipelines/orchestration/sync/ended_runs.py",
                "cancelled = record.dagster_run.status is dg.DagsterRunStatus.CANCELING",
                "cancelled = False",
            ),
        ),
        tests=(
            f"{_SHARED_INSTANCE}::test_without_run_monitoring_a_run_that_never_begins_or_ends_holds_nobody_up_for_ever",
        ),
    ),
    Mutation(
        guard="stop: what is executed again by hand sends",
        changes=(
            (_STOPS, "if parent is None or parent.tags.get(_AUTO_RETRY_TAG) != run.run_id:", "if parent is None:"),
        ),
        tests=(f"{_STOPS_TESTS}::test_who_executes_a_stopped_run_again_by_hand_wants_it_to_send",),
    ),
    Mutation(
        guard="stop: a run whose time was up was stopped by nobody",
        changes=((_STOPS, "not asked.startswith(_TIME_IS_UP)", "True"),),
        tests=(f"{_STOPS_TESTS}::test_a_run_whose_time_was_up_is_retried_as_dagster_sees_fit",),
    ),
    Mutation(
        guard="revision: only the present one makes a contact synced",
        changes=(
            (
                _QUEUE_SQL,
                "('synced', 'unchanged') THEN CASE WHEN s.revision = o.revision THEN 'synced' ELSE 'queued' END",
                "('synced', 'unchanged') THEN 'synced'",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_an_edit_during_delivery_is_delivered_afterwards",),
    ),
    Mutation(
        guard="self-fence: what is no longer held is not sent",
        changes=(("crm_pipelines/delivery/fence.py", "self._claims.keys() & set(contact_ids)", "set(contact_ids)"),),
        tests=(_FENCE_TESTS, f"{_MATRIX}::test_woken_after_its_lease_a_worker_overwrites_nothing[before_fence]"),
    ),
    Mutation(
        guard="TRUST: a renewal counts for seconds only",
        changes=(
            (
                "crm_pipelines/delivery/fence.py",
                "while self._age() > TRUST.total_seconds():",
                "while self._age() == float('inf'):",
            ),
        ),
        tests=(_FENCE_TESTS, f"{_MATRIX}::test_woken_after_its_lease_a_worker_overwrites_nothing[before_fence]"),
    ),
    Mutation(
        guard="suspect lane: who may have killed a worker is not among the others",
        changes=((_QUEUE_SQL, "run_at <= now() AND crashes = 0\n", "run_at <= now()\n"),),
        tests=(f"{_PROTOCOL}::test_a_crash_is_charged_only_to_contacts_that_were_being_delivered",),
    ),
    Mutation(
        guard="suspect lane: one at a time",
        changes=((_SENDING, '{"alone": courier.deliver_one_at_a_time,', '{"alone": courier.deliver,'),),
        tests=(
            f"{_GUARDS}::test_a_poison_contact_takes_no_neighbour_with_it",
            f"{_RUNS}::test_crash_suspects_are_delivered_one_at_a_time",
        ),
    ),
    Mutation(
        guard="MATERIALIZED: a claim never takes more than it was asked for",
        changes=((_QUEUE_SQL, _CLAIM, _CLAIM_BY_SUBSELECT),),
        tests=(
            f"{_PROTOCOL}::test_a_claim_never_exceeds_its_limit_under_a_nested_loop_plan",
            f"{_GUARDS}::test_a_claim_never_takes_more_than_its_limit_under_any_plan",
        ),
    ),
    Mutation(
        guard="rescue: a row that somebody is just completing is let be",
        changes=(
            (
                _QUEUE_SQL,
                "     FOR NO KEY UPDATE SKIP LOCKED\n)\nUPDATE crm_syncs s SET\n    state = CASE WHEN l.unknown",
                ")\nUPDATE crm_syncs s SET\n    state = CASE WHEN l.unknown",
            ),
            (
                _QUEUE_SQL,
                "FROM lost l WHERE s.contact_id = l.contact_id AND s.crm = :crm AND s.state = 'claimed'",
                "FROM lost l WHERE s.contact_id = l.contact_id AND s.crm = :crm",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_a_rescue_never_changes_a_contact_that_was_completed_meanwhile",),
    ),
    Mutation(
        guard="rescue: what the ledger knows is carried over first, whoever's run it was",
        changes=((_TAKING, ", *queue.silent_runs()", ""),),
        tests=(
            f"{_MATRIX}::test_killed_at_any_step_nothing_is_lost_and_each_contact_is_sent_twice_at_most[after_record]",
        ),
    ),
    Mutation(
        guard="hash: only a confirmed delivery moves it",
        changes=(
            (
                "crm_pipelines/delivery/preparing.py",
                "payload_hash=prepared.payload.hash if synced and not outcome.left_out else None",
                "payload_hash=prepared.payload.hash",
            ),
            (
                _QUEUE_SQL,
                "CASE WHEN o.outcome = 'synced' THEN o.payload_hash ELSE s.payload_hash END",
                "coalesce(o.payload_hash, s.payload_hash)",
            ),
        ),
        tests=(f"{_GUARDS}::test_an_update_that_failed_is_sent_again",),
    ),
    Mutation(
        guard="sums: a claimed contact whose fate is unknown fails the run",
        changes=((_OPS, "    if totals.unaccounted:\n", "    if False:\n"),),
        tests=(f"{_GUARDS}::test_a_run_fails_when_the_fate_of_a_contact_is_unknown",),
    ),
    Mutation(
        guard="gate: nothing is claimed while it is paused",
        changes=(
            (
                _QUEUE_SQL,
                f" AND crashes = 0\n{_GATE_CHECK}",
                " AND crashes = 0\n",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_nothing_is_claimed_while_the_gate_is_paused",),
    ),
    Mutation(
        guard="stop signals: nothing is raised between an answer and its entry in the ledger",
        changes=(
            (
                "crm_pipelines/delivery/signals.py",
                "with deferred(halt), ThreadPoolExecutor(",
                "with ThreadPoolExecutor(",
            ),
            (
                "crm_pipelines/delivery/signals.py",
                "        working = pool.submit(work)\n",
                "        return work()\n        working = pool.submit(work)\n",
            ),
        ),
        tests=(f"{_GUARDS}::test_stop_signals_in_a_row_lose_no_answer",),
    ),
    Mutation(
        guard="consent: whom the scan saw on a block-list goes into no import",
        changes=((_FILLING, " or not seen.isdisjoint(row.identifiers)", ""),),
        tests=(f"{_BULK}::test_nobody_is_told_and_nobody_is_subscribed_again_even_if_imports_do_so",),
    ),
    Mutation(
        guard="consent: no import without a complete scan",
        changes=((_IMPORTS_SQL, " AND w.completed_at IS NOT NULL", ""),),
        tests=(f"{_BULK}::test_no_import_is_sent_without_a_complete_and_young_scan",),
    ),
    Mutation(
        guard="consent: a deletion during the scan is noticed",
        changes=((_SCANNING, "page.contacts[0].remote_id != last.remote_id", "False"),),
        tests=(f"{_BULK}::test_an_account_from_which_contacts_vanish_during_the_scan_gets_no_import",),
    ),
    Mutation(
        guard="a backlog that does not shrink is left to the schedule",
        changes=(
            (
                _FOLLOWS,
                "if found is not None and int(left) >= int(found) and was_short:",
                "if False:",
            ),
        ),
        tests=(f"{_FOLLOWING}::test_a_backlog_that_does_not_shrink_is_left_to_the_schedule",),
    ),
    Mutation(
        guard="consent: no import after a scan that was long ago",
        changes=(
            (
                _IMPORTS_SQL,
                "w.begun_at > now() - CAST(:scan_trust AS interval)",
                "w.begun_at > now() - 1000 * CAST(:scan_trust AS interval)",
            ),
        ),
        tests=(f"{_BULK}::test_no_import_is_sent_without_a_complete_and_young_scan",),
    ),
    Mutation(
        guard="consent: no import when the scan did not come to the end of the account",
        changes=((_SCANNING, "if full or seen < count:", "if False:"),),
        tests=(f"{_BULK}::test_an_account_that_cannot_be_scanned_gets_no_import",),
    ),
    Mutation(
        guard="consent: the blocked are known by phone number and by our id as well",
        changes=(
            (
                "crm_pipelines/crms/brevo/bulk.py",
                "identifiers=_identifiers(payload.key, known),",
                "identifiers=_identifiers(payload.key, {}),",
            ),
        ),
        tests=(f"{_BULK}::test_a_blocked_contact_is_known_by_its_phone_and_by_our_id_as_well",),
    ),
    Mutation(
        guard="imports: only what was seen as it was sent is delivered",
        changes=(
            (
                _CONFIRMING,
                "if self.bulk.proof(one, told.names) == told.proof:",
                "if True:",
            ),
        ),
        tests=(f"{_BULK}::test_what_arrives_otherwise_than_it_was_sent_is_not_complete",),
    ),
    Mutation(
        guard="imports: no more are taken ahead than the run may take",
        changes=((_FILLING, "min(most, body.room // _ROOM_AHEAD)", "body.room // _ROOM_AHEAD"),),
        tests=(f"{_BULK_AHEAD}::test_no_more_are_taken_ahead_than_the_run_may_take",),
    ),
    Mutation(
        guard="imports: what was taken ahead and is given back is counted once",
        changes=((_FILLING, "body.taken += len(claims)", "body.taken += 0"),),
        tests=(f"{_BULK_AHEAD}::test_what_was_taken_ahead_is_queued_again_when_the_import_is_given_up",),
    ),
    Mutation(
        guard="imports: what went singly is not given back with the import",
        changes=((_FILLING, "body.let_go += len(apart)", "body.let_go += 0"),),
        tests=(f"{_BULK_AHEAD}::test_what_went_singly_is_not_counted_again_when_the_import_is_given_up",),
    ),
    Mutation(
        guard="imports: who is there before the answer to the import is not passed over",
        changes=((_BULK_SENDING, "        yield from newer\n", ""),),
        tests=(
            f"{_BULK_AHEAD}::test_contacts_that_are_there_before_the_answer_to_their_import_are_recorded_where_they_are_read",
        ),
    ),
    Mutation(
        guard="imports: pages that are recorded together count in their order",
        changes=((_CONFIRMING, "under_way.popleft()", "under_way.pop()"),),
        tests=(f"{_BULK_AHEAD}::test_two_pages_are_recorded_at_once_and_count_in_their_order",),
    ),
    Mutation(
        guard="looks: no more of them than the bucket holds",
        changes=(
            (
                _GATES_SQL,
                "AND (aside_full_at <= clock_timestamp() + (:most - :reserve - 1) * CAST(:refill AS interval)",
                "AND (:reserve >= 0",
            ),
        ),
        tests=(
            f"{_GATE_TESTS}::test_in_no_hour_there_are_more_requests_aside_than_the_crm_allows",
            f"{_LOOKS}::test_in_a_long_backlog_with_refused_rows_the_crm_is_not_asked_more_often_than_it_allows",
        ),
    ),
    Mutation(
        guard="looks: the last of the bucket are for what cannot wait",
        changes=((_GATES_SQL, "(:most - :reserve - 1)", "(:most - 0 * :reserve - 1)"),),
        tests=(f"{_GATE_TESTS}::test_looks_at_imports_come_out_of_a_bucket_and_leave_its_reserve_to_others",),
    ),
    Mutation(
        guard="looks: a check is counted as well",
        changes=(("crm_pipelines/delivery/account/preflight.py", "    count_aside(gate, account.crm)\n", ""),),
        tests=(f"{_PREFLIGHT_TURNS}::test_checks_and_questions_whose_account_it_is_leave_fewer_looks_at_imports",),
    ),
    Mutation(
        guard="looks: a question whose account it is is counted as well",
        changes=((_ACCOUNTS, "    count_aside(gate, crm)\n", ""),),
        tests=(f"{_PREFLIGHT_TURNS}::test_checks_and_questions_whose_account_it_is_leave_fewer_looks_at_imports",),
    ),
    Mutation(
        guard="looks: what others have left of the allowance counts",
        changes=((_CONFIRMING, "rate.remaining > aside.reserve", "True"),),
        tests=(f"{_LOOKS}::test_when_others_have_used_up_the_allowance_nobody_looks_before_it_is_there_again",),
    ),
    Mutation(
        guard="looks: a refusal for rate ends them until the reset",
        changes=(
            (_CONFIRMING, "if (pause := self._used_up_for(outcome)) is not None:", "if (pause := None) is not None:"),
        ),
        tests=(f"{_LOOKS}::test_a_refusal_for_rate_of_a_look_holds_up_looks_alone",),
    ),
    Mutation(
        guard="imports: nobody is given up before whom somebody came in",
        changes=((_CONFIRMING, "last is not None and last.remote_id == progress.last", "last is not None"),),
        tests=(f"{_LOOKS}::test_nobody_is_given_up_who_was_not_looked_for",),
    ),
    Mutation(
        guard="imports: nobody is given up after whom somebody was deleted",
        changes=(
            (
                _CONFIRMING,
                "last is not None and last.remote_id == progress.last",
                "last is None or last.remote_id == progress.last",
            ),
        ),
        tests=(f"{_LOOKS}::test_nobody_is_given_up_who_was_not_looked_for",),
    ),
    Mutation(
        guard="imports: nobody is given up who was not yet as sent when the page was read",
        changes=(
            (
                _CONFIRMING,
                "partial(self.imports.expected, one.id, others)",
                "partial(self.imports.expected, one.id, [])",
            ),
        ),
        tests=(f"{_LOOKS}::test_nobody_is_given_up_who_was_not_looked_for",),
    ),
    Mutation(
        guard="imports: nobody is given up who changed before the pages that were read begin",
        changes=((_CONFIRMING, "any(one.modified_since != progress.since for one in imports)", "not imports"),),
        tests=(f"{_LOOKS}::test_nobody_is_given_up_who_was_not_looked_for",),
    ),
    Mutation(
        guard="imports: a run does not wait for a look that it may not make",
        changes=((_BULK_SENDING, "if not self._settle() and nearly_all:", "if not self._settle() and False:"),),
        tests=(f"{_LOOKS}::test_when_others_have_used_up_the_allowance_nobody_looks_before_it_is_there_again",),
    ),
    Mutation(
        guard="imports: nobody is given up whom somebody's transaction held when the page was read",
        changes=((_CONFIRMING, "if proved.contacts == len(confirmed):", "if confirmed:"),),
        tests=(f"{_LOOKS}::test_a_contact_that_somebody_held_when_its_page_was_read_is_read_again",),
    ),
    Mutation(
        guard="imports: a worker that was away does not send",
        changes=((_BULK_SENDING, "if elapsed_clock() - asked_at > planning.TRUST.total_seconds():", "if False:"),),
        tests=(f"{_BULK}::test_a_worker_that_was_away_before_it_could_send_does_not_send",),
    ),
    Mutation(
        guard="imports: what was taken over meanwhile is not sent",
        changes=((_IMPORTS_SQL, "AND s.claim_no = r.claim_no AND s.state = 'claimed' OFFSET 0", "OFFSET 0"),),
        tests=(f"{_BULK}::test_a_contact_taken_back_while_the_import_was_prepared_is_not_in_it",),
    ),
    Mutation(
        guard="executed again: nothing is sent on the claims of another run",
        changes=((_OPS, "if batch.claims and batch.run_id != context.run_id:", "if False:"),),
        tests=(
            f"{_RUN_ENDS}::test_a_run_executed_again_from_its_failed_delivery_sends_nothing_on_claims_of_the_dead_run",
        ),
    ),
    Mutation(
        guard="cancelled between two ops: the claims are given back",
        changes=(
            (
                "crm_pipelines/orchestration/resources.py",
                "if interrupted or is_being_cancelled(run_id, context.instance):",
                "if False:",
            ),
        ),
        tests=(f"{_RUN_ENDS}::test_a_run_cancelled_between_two_ops_gives_its_claims_back",),
    ),
    Mutation(
        guard="contacts are taken at another try",
        changes=((_OPS, "        raise dg.RetryRequested(", "        raise\n        raise dg.RetryRequested("),),
        tests=(f"{_RUN_ENDS}::test_contacts_are_taken_at_the_third_try_at_the_latest",),
    ),
    Mutation(
        guard="stopped in mid send: no further batch begins",
        changes=((_OPS, "        if not destination.stopped:\n", "        if True:\n"),),
        tests=(
            f"{_RUN_ENDS}::test_a_run_stopped_in_mid_send_says_in_one_sentence_and_in_its_tag_what_became_of_its_contacts",
        ),
    ),
    Mutation(
        guard="interrupted, and stopped by nobody: Dagster sees it",
        changes=((_OPS, "if not is_being_cancelled(context.run_id, context.instance):", "if False:"),),
        tests=(f"{_RUN_ENDS}::test_a_run_that_is_interrupted_though_nobody_stopped_it_is_dagsters_to_judge",),
    ),
    Mutation(
        guard="executed again: what the former run came to is not said of this one",
        changes=(
            (
                "crm_pipelines/orchestration/sync/tags.py",
                "if found := inherited.keys() & run.tags.keys():",
                "if found := set[str]():",
            ),
        ),
        tests=(f"{_RUN_ENDS}::test_a_run_that_is_executed_again_begins_without_what_the_former_one_came_to",),
    ),
    Mutation(
        guard="launch config that makes no sense: there is no run",
        changes=(("crm_pipelines/orchestration/launch_config.py", "        if problems:\n", "        if False:\n"),),
        tests=(f"{_LAUNCH_CONFIG}::test_what_makes_no_sense_is_refused_and_no_run_is_made",),
    ),
    Mutation(
        guard="stale: whoever was sent with any other mapping is found",
        changes=(
            (
                "crm_pipelines/contacts/selection.sql",
                "mapping_version > CAST(:stale AS text)\n\n-- name: count_stale",
                "mapping_version > CAST(:stale AS text) AND false\n\n-- name: count_stale",
            ),
        ),
        tests=(f"{_STALE}::test_those_of_another_mapping_are_counted_and_queued_and_nobody_else",),
    ),
    Mutation(
        guard="a run without a sign of life holds nobody up",
        changes=(
            (
                "crm_pipelines/orchestration/sync/schedules.py",
                "if not bury_if_dead(context.instance, record, account.queue)]",
                "]",
            ),
        ),
        tests=(f"{_SCHEDULE}::test_a_run_without_a_sign_of_life_is_reported_as_failed_and_followed",),
    ),
    Mutation(
        guard="a run without a sign of life is ended between ticks, too",
        changes=((_FOLLOW_UP, "        bury(context.instance, record)", "        pass"),),
        tests=(
            f"{_FOLLOWING}::test_runs_whose_workers_have_vanished_are_ended_between_ticks_also_while_the_schedule_is_off",
        ),
    ),
    Mutation(
        guard="a run is not called dead between ticks after one look",
        changes=((_FOLLOW_UP, "if record.dagster_run.run_id in found_before]", "]"),),
        tests=(f"{_FOLLOWING}::test_a_run_that_shows_that_it_lives_before_the_second_look_is_left_alone",),
    ),
    Mutation(
        guard="a run that renews its leases is not called dead",
        changes=(
            (
                "crm_pipelines/orchestration/sync/ended_runs.py",
                " and not queue.is_delivering(record.dagster_run.run_id)",
                "",
            ),
        ),
        tests=(f"{_SCHEDULE}::test_a_run_that_renews_its_leases_is_left_alone",),
    ),
    Mutation(
        guard="a run that looks for missed edits is not called dead",
        changes=((_QUEUE_SQL, "WHERE locktype = 'advisory' AND objsubid", "WHERE false AND objsubid"),),
        tests=(f"{_CLAIM_COST}::test_a_run_that_looks_for_missed_edits_for_long_is_known_to_live",),
    ),
    Mutation(
        guard="an edit that a trigger missed is found",
        changes=((_QUEUE_SQL, "AND s.contact_revision < c.revision\n", "AND s.contact_revision < 0\n"),),
        tests=(f"{_PROTOCOL}::test_an_edit_that_the_trigger_missed_is_found",),
    ),
    Mutation(
        guard="an address is not sent for its second owner before the first one has left it",
        changes=(
            (
                "crm_pipelines/delivery/preparing.py",
                'if delivery.address_held_by in {"queued", "claimed"} and delivery.remote_key != payload.key:',
                "if False:",
            ),
        ),
        tests=(f"{_RUNS}::test_an_address_passed_on_to_another_contact_waits_until_its_first_owner_has_left_it",),
    ),
    Mutation(
        guard="destinations: a job delivers to its own account",
        changes=(
            (
                "crm_pipelines/orchestration/sync/jobs.py",
                '"destination": resource_of(destination.name',
                '"destination": resource_of("brevo"',
            ),
        ),
        tests=(f"{_DESTINATIONS}::test_runs_by_turns_keep_both_accounts_apart",),
    ),
    Mutation(
        guard="destinations: a check from the pages reads its own account",
        changes=(
            (
                "crm_pipelines/orchestration/checks.py",
                "opened = destination.name, Destination(destination.name, read).open",
                'opened = destination.name, Destination("brevo", read).open',
            ),
        ),
        tests=(f"{_DESTINATIONS}::test_executed_from_the_pages_each_check_reads_its_own_account",),
    ),
    Mutation(
        guard="destinations: the account is checked by its own job",
        changes=(
            (
                "crm_pipelines/orchestration/upkeep/operator_jobs.py",
                "resource_of(destination.name",
                'resource_of("brevo"',
            ),
        ),
        tests=(f"{_DESTINATIONS}::test_each_account_is_checked_and_provisioned_by_its_own_jobs",),
    ),
    Mutation(
        guard="destinations: the sensor of one looks at its own gate",
        changes=(
            (
                "crm_pipelines/orchestration/watching/sensors.py",
                "with Destination(destination.name, read).open() as account:",
                'with Destination("brevo", read).open() as account:',
            ),
        ),
        tests=(f"{_DESTINATIONS}::test_an_alert_and_the_health_of_one_name_that_one",),
    ),
    Mutation(
        guard="destinations: the schedule of one looks at its own queue and runs",
        changes=((_SCHEDULES, 'job = f"{destination.name}_sync"', 'job = "brevo_sync"'),),
        tests=(f"{_DESTINATIONS}::test_a_run_of_one_is_no_reason_for_the_other_to_wait_or_to_follow",),
    ),
    Mutation(
        guard="destinations: nothing is launched for one that is not enabled",
        changes=((_LAUNCHING, "if crm not in self._settings.destinations:", "if False:"),),
        tests=(f"{_DESTINATIONS}::test_what_is_not_enabled_opens_nothing_and_says_so",),
    ),
    Mutation(
        guard="follow-up: not while a run is active",
        changes=((_FOLLOWS, "runs_of(job, ACTIVE)", 'runs_of("no_such_job", ACTIVE)'),),
        tests=(f"{_FOLLOWING}::test_never_two_at_once_and_not_while_the_gate_is_paused",),
    ),
    Mutation(
        guard="follow-up: not while the schedule is switched off",
        changes=(
            (_FOLLOWS, 'if is_switched_off(context.instance, f"{job}_schedule", location_of(context)):', "if False:"),
        ),
        tests=(f"{_FOLLOWING}::test_whoever_switches_the_schedule_off_has_stopped_the_work_on_a_backlog_too",),
    ),
    Mutation(
        guard="follow-up: not while the gate is paused",
        changes=((_FOLLOWS, "if gate.paused:", "if False:"),),
        tests=(f"{_FOLLOWING}::test_never_two_at_once_and_not_while_the_gate_is_paused",),
    ),
    Mutation(
        guard="follow-up: not after a run that brought nobody on",
        changes=((_FOLLOWS, "LEFT_TAG if got_on else NOWHERE_TAG: str", "LEFT_TAG: str"),),
        tests=(f"{_FOLLOWING}::test_a_run_that_brought_nobody_on_and_one_that_was_asked_for_some_are_not_followed",),
    ),
    Mutation(
        guard="pruning: an active run stays",
        changes=(
            (
                "crm_pipelines/orchestration/upkeep/pruning.py",
                "tags=scope.tags, statuses=FINISHED_STATUSES, updated_before=before",
                "tags=scope.tags, updated_before=before",
            ),
        ),
        tests=(f"{_PRUNING}::test_old_runs_and_their_events_go_but_for_active_ones_and_the_newest_of_each_job",),
    ),
    Mutation(
        guard="pruning: an outcome that nobody carried over yet stays",
        changes=(("crm_pipelines/queue/ledger.sql", " AND applied_at IS NOT NULL\n     ORDER BY", "\n     ORDER BY"),),
        tests=(f"{_PRUNING}::test_the_ledger_keeps_as_many_days_as_configured_and_what_nobody_carried_over_yet",),
    ),
    Mutation(
        guard="fidelity: what was edited while it was read does not count",
        changes=(("crm_pipelines/delivery/fidelity.py", "if delivery.claim.contact_id in unchanged:", "if True:"),),
        tests=(f"{_CHECKS}::test_a_contact_that_is_edited_while_it_is_read_does_not_count",),
    ),
    Mutation(
        guard="idempotency: a repeated write is answered and not done",
        changes=(("crm_pipelines/api/writing.py", "if kept is not None:", "if False:"),),
        tests=(f"{_WRITING}::test_the_same_request_with_the_same_key_changes_nothing_and_gets_the_same_answer",),
    ),
    Mutation(
        guard="idempotency: a key stands for one request",
        changes=(("crm_pipelines/api/writing.py", "if kept.fingerprint != self.fingerprint:", "if False:"),),
        tests=(f"{_WRITING}::test_a_key_that_came_with_something_else_is_refused",),
    ),
    Mutation(
        guard="API: nobody is selected for a destination that is not set up",
        changes=((_API_DESTINATIONS, 'if action == "select":', "if False:"),),
        tests=(
            f"{_NAMED}::test_nothing_at_all_is_queued_when_one_of_the_destinations_is_not_set_up",
            f"{_DESTINATION_PAGES}::test_nobody_can_be_selected_for_what_is_not_set_up_and_who_was_can_be_taken_back",
        ),
    ),
    Mutation(
        guard="API: who was selected for a destination that is not set up any more can be taken back",
        changes=((_API_DESTINATIONS, 'if action == "select":', "if True:"),),
        tests=(f"{_NAMED}::test_who_waits_for_a_destination_that_is_not_set_up_any_more_can_be_taken_back",),
    ),
    Mutation(
        guard="API: a destination that nobody knows is a mistake",
        changes=((_API_DESTINATIONS, "name not in self.settings.destinations and name not in self.known()", "False"),),
        tests=(
            f"{_NAMED}::test_a_name_that_nobody_knows_is_a_mistake",
            f"{_NAMED}::test_nobody_is_suppressed_at_a_destination_that_nobody_knows",
        ),
    ),
    Mutation(
        guard="pages: to compare asks the account beside which it stands",
        changes=(("crm_pipelines/delivery/why.py", "for name in ask]", "for name in settings.destinations]"),),
        tests=(
            f"{_DESTINATION_PAGES}::test_to_compare_asks_the_account_beside_which_it_stands_and_no_other",
            f"{_NAMED}::test_each_account_is_asked_for_its_own_and_only_where_the_contact_belongs",
        ),
    ),
    Mutation(
        guard="API: a token allows what its scopes say",
        changes=(("crm_pipelines/api/access.py", "if scope not in found.scopes:", "if False:"),),
        tests=(f"{_ACCESS}::test_each_scope_allows_its_own_and_no_more",),
    ),
    Mutation(
        guard="API: a revoked token is refused",
        changes=(("crm_pipelines/access/tokens.sql", "WHERE id = :id AND revoked_at IS NULL", "WHERE id = :id"),),
        tests=(f"{_ACCESS}::test_a_revoked_token_is_refused_from_then_on",),
    ),
    Mutation(
        guard="API: a name that somebody else points here is refused",
        changes=(
            (
                "crm_pipelines/api/perimeter.py",
                "if host_name(headers) not in self._hosts:",
                "if False:",
            ),
        ),
        tests=(f"{_ACCESS}::test_a_name_that_somebody_else_points_here_is_refused",),
    ),
    Mutation(
        guard="pages: a token for reading changes nothing",
        changes=((_SESSION, "if not session.may_write:", "if False:"),),
        tests=(f"{_SIGNING_IN}::test_who_may_read_only_sees_no_button_and_changes_nothing",),
    ),
    Mutation(
        guard="pages: a form of another site changes nothing",
        changes=((_SESSION, "if not hmac.compare_digest(form_key.encode(), session.form_key.encode()):", "if False:"),),
        tests=(f"{_SIGNING_IN}::test_a_form_of_another_site_changes_nothing",),
    ),
    Mutation(
        guard="account: slots are given for the account of the contacts only",
        changes=((_GATES_SQL, "       AND (CAST(:account AS text) IS NULL OR account = :account)\n", ""),),
        tests=(f"{_ACCOUNT_TESTS}::test_a_run_of_the_former_account_gets_no_turn_after_the_change",),
    ),
    Mutation(
        guard="account: nothing is claimed before the slots of the former one are over",
        changes=(
            (
                _GATES_SQL,
                "ELSE greatest(next_slot_at, clock_timestamp()) + interval '1 s' END",
                "ELSE now() END",
            ),
        ),
        tests=(f"{_ACCOUNT_TESTS}::test_until_the_slots_of_the_former_account_are_over_nothing_is_claimed",),
    ),
    Mutation(
        guard="restore: no slot in a database that was restored or copied",
        changes=((_GATES_SQL, "       AND home = crm_home(tableoid) FOR UPDATE\n", "       FOR UPDATE\n"),),
        tests=(f"{_RESTORED}::test_in_a_copy_no_slot_is_given_though_nobody_has_looked_at_the_gate",),
    ),
    Mutation(
        guard="restore: whoever looks at the gate closes it",
        changes=(
            (_GATES, "if not found.at_home and not found.never_noted:", "if found.at_home and found.never_noted:"),
        ),
        tests=(
            f"{_RESTORED}::test_a_restore_with_postgres_own_programs_is_noticed",
            f"{_RESTORED}::test_in_a_copy_no_slot_is_given_though_nobody_has_looked_at_the_gate",
        ),
    ),
    Mutation(
        guard="restore: it ends with closed gates whatever can be noticed",
        changes=(("crm_pipelines/local/backups.py", "GateKeeper(engine, crm).restored()", "GateKeeper(engine, crm)"),),
        tests=(f"{_BACKUPS}::test_a_restored_database_sends_nothing_until_somebody_opens_the_gate",),
    ),
    Mutation(
        guard="restore: claims that this state has never seen are void",
        changes=((_GATES_SQL, "claim_no = claim_no + (1::bigint << 40)", "claim_no = claim_no + 1"),),
        tests=(f"{_RESTORED}::test_no_claim_after_a_restore_has_the_number_of_one_that_a_worker_of_before_may_hold",),
    ),
    Mutation(
        guard="restore: what was sent is not known",
        changes=(
            (
                _GATES_SQL,
                "delivery_started_at = NULL, payload_hash = NULL, bulk_ok",
                "delivery_started_at = NULL, bulk_ok",
            ),
        ),
        tests=(f"{_BACKUPS}::test_after_a_restore_an_edit_back_to_what_the_dump_calls_sent_is_sent",),
    ),
    Mutation(
        guard="restore: who may have left the list since goes singly",
        changes=((_GATES_SQL, "bulk_ok = bulk_ok AND lists IS DISTINCT FROM '{}'", "bulk_ok = bulk_ok"),),
        tests=(f"{_BACKUPS}::test_after_a_restore_nobody_who_is_off_the_list_is_put_on_it_again",),
    ),
    Mutation(
        guard="restore: imports under way are over",
        changes=((_GATES, '"forget_imports", "forget_walks", ', '"forget_walks", '),),
        tests=(f"{_RESTORED}::test_in_a_copy_claims_and_imports_are_over_and_what_was_sent_is_not_known",),
    ),
    Mutation(
        guard="restore: who was suppressed since stays so",
        changes=(("crm_pipelines/local/carrying_over.py", 'connection.execute(_SQL["take"], in_force)', "pass"),),
        tests=(f"{_BACKUPS}::test_who_was_suppressed_since_the_dump_stays_so",),
    ),
    Mutation(
        guard="restore: tokens revoked since stay so",
        changes=(
            (
                "crm_pipelines/local/carrying_over.py",
                """sum(connection.execute(_SQL["revoke"], token).rowcount for token in revoked)""",
                "len(revoked)",
            ),
        ),
        tests=(f"{_BACKUPS}::test_a_token_revoked_since_the_dump_stays_so_and_no_session_of_before_opens_anything",),
    ),
    Mutation(
        guard="restore: no session of before",
        changes=(("crm_pipelines/local/carrying_over.py", 'connection.execute(_SQL["end_sessions"])', "pass"),),
        tests=(f"{_BACKUPS}::test_a_token_revoked_since_the_dump_stays_so_and_no_session_of_before_opens_anything",),
    ),
    Mutation(
        guard="restore: a long name of a database is not that of the new one",
        changes=(("crm_pipelines/local/backups.py", "_name(url).encode()[:38]", "_name(url).encode()"),),
        tests=(f"{_BACKUPS}::test_a_database_with_a_long_name_is_kept_too",),
    ),
    Mutation(
        guard="dagster's database: two that create it at once both use it",
        changes=(("crm_pipelines/local/databases.py", '"23505"}', '"00000"}'),),
        tests=(f"{_DATABASES}::test_whoever_creates_dagsters_database_at_the_same_time_as_others_uses_it_with_them",),
    ),
    Mutation(
        guard="demo: a kind without columns in the view is known before contacts are selected for it",
        changes=(("crm_pipelines/local/demo.py", "        register_destinations(settings, engine)\n", ""),),
        tests=("crm_pipelines_tests/integration/local/test_demo.py",),
    ),
    Mutation(
        guard="make up: a kind without columns in the view is known before a sandbox is sought for it",
        changes=(("crm_pipelines/local/up.py", "        register_destinations(settings, engine)\n", "        pass\n"),),
        tests=("crm_pipelines_tests/integration/local/test_choosing_accounts.py",),
    ),
    Mutation(
        guard="dagster's database: one that was created a moment before is no error",
        changes=(("crm_pipelines/local/databases.py", '{"42P04"', '{"00000"'),),
        tests=(f"{_DATABASES}::test_dagsters_database_that_another_has_created_a_moment_before_is_used",),
    ),
    Mutation(
        guard="gate: a refused key does not take the place of a person's pause",
        changes=(
            (
                _GATES_SQL,
                " WHERE crm = :crm AND coalesce(pause_kind, '') NOT IN ('manual', 'restored')\n",
                " WHERE crm = :crm\n",
            ),
        ),
        tests=(f"{_RESTORED}::test_nothing_but_a_person_opens_a_gate_that_a_person_or_a_restore_closed",),
    ),
    Mutation(
        guard="gate: only a person opens what a person or a restore closed",
        changes=(
            (
                _GATES_SQL,
                "   AND (:by_hand OR coalesce(pause_kind, '') NOT IN ('manual', 'restored', 'attributes'))\n",
                "   AND :by_hand = :by_hand\n",
            ),
        ),
        tests=(f"{_RESTORED}::test_nothing_but_a_person_opens_a_gate_that_a_person_or_a_restore_closed",),
    ),
    Mutation(
        guard="gate: another account does not open what a person or a restore closed",
        changes=(
            (
                _GATES_SQL,
                "CASE WHEN pause_kind IN ('manual', 'restored') THEN paused_until",
                "CASE WHEN false THEN paused_until",
            ),
            (
                _GATES_SQL,
                "CASE WHEN pause_kind IN ('manual', 'restored') THEN pause_kind",
                "CASE WHEN false THEN pause_kind",
            ),
        ),
        tests=(f"{_RESTORED}::test_nothing_but_a_person_opens_a_gate_that_a_person_or_a_restore_closed",),
    ),
    Mutation(
        guard="embedded: data are run by the programs that made them",
        changes=(
            (
                "crm_pipelines/local/embedded/cluster.py",
                "find_binaries(chosen_binaries, major=made_by(self.data))",
                "find_binaries(chosen_binaries)",
            ),
        ),
        tests=(f"{_EMBEDDED_ERRORS}::test_data_of_an_older_version_are_run_by_the_programs_of_that_version",),
    ),
    Mutation(
        guard="account: under another name of it, nobody is sent who is suppressed there",
        changes=((_GATES, "if bound != account and account != SANDBOX:", "if False:"),),
        tests=(f"{_DESTINATION_TESTS}::test_who_is_suppressed_at_an_account_stays_so_under_another_name_of_it",),
    ),
    Mutation(
        guard="account: two destinations never deliver to one",
        changes=((_GATES, "if taken_by is not None and account != SANDBOX:", "if False:"),),
        tests=(
            f"{_TWO_DESTINATIONS}::test_two_destinations_never_deliver_to_one_account",
            f"{_TWO_DESTINATIONS}::test_nor_does_one_that_had_an_account_of_its_own_and_nothing_of_that_one_is_forgotten",
        ),
    ),
    Mutation(
        guard="account: of two destinations that come to one at a time, one is first",
        changes=((_GATES, 'connection.execute(_SQL["one_comes_first"], asked)', "pass"),),
        tests=(f"{_TWO_DESTINATIONS}::test_of_two_that_come_to_one_account_at_the_same_time_one_is_first",),
    ),
    Mutation(
        guard="account: one that forgets its former account keeps no other destination from sending",
        changes=(
            (
                _GATES,
                'connection.execute(_SQL["one_comes_first"], asked)',
                'connection.execute(sa.text("SELECT FROM crm_gates FOR UPDATE"))',
            ),
        ),
        tests=(f"{_TWO_DESTINATIONS}::test_while_one_forgets_its_former_account_the_other_goes_on",),
    ),
    Mutation(
        guard="account: nothing is created in another destination's before the first run, either",
        changes=((_ACCOUNTS, "gate.require_own(account_of(gate, crm, turn=turn))", "pass"),),
        tests=(
            f"{_TWO_DESTINATIONS}::test_nor_is_anything_created_or_looked_up_there_before_the_first_run_of_the_second",
        ),
    ),
    Mutation(
        guard="account: check tells that it is another destination's",
        changes=((_ACCOUNTS, "gate.require_own(_name_of(identity))", "pass"),),
        tests=(f"{_TWO_DESTINATIONS}::test_check_names_the_destination_that_has_the_account",),
    ),
    Mutation(
        guard="account: those of two kinds may have one name",
        changes=((_OPENING, "if one.kind == own.kind and one.name", "if one.name"),),
        tests=(f"{_TWO_DESTINATIONS}::test_accounts_of_two_kinds_may_have_one_name",),
    ),
    Mutation(
        guard="advice: names the variables of its own destination",
        changes=(("crm_pipelines/crms/brevo/api.py", "advice_for(destination)", 'advice_for("brevo")'),),
        tests=(
            f"{_TWO_DESTINATIONS}::test_whatever_is_asked_a_refused_key_is_told_by_the_variable_of_its_destination",
            f"{_TWO_DESTINATIONS}::test_whatever_is_asked_a_wrong_address_is_told_by_the_variable_of_its_destination",
            f"{_TWO_DESTINATIONS}::test_gate_alert_check_and_why_name_the_variable_of_the_destination",
        ),
    ),
    Mutation(
        guard="account: an answer that names the owner alone is that of no other account",
        changes=((_ACCOUNTS, "return known is not None and Identity(", "return known is None and Identity("),),
        tests=(f"{_ACCOUNT_TESTS}::test_an_answer_without_the_name_of_the_account_does_not_pass_for_another_account",),
    ),
    Mutation(
        guard="account: a key that opens another one by now is not known any more",
        changes=((_ACCOUNTS, "gate.distrust_key(state.account, crm.credentials_fingerprint)", "pass"),),
        tests=(f"{_ACCOUNT_TESTS}::test_another_account_behind_a_key_that_is_known_is_noticed_by_the_next_check",),
    ),
    Mutation(
        guard="account: claims of the former one are void",
        changes=((_GATES_SQL, "claim_no = s.claim_no + 1, claimed_by = NULL", "claimed_by = NULL"),),
        tests=(f"{_ACCOUNT_TESTS}::test_an_answer_of_the_former_account_that_comes_after_the_change_does_not_count",),
    ),
    Mutation(
        guard="account: numbers and addresses of the former one are forgotten",
        changes=((_GATES_SQL, "remote_key = NULL, remote_id = NULL, ", ""),),
        tests=(f"{_ACCOUNT_TESTS}::test_in_another_account_everything_is_new_and_no_stranger_is_touched",),
    ),
    Mutation(
        guard="account: imports under way at the former one are over",
        changes=((_GATES_SQL, "WHERE crm = :crm AND state <> 'ended'", "WHERE crm = :crm AND false"),),
        tests=(f"{_ACCOUNT_TESTS}::test_the_account_changes_in_the_middle_of_a_backlog_with_imports_under_way",),
    ),
    Mutation(
        guard="account: a run sends to the account of the contacts only",
        changes=((_OPS, "            account = account.admitted()\n", ""),),
        tests=(f"{_ACCOUNT_TESTS}::test_the_account_changes_in_the_middle_of_a_backlog_with_imports_under_way",),
    ),
    Mutation(
        guard="account: it is not asked for again with the same key",
        changes=(
            (
                _ACCOUNTS,
                "if state.account is not None and state.knows(crm.credentials_fingerprint):",
                "if state.account is not None and not state.crm:",
            ),
        ),
        tests=(f"{_ACCOUNT_TESTS}::test_the_account_is_asked_for_once_per_key_and_is_what_the_crm_calls_it",),
    ),
    Mutation(
        guard="account: only a run forgets the former one",
        changes=((_ACCOUNTS, "crm.credentials_fingerprint, move=False)", "crm.credentials_fingerprint)"),),
        tests=(f"{_ACCOUNT_TESTS}::test_nothing_is_created_shown_or_read_back_in_another_account",),
    ),
    Mutation(
        guard="account: a run of the former one does not change it back",
        changes=((_OPS, "admit_run(move=context.retry_number == 0)", "admit_run(move=True)"),),
        tests=(f"{_ACCOUNT_CHANGE}[before_claim-a moment]",),
    ),
    Mutation(
        guard="account: a new key is work for a run",
        changes=(
            (
                "crm_pipelines/orchestration/sync/schedules.py",
                "if gate.account is not None and not gate.knows(account.crm.credentials_fingerprint):",
                "if gate.account is None and gate.account is not None:",
            ),
        ),
        tests=(f"{_ACCOUNT_TESTS}::test_the_schedule_starts_a_run_for_a_new_key_though_nothing_is_due",),
    ),
    Mutation(
        guard="account: contacts of a real one are not marked by the sandbox",
        changes=(
            (
                "crm_pipelines/destinations/gates.py",
                "if bound is not None and bound != SANDBOX and account == SANDBOX:",
                "if bound is not None and bound == SANDBOX and account == bound + bound:",
            ),
        ),
        tests=(
            f"{_ACCOUNT_TESTS}::test_contacts_of_a_real_account_on_a_loopback_address_are_not_marked_by_the_sandbox",
        ),
    ),
    Mutation(
        guard="account: what a stranger's holds is not shown as ours",
        changes=(
            (
                "crm_pipelines/delivery/why.py",
                "        admit(account.gate, account.crm, turn=turns)\n",
                "        account.gate.read()\n",
            ),
        ),
        tests=(f"{_ACCOUNT_TESTS}::test_nothing_is_created_shown_or_read_back_in_another_account",),
    ),
    Mutation(
        guard="ours: a number alone makes no entry ours",
        changes=(
            (
                "crm_pipelines/crms/brevo/ours.py",
                "return same_number and (address_known or mark == external_id)",
                "return same_number",
            ),
        ),
        tests=(_OURS_TESTS,),
    ),
    Mutation(
        guard="ours: an entry that is not ours is not shown",
        changes=(
            (
                "crm_pipelines/crms/brevo/looking.py",
                "            if ours.is_ours(\n",
                "            if body or ours.is_ours(\n",
            ),
        ),
        tests=(_OURS_TESTS,),
    ),
    Mutation(
        guard="reports: none is fetched from this machine or its network for a real account",
        changes=(
            (
                "crm_pipelines/crms/brevo/bulk.py",
                'if inside is not local or (not inside and urlsplit(url).scheme != "https"):',
                'if not inside and urlsplit(url).scheme != "https":',
            ),
        ),
        tests=(f"{_ACCOUNT_TESTS}::test_a_real_account_cannot_have_an_address_of_this_machine_asked",),
    ),
    Mutation(
        guard="values: what the account does not take is not sent, and not called sent",
        changes=(
            (
                _MAPPING,
                "account is None or type(value) in account.as_is.get(name, ())",
                "True",
            ),
        ),
        tests=(f"{_LEFT_OUT}::test_a_value_without_an_attribute_is_told_and_goes_once_it_is_created_by_hand",),
    ),
    Mutation(
        guard="values: nothing is claimed before it is known what the account takes",
        changes=(
            (_OPS, "    raise dg.Failure(said, allow_retries=False)\n", "    context.log.warning(said)\n"),
            (_OPS, "    if not known:\n", "    if known is None:\n"),
        ),
        tests=(f"{_LEFT_OUT}::test_nothing_is_claimed_while_it_was_never_seen_what_the_account_takes",),
    ),
    Mutation(
        guard="values: what was left out is judged again by another state of the account",
        changes=((_ATTRIBUTES_SQL, "AND left_out && CAST(:names AS text[])", "AND false"),),
        tests=(f"{_LEFT_OUT}::test_a_delivery_that_ends_after_the_account_was_seen_anew_is_judged_again",),
    ),
    Mutation(
        guard="values: what was left out is not judged again by the same state of the account",
        changes=((_ATTRIBUTES_SQL, "AND attributes_version IS DISTINCT FROM CAST(:version AS text)", ""),),
        tests=(f"{_LEFT_OUT}::test_a_value_that_does_not_fit_is_not_tried_again_while_the_account_is_as_it_was",),
    ),
    Mutation(
        guard="values: what went with a deleted attribute is not called sent",
        changes=(("crm_pipelines/destinations/attributes.py", "sorted(gone | made_anew)", "sorted(set())"),),
        tests=(f"{_LEFT_OUT}::test_values_that_go_with_a_deleted_attribute_go_again_when_it_is_back",),
    ),
    Mutation(
        guard="values: what ends after other attributes were seen is judged again",
        changes=((_QUEUE_SQL, "t.version <> o.attributes_version", "false"),),
        tests=(f"{_LEFT_OUT}::test_what_was_under_way_while_an_attribute_was_seen_gone_is_judged_again",),
    ),
    Mutation(
        guard="values: what ends after other attributes were seen is not called sent",
        changes=((_QUEUE_SQL, "payload_hash = CASE WHEN NOT o.outdated", "payload_hash = CASE WHEN true"),),
        tests=(f"{_LEFT_OUT}::test_what_was_under_way_while_an_attribute_was_seen_gone_is_judged_again",),
    ),
    Mutation(
        guard="values: an option that is gone, and a label with another number, are noticed",
        changes=(("crm_pipelines/destinations/attributes.py", "names=wrong) if wrong else 0", "names=[])"),),
        tests=(
            f"{_LEFT_OUT}::test_who_has_an_option_that_is_gone_is_told_so_and_gets_it_when_it_is_back",
            f"{_LEFT_OUT}::test_a_label_that_has_another_number_now_is_sent_again_and_one_renamed_is_not",
        ),
    ),
    Mutation(
        guard="values: a label that was only renamed costs nobody the value",
        changes=(
            (
                "crm_pipelines/destinations/attributes.py",
                'numbers.get(one["label"], one["value"])',
                'numbers.get(one["label"])',
            ),
        ),
        tests=(f"{_LEFT_OUT}::test_a_label_that_has_another_number_now_is_sent_again_and_one_renamed_is_not",),
    ),
    Mutation(
        guard="values: a phone number that another contact has is not called sent",
        changes=((_UPSERT, "self._refused |= phones & self._payload.attributes.keys()", "pass"),),
        tests=(f"{_LEFT_OUT}::test_a_phone_that_another_contact_has_is_not_called_sent_and_goes_with_an_edit",),
    ),
    Mutation(
        guard="values: what another account has does not count",
        changes=((_ATTRIBUTES_SQL, "AND a.account IS NOT DISTINCT FROM g.account", ""),),
        tests=(f"{_LEFT_OUT}::test_what_another_account_had_does_not_count",),
    ),
    Mutation(
        guard="values: a delivery of which a part was refused is made again",
        changes=(
            (
                "crm_pipelines/delivery/preparing.py",
                "if synced and not outcome.left_out else None",
                "if synced else None",
            ),
        ),
        tests=(f"{_LEFT_OUT}::test_a_refused_attribute_is_left_out_and_goes_when_the_account_has_changed",),
    ),
    Mutation(
        guard="values: what is left out is looked for once an hour, and no more",
        changes=((_ATTRIBUTES_SQL, "looked_at > now() - CAST(:pause AS interval)", "false"),),
        tests=(f"{_LEFT_OUT}::test_a_value_without_an_attribute_is_told_and_goes_once_it_is_created_by_hand",),
    ),
    Mutation(
        guard="values: only what was seen to be gone is cleared",
        changes=((_UPSERT, "if not cleared:", "if True:"),),
        tests=(f"{_VALUES}::test_what_brevo_keeps_though_it_was_cleared_is_told_and_cleared_again",),
    ),
    Mutation(
        guard="values: only our own contact tells what is cleared",
        changes=(
            (
                _UPSERT,
                " or ours.address_of(contact) != self._payload.key:\n            self._warn",
                ":\n            self._warn",
            ),
        ),
        tests=(f"{_VALUES}::test_another_contact_with_the_number_that_was_known_says_nothing_of_what_is_cleared",),
    ),
    Mutation(
        guard="values: a look that does not come loses no delivery",
        changes=(
            (
                _UPSERT,
                "        except _NotItsTurn:\n            return None, None",
                "        except ZeroDivisionError:\n            return None, None",
            ),
        ),
        tests=(f"{_VALUES}::test_a_gate_that_closes_after_the_write_loses_no_delivery",),
    ),
    Mutation(
        guard="consent: a list is asked for once",
        changes=((_UPSERT, "[one for one in list_ids if str(one) not in asked]", "list(list_ids)"),),
        tests=(f"{_LISTS}::test_who_is_off_the_list_is_not_put_back",),
    ),
    Mutation(
        guard="consent: what was asked for is remembered",
        changes=(
            (
                _QUEUE_SQL,
                "CASE WHEN (o.outcome <> 'synced' AND o.remote_key IS NULL) OR o.lists <@ s.lists THEN s.lists",
                "CASE WHEN true THEN s.lists",
            ),
        ),
        tests=(
            f"{_RUNS}::test_who_is_off_the_list_stays_off_it_after_edits_and_selecting_again",
            f"{_BULK}::test_who_is_off_the_list_is_put_back_by_no_import",
        ),
    ),
    Mutation(
        guard="consent: who has left a list is not put on it",
        changes=((_UPSERT, "return list_id in target.left or ", "return "),),
        tests=(f"{_LISTS}::test_who_left_the_list_before_us_is_not_put_back_by_the_first_delivery",),
    ),
    Mutation(
        guard="consent: nor who was taken off it since a delivery whose answer was lost",
        changes=((_UPSERT, "(created_by_us and list_id not in target.lists)", "False"),),
        tests=(f"{_LISTS}::test_a_retry_after_a_lost_answer_puts_nobody_back",),
    ),
    Mutation(
        guard="consent: whom Brevo has already is looked at before the first delivery",
        changes=((_UPSERT, '"updateEnabled": update}', '"updateEnabled": True}'),),
        tests=(f"{_LISTS}::test_who_left_the_list_before_us_is_not_put_back_by_the_first_delivery",),
    ),
    Mutation(
        guard="consent: an import puts nobody back on a list",
        changes=(
            (
                _FILLING,
                "_was_put_on(prepared.delivery, scan.target) and self._on_list(prepared.delivery) not in seen",
                "False",
            ),
        ),
        tests=(f"{_BULK}::test_who_is_off_the_list_is_put_back_by_no_import",),
    ),
    Mutation(
        guard="marks: a delivery keeps that of another system",
        changes=((_UPSERT, "return found is None or not self._is_contact(found)", "return False"),),
        tests=(f"{_LISTS}::test_the_mark_of_a_shop_stays_whatever_is_delivered",),
    ),
    Mutation(
        guard="marks: that of another contact here is not another system's",
        changes=((_UPSERT, "return found is None or not self._is_contact(found)", "return True"),),
        tests=(
            f"{_RINGS}::test_a_mark_of_a_contact_that_is_here_is_not_kept_for_whoever_has_the_address_now",
            f"{_RINGS}::test_an_address_that_was_left_before_the_selection_was_seen_takes_nobody_s_entry",
        ),
    ),
    Mutation(
        guard="marks: an import keeps that of another system",
        changes=((_FILLING, "if seen and kept_mark(prepared.payload.key) in seen:", "if False:"),),
        tests=(f"{_BULK}::test_an_import_keeps_the_mark_of_another_system_and_later_deliveries_do",),
    ),
    Mutation(
        guard="never send: asked right before a delivery",
        changes=(
            (
                _COURIER,
                "lambda: without_suppressed(self._queue, prepared, self._crm.mapping_version)",
                "lambda: prepared",
            ),
        ),
        tests=(f"{_SUPPRESSIONS}::test_whoever_got_as_far_as_the_request_is_not_sent_whatever_the_spelling",),
    ),
    Mutation(
        guard="never send: asked before an import",
        changes=(
            (
                _FILLING,
                "self.session.patiently(partial(without_suppressed, self.queue, prepared, crm.mapping_version))",
                "prepared",
            ),
        ),
        tests=(f"{_BULK}::test_whoever_is_suppressed_is_in_no_import",),
    ),
    Mutation(
        guard="never send: no unselect lifts it",
        changes=((_CONSENT_SQL, _STAYS_SUPPRESSED, "\n    RETURNING s.contact_id;\n"),),
        tests=(f"{_SUPPRESSIONS}::test_nothing_lifts_a_suppression_but_saying_so",),
    ),
    Mutation(
        guard="never send: it outlives the contact",
        changes=(
            (
                _CONSENT_SQL,
                "FOR EACH STATEMENT EXECUTE FUNCTION crm_suppress_added();",
                "FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION crm_suppress_added();",
            ),
        ),
        tests=(f"{_SUPPRESSIONS}::test_who_comes_under_a_suppressed_address_is_suppressed",),
    ),
    Mutation(
        guard="never send: it holds for a new address too",
        changes=(
            (
                _CONSENT_SQL,
                "FOR EACH STATEMENT EXECUTE FUNCTION crm_suppress_moved();",
                "FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION crm_suppress_moved();",
            ),
        ),
        tests=(f"{_SUPPRESSIONS}::test_a_suppressed_person_takes_the_suppression_along_to_a_new_address",),
    ),
    Mutation(
        guard="import --select: who was taken back stays so",
        changes=(("crm_pipelines/files/loading.sql", "FROM known WHERE state IS NULL)", "FROM known)"),),
        tests=(f"{_IMPORTING_TESTS}::test_selecting_leaves_alone_what_was_selected_before",),
    ),
    Mutation(
        guard="import --select: who has opted out in an earlier file is not queued",
        changes=(
            (
                "crm_pipelines/files/opt_outs.py",
                "if row.field not in custom_fields[row.address] and",
                "if False and",
            ),
        ),
        tests=(f"{_NAMES}::test_who_has_opted_out_in_an_earlier_file_is_not_queued_by_a_file_that_does_not_say_so",),
    ),
    Mutation(
        guard="import --select: who has opted out elsewhere is not queued",
        changes=(("crm_pipelines/files/loading.py", " if one not in self._opted_out)", ")"),),
        tests=(f"{_NAMES}::test_who_has_opted_out_elsewhere_comes_in_and_is_not_queued",),
    ),
    Mutation(
        guard="parts of a name: a whole name that is written alone makes them unknown",
        changes=(
            (_NAMES_SQL, "IF NOT crm_is_joined_name(NEW.name, NEW.first_name, NEW.last_name) THEN", "IF false THEN"),
        ),
        tests=(f"{_NAMES}::test_a_former_version_that_writes_the_name_alone_makes_old_parts_unknown",),
    ),
    Mutation(
        guard="parts of a name: an edit of one is an edit of the contact",
        changes=(
            (
                _NAMES_SQL,
                (
                    "(NEW.email, NEW.name, NEW.first_name, NEW.last_name, NEW.phone_number, NEW.email_type, "
                    "NEW.has_gmail, NEW.context,\n        NEW"
                ),
                (
                    "(NEW.email, NEW.name, OLD.first_name, OLD.last_name, "
                    "NEW.phone_number, NEW.email_type, NEW.has_gmail, NEW.context,\n        NEW"
                ),
            ),
        ),
        tests=(f"{_NAMES}::test_an_edit_of_a_part_queues_the_contact_as_one_of_the_name_does",),
    ),
    Mutation(
        guard="parts of a name: a file in which the whole name was edited does not bring the old parts back",
        changes=((_NAMES_SQL, "IF name = p_stored[1] AND unknown AND NOT", "IF false AND NOT"),),
        tests=(f"{_ROUND_TRIPS}::test_an_edit_of_the_name_comes_in_and_stays",),
    ),
    Mutation(
        guard="parts of a name: a PUT that is repeated says the same",
        changes=(("crm_pipelines/contacts/records.py", "tuple(stored) != parts:", "False:"),),
        tests=(
            (
                "crm_pipelines_tests/integration/api/test_contacts.py"
                "::test_parts_of_a_name_stay_apart_and_the_whole_name_follows"
            ),
        ),
    ),
    Mutation(
        guard="our exports: blanks and guards come back as they were",
        changes=(
            (
                "crm_pipelines/files/cleaning.py",
                "return formulas.unguarded(cell) if origin is Origin.PAGE else cell",
                "return text",
            ),
        ),
        tests=(f"{_ROUND_TRIPS}::test_what_was_not_edited_changes_nothing",),
    ),
    Mutation(
        guard="our exports: bookkeeping is no custom field",
        changes=(
            (
                "crm_pipelines/files/headers.py",
                "return bool(_OURS.fullmatch(key)) or key in _THEIRS",
                "return key in _THEIRS",
            ),
        ),
        tests=(f"{_ROUND_TRIPS}::test_what_was_not_edited_changes_nothing",),
    ),
    Mutation(
        guard="import --select: nobody is selected before all rows are in",
        changes=(
            (
                "crm_pipelines/files/__init__.py",
                "destination.load(list(contacts.values()), repeated)\n",
                "destination.load(list(contacts.values()), repeated)\n        destination.select()\n",
            ),
        ),
        tests=(f"{_IMPORTING_TESTS}::test_nobody_is_selected_before_all_rows_are_in",),
    ),
    Mutation(
        guard="import --dry-run: its transactions can only read",
        changes=(
            (
                "crm_pipelines/files/forecast.py",
                "connection.execution_options(postgresql_readonly=True)",
                "connection",
            ),
        ),
        tests=(f"{_FORECAST_TESTS}::test_a_dry_run_can_not_write_and_locks_no_row",),
    ),
    Mutation(
        guard="import --dry-run: who is suppressed and no contact yet would not be queued",
        changes=((_FORECAST_SQL, "c.state IS NULL AND x.digest IS NULL", "c.state IS NULL"),),
        tests=(f"{_FORECAST_TESTS}::test_a_dry_run_and_the_import_agree_in_every_count",),
    ),
    Mutation(
        guard="rejects: those of an earlier import are not written over",
        changes=((_REJECTS, "return _create(path, os.O_EXCL), path", "return _create(path), path"),),
        tests=(
            f"{_REJECTS_TESTS}::test_rejects_of_an_earlier_import_are_never_written_over",
            f"{_REJECTS_TESTS}::test_the_rejects_of_a_file_of_rejects_go_to_the_next",
            f"{_IMPORTING_TESTS}::test_rejects_are_not_written_through_a_link",
        ),
    ),
    Mutation(
        guard="rejects: the source is not written over while it is read",
        changes=((_REJECTS, "if source.exists() and path.samefile(source):", "if False:"),),
        tests=(f"{_REJECTS_TESTS}::test_the_rejects_of_a_file_of_rejects_go_to_the_next",),
    ),
    Mutation(
        guard="rejects: no cell begins like a formula",
        changes=((_REJECTS, 'in {"=", "+", "-", "@"} else text', "in set() else text"),),
        tests=(f"{_REJECTS_TESTS}::test_no_cell_begins_like_a_formula",),
    ),
    Mutation(
        guard="rejects: a full disk leaves no half file",
        changes=((_REJECTS, "if self.written.is_file():", "if False:"),),
        tests=(f"{_REJECTS_TESTS}::test_a_full_disk_in_the_middle_stops_no_import_and_leaves_no_half_file",),
    ),
    Mutation(
        guard="import: a row within a quoted cell of several lines ends the cell",
        changes=((_QUOTING, "if looks_like_row(line, self._width_before):", "if False:"),),
        tests=(f"{_CSV_TESTS}::test_a_stray_quotation_mark_costs_its_own_row_and_its_partners",),
    ),
    Mutation(
        guard="import: the partner of a stray quotation mark is rejected",
        changes=((_QUOTING, "if first.count('\"') % 2 and len(taken) == 1:", "if False:"),),
        tests=(f"{_CSV_TESTS}::test_a_stray_quotation_mark_costs_its_own_row_and_its_partners",),
    ),
    Mutation(
        guard="import: a code page that the letters do not tell is not taken",
        changes=(("crm_pipelines/files/encodings.py", "plausible and lead >= _ENOUGH", "True"),),
        tests=(f"{_ENCODING_TESTS}::test_letters_that_tell_nothing_are_shown_in_each_reading_and_nothing_is_taken",),
    ),
    Mutation(
        guard="import: a line that is not UTF-8 is rejected",
        changes=(("crm_pipelines/files/decoding.py", "if self.unread and any(", "if False and any("),),
        tests=(f"{_ENCODING_TESTS}::test_a_line_that_is_not_utf_8_is_the_only_one_that_is_not_taken",),
    ),
    Mutation(
        guard="import: a hidden sheet is not read unless it is named",
        changes=(
            (
                "crm_pipelines/files/xlsx_files.py",
                '[sheet for sheet in sheets if sheet.sheet_state == "visible"]',
                "sheets",
            ),
        ),
        tests=(f"{_XLSX_TESTS}::test_the_first_visible_sheet_with_addresses_is_read",),
    ),
    Mutation(
        guard="Dagster's page: a name that somebody else points here is refused",
        changes=((_DAGSTER_PAGE, "if host_name(headers) not in self._hosts:", "if False:"),),
        tests=(f"{_DAGSTER_PAGE_TESTS}::test_a_name_that_somebody_else_points_here_shows_and_changes_nothing",),
    ),
    Mutation(
        guard="Dagster's page: another origin is refused, for a web socket too",
        changes=((_DAGSTER_PAGE, "if has_foreign_origin(headers, own=self._origins):", "if False:"),),
        tests=(f"{_DAGSTER_PAGE_TESTS}::test_a_page_of_another_origin_is_refused_and_so_is_its_web_socket",),
    ),
    Mutation(
        guard="Dagster's page: another site may only link to it",
        changes=(
            (
                _DAGSTER_PAGE,
                "if is_from_another_site(headers) and not _is_plain_navigation(scope, headers):",
                "if False:",
            ),
        ),
        tests=(
            f"{_DAGSTER_PAGE_TESTS}::test_a_foreign_page_may_link_to_dagster_and_neither_embed_it_nor_fetch_from_it",
        ),
    ),
    Mutation(
        guard="Dagster's page: no query comes by GET",
        changes=(
            (
                _DAGSTER_PAGE,
                'if scope["path"].startswith(_GRAPHQL) and "text/html" not in headers.get("accept", ""):',
                "if False:",
            ),
        ),
        tests=(f"{_DAGSTER_PAGE_TESTS}::test_what_an_image_of_a_foreign_page_fetches_runs_no_query",),
    ),
    Mutation(
        guard="Dagster's page: what a form may send is no JSON",
        changes=((_DAGSTER_PAGE, 'if types != ["application/json"]:', "if False:"),),
        tests=(
            f"{_DAGSTER_PAGE_TESTS}::test_a_form_of_a_foreign_page_runs_no_mutation",
            f"{_DAGSTER_PAGE_TESTS}::test_a_foreign_form_reports_nothing_of_an_asset",
        ),
    ),
    Mutation(
        guard="API: an expired token is refused",
        changes=(("crm_pipelines/access/tokens.sql", " AND (expires_at IS NULL OR expires_at > now())", ""),),
        tests=(f"{_ACCESS}::test_an_expired_token_is_refused_from_then_on",),
    ),
    Mutation(
        guard="API: others' failures lock no valid token out",
        changes=(
            (
                "crm_pipelines/api/access.py",
                """        try:
            identity = tokens.authenticate(self._engine, token)
""",
                """        if not self._limiter.test(self._failures, "failures", client):
            raise _too_many(self._failures, "Too many wrong tokens came from this address.")
        try:
            identity = tokens.authenticate(self._engine, token)
""",
            ),
        ),
        tests=(
            f"{_ACCESS}::test_a_valid_token_is_never_locked_out_by_failures_from_its_address_nor_after_a_restart",
            f"{_SIGNING_IN}::test_failures_from_its_address_do_not_keep_anybody_from_signing_in",
        ),
    ),
    Mutation(
        guard="API: guesses are throttled",
        changes=(
            (
                "crm_pipelines/api/access.py",
                'if not self._limiter.hit(self._failures, "failures", client):',
                "if False:",
            ),
        ),
        tests=(f"{_ACCESS}::test_guesses_are_throttled",),
    ),
    Mutation(
        guard="pages: a session ends with its token",
        changes=(
            (
                _SESSIONS_SQL,
                """
   AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())""",
                "",
            ),
        ),
        tests=(
            f"{_SIGNING_IN}::test_a_session_ends_after_some_hours_and_with_its_token",
            f"{_SIGNING_IN}::test_a_revoked_token_is_out_at_once",
        ),
    ),
    Mutation(
        guard="pages: a session ends after some hours",
        changes=((_SESSIONS_SQL, " AND s.expires_at > now()", ""),),
        tests=(f"{_SIGNING_IN}::test_a_session_ends_after_some_hours_and_with_its_token",),
    ),
    Mutation(
        guard="pages: signing out ends the session",
        changes=((_SESSION, "        end_session(request.app.state.engine, value)", "        pass"),),
        tests=(
            f"{_SIGNING_IN}::test_signing_out_ends_the_session_for_whoever_has_its_cookie",
            f"{_SIGNING_IN}::test_signing_in_again_ends_the_session_before",
        ),
    ),
    Mutation(
        guard="pages: behind TLS no cookie of another host is taken",
        changes=((_SESSION, "return _COOKIE_BEHIND_TLS if is_behind_tls(request) else COOKIE", "return COOKIE"),),
        tests=(f"{_SIGNING_IN}::test_behind_tls_the_cookie_is_bound_to_the_host_and_no_other_is_taken",),
    ),
    Mutation(
        guard="pages: a form of another origin changes nothing",
        changes=(
            (
                _SESSION,
                "if has_foreign_origin(request.headers) or is_from_another_site(request.headers):",
                "if False:",
            ),
        ),
        tests=(
            f"{_SIGNING_IN}::test_a_form_of_another_site_changes_nothing",
            f"{_SIGNING_IN}::test_another_site_cannot_sign_somebody_in",
        ),
    ),
    Mutation(
        guard="pages: nothing is decided that was not shown",
        changes=(
            (
                "crm_pipelines/api/pages/contact.py",
                "if decision is not None and decision.button == offer:",
                "if True:",
            ),
        ),
        tests=(f"{_PAGES}::test_what_was_decided_otherwise_since_the_page_was_seen_stays_decided",),
    ),
    Mutation(
        guard="pages: a download is written down",
        changes=(
            (
                "crm_pipelines/api/pages/contacts.py",
                'session.record(connection, "export", crm, contacts)',
                "pass",
            ),
        ),
        tests=(
            f"{_PAGES}::test_the_filtered_list_is_downloaded_without_formulas",
            f"{_PAGES}::test_a_download_that_cannot_be_written_down_is_none",
        ),
    ),
    Mutation(
        guard="pruning: the audit log keeps as many days as configured",
        changes=(
            ("crm_pipelines/access/api_writes.sql", "WHERE at < now() - make_interval(days => :days) ORDER", "ORDER"),
        ),
        tests=(f"{_PRUNING}::test_the_audit_log_keeps_as_many_days_as_configured_and_so_do_answers_kept_for_a_day",),
    ),
    Mutation(
        guard="Compose: services have another password than the superuser",
        changes=(("deploy/migrate.py", "if of_services == password:", "if False:"),),
        tests=(f"{_MIGRATE}::test_one_password_for_both_is_refused",),
    ),
    Mutation(
        guard="Compose: what a former version made gets its owner",
        changes=(
            ("deploy/roles.sql", "        EXECUTE one.change;\n    END LOOP;\n\n", "        NULL;\n    END LOOP;\n\n"),
        ),
        tests=(f"{_MIGRATE}::test_what_a_former_version_made_as_superuser_gets_its_owner_and_nothing_else_does",),
    ),
    Mutation(
        guard="db psql: the password is in nobody's process list",
        changes=(
            (
                "crm_pipelines/local/postgres_programs.py",
                'password = parameters.pop("password", None)',
                'password = parameters.get("password", None)',
            ),
        ),
        tests=("crm_pipelines_tests/integration/cli/test_psql.py::test_the_password_is_in_nobodys_process_list",),
    ),
    Mutation(
        guard="endpoint: a run whose import failed sends its contacts singly",
        changes=((_SENDING, "if receipt.failed is None or receipt.halted is not None", "if True"),),
        tests=(f"{_ENDPOINT}::test_what_an_import_could_not_bring_in_goes_in_the_same_run_and_the_sums_add_up",),
    ),
    Mutation(
        guard="endpoint: after two failed imports in a row there is none for an hour",
        changes=(
            (_TAKING, "if (rest := bulk_held_up(ends)) is not None:", "if (rest := bulk_held_up([])) is not None:"),
        ),
        tests=(
            (
                f"{_ENDPOINT}"
                "::test_after_two_imports_that_came_to_nothing_contacts_go_singly_for_an_hour_and_the_log_says_so"
            ),
        ),
    ),
    Mutation(
        guard="endpoint: an import that arrives ends the series of failures",
        changes=((_PLANNING, ' or any(end.ended_as == "proved" for end in latest):', ":"),),
        tests=(f"{_ENDPOINT}::test_an_import_that_arrives_ends_the_series",),
    ),
    Mutation(
        guard="endpoint: what a closed gate held back is no failure of the import",
        changes=((_IMPORTS_SQL, " AND i.ended_as <> 'given_back'", ""),),
        tests=(f"{_ENDPOINT}::test_what_a_closed_gate_held_back_is_no_failure_of_the_import",),
    ),
    Mutation(
        guard="endpoint: a refusal of what only imports need closes no gate",
        changes=(_REFUSED_IN_BULK,),
        tests=(f"{_ENDPOINT}::test_a_refusal_of_what_only_imports_need_closes_no_gate",),
    ),
    Mutation(
        guard="endpoint: attributes that cannot be read, though they are known, hold up nobody",
        changes=(
            ("crm_pipelines/delivery/account/learning.py", "if self._crm.attributes_version is not None:", "if False:"),
        ),
        tests=(f"{_LEFT_OUT}::test_where_only_the_attributes_cannot_be_read_contacts_go_by_what_was_seen_before",),
    ),
    Mutation(
        guard="endpoint: a refused import counts as one that failed",
        changes=((_BULK_SENDING, "if outcome.result in _FAILED:", "if outcome.result is Result.RETRY:"),),
        tests=(f"{_ENDPOINT}::test_after_two_failures_of_what_only_imports_need_it_is_left_alone_for_an_hour",),
    ),
    Mutation(
        guard="endpoint: an account that cannot be read counts as an import that failed",
        changes=((_TAKING, "    if scanner.failed:\n", "    if False:\n"),),
        tests=(f"{_ENDPOINT}::test_after_two_failures_of_what_only_imports_need_it_is_left_alone_for_an_hour",),
    ),
    Mutation(
        guard="endpoint: what nobody can confirm is given up at its deadline",
        changes=(
            (
                _BULK_SENDING,
                "waited for longer when nobody can see what it brought in\n            self._give_up_overdue()",
                "so\n            pass",
            ),
        ),
        tests=(f"{_ENDPOINT}::test_what_no_reading_proves_goes_singly_in_time_and_holds_up_nobody_else",),
    ),
    Mutation(
        guard="endpoint: imports that nobody can confirm hold up nobody else",
        changes=((_BULK_SENDING, 'self._failed = self._failed or "unanswered"', "pass"),),
        tests=(f"{_ENDPOINT}::test_what_no_reading_proves_goes_singly_in_time_and_holds_up_nobody_else",),
    ),
    Mutation(
        guard="endpoint: failures at the former account do not count",
        changes=((_IMPORTS_SQL, "   AND i.ended_at > coalesce(g.account_since, '-infinity')\n", ""),),
        tests=(f"{_ENDPOINT}::test_failures_at_the_former_account_hold_nothing_up_at_the_new_one",),
    ),
    Mutation(
        guard="endpoint: bodies are smaller after a time-out",
        changes=((_BULK_SENDING, "planning.body_bytes(self.bulk.most_bytes, ends)", "self.bulk.most_bytes"),),
        tests=(f"{_ENDPOINT}::test_bodies_are_halved_after_a_time_out_down_to_a_floor_and_grow_after_a_success",),
    ),
    Mutation(
        guard="endpoint: a limit of the run holds for what follows a failed import",
        changes=((_SENDING, "claim_limit(left, rate, most)", "claim_limit(left, rate, None)"),),
        tests=(f"{_ENDPOINT}::test_a_limit_holds_for_what_goes_singly_after_a_failed_import",),
    ),
    Mutation(
        guard="settings: a list that is not there is no contact's fault",
        changes=((_OUTCOMES, "if status in {400, 404} and _LIST.search(said):", "if False:"),),
        tests=(
            (
                f"{_SETTINGS_TESTS}"
                "::test_contacts_wait_uncharged_for_a_list_that_is_gone_and_go_when_the_setting_is_mended"
            ),
        ),
    ),
    Mutation(
        guard="settings: a refusal of the request's form is no contact's fault",
        changes=((_OUTCOMES, "if status in {405, 406, 415} or code in", "if code in"),),
        tests=(f"{_SETTINGS_TESTS}::test_what_is_wrong_with_the_request_is_charged_to_nobody",),
    ),
    Mutation(
        guard="settings: a contact that is being created cannot be missing",
        changes=((_UPSERT, "if target is None and refused.result is Result.REJECTED and", "if False and"),),
        tests=(f"{_SETTINGS_TESTS}::test_what_is_wrong_with_the_request_is_charged_to_nobody",),
    ),
    Mutation(
        guard="settings: a page in place of an answer rejects nobody",
        changes=((_OUTCOMES, "    if body is None and has_body:\n", "    if False:\n"),),
        tests=(f"{_SETTINGS_TESTS}::test_a_page_in_place_of_an_answer_rejects_nobody",),
    ),
    Mutation(
        guard="settings: another one opens the gate",
        changes=(
            (
                _GATEKEEPING,
                "present = crm.settings_fingerprint if of_settings else",
                "present = state.refused_fingerprint or",
            ),
        ),
        tests=(
            (
                f"{_SETTINGS_TESTS}"
                "::test_contacts_wait_uncharged_for_a_list_that_is_gone_and_go_when_the_setting_is_mended"
            ),
        ),
    ),
    Mutation(
        guard="settings: the gate opens when the list is there, and not when the key is well",
        changes=((_GATEKEEPING, "(crm.probe_settings if of_settings else crm.probe)", "crm.probe"),),
        tests=(f"{_SETTINGS_TESTS}::test_a_list_that_is_there_again_opens_the_gate_at_the_next_tick_by_one_request",),
    ),
    Mutation(
        guard="settings: a list of ours that is gone closes no gate",
        changes=((_BULK_PY, "        outcome = _of_the_import(outcome, target)\n", ""), _REFUSED_IN_BULK),
        tests=(f"{_SETTINGS_TESTS}::test_what_is_wrong_with_a_list_of_ours_closes_nothing_and_contacts_go_singly",),
    ),
    Mutation(
        guard="settings: a folder that is gone closes no gate",
        changes=((_BULK_PY, "return _of_the_import(outcome), None", "return outcome, None"), _REFUSED_IN_BULK),
        tests=(f"{_SETTINGS_TESTS}::test_what_is_wrong_with_a_list_of_ours_closes_nothing_and_contacts_go_singly",),
    ),
    Mutation(
        guard="turns: a long queue leaves suspects a share",
        changes=((_TAKING, "share = 0 if probing else suspects_share(most_alone)", "share = 0"),),
        tests=(f"{_TURNS}::test_suspects_get_their_turn_however_long_the_queue_is",),
    ),
    Mutation(
        guard="turns: many suspects leave the others their share",
        changes=((_TAKING, "share = 0 if probing else suspects_share(most_alone)", "share = limit"),),
        tests=(f"{_TURNS}::test_suspects_however_many_leave_the_others_their_turn",),
    ),
    Mutation(
        guard="turns: contacts that need no request are no probe",
        changes=((_OPS, "limit = min(limit, smallest)  #", "limit = 1  #"),),
        tests=(f"{_TURNS}::test_contacts_that_need_no_request_are_no_probe",),
    ),
    Mutation(
        guard="turns: while the gate is probing nobody else is under way",
        changes=((_COURIER, "while left and self.session.halted is None", "while False and left"),),
        tests=(
            f"{_TURNS}::test_a_probe_that_fails_is_the_only_one_and_costs_nobody_else_anything",
            f"{_TURNS}::test_a_probe_that_nobody_else_is_under_way_with",
        ),
    ),
    Mutation(
        guard="turns: a suspect is a probe only if there is nobody else",
        changes=(
            (_TAKING, "if left > 0 and not (probing and claims):", "if left > 0:"),
            (_TAKING, "share = 0 if probing else", "share = limit if probing else"),
        ),
        tests=(f"{_TURNS}::test_a_suspect_is_a_probe_only_if_there_is_nobody_else",),
    ),
    Mutation(
        guard="turns: of a limited run an import takes what is left",
        changes=((_OPS, "config.limit - len(claims) - len(suspects)", "config.limit"),),
        tests=(f"{_TURNS}::test_of_a_limited_run_an_import_takes_what_the_contacts_that_go_singly_leave",),
    ),
    Mutation(
        guard="turns: a probe that is only asked to wait is the only one",
        changes=(
            (
                _COURIER,
                "            if self.session.refused_for_rate:\n                released,",
                "            if False:\n                released,",
            ),
        ),
        tests=(f"{_TURNS}::test_a_probe_that_is_only_asked_to_wait_is_the_only_one",),
    ),
    Mutation(
        guard="settings: a refused list is no missing contact",
        changes=((_UPSERT, "        if refused.kind == SETTINGS:\n            return refused\n", ""),),
        tests=(f"{_SETTINGS_TESTS}::test_an_update_that_is_refused_for_its_list_creates_nothing",),
    ),
    Mutation(
        guard="end: the death of a step's process is a crash",
        changes=((_ENDED_RUNS, "and _process_died(event)", "and False"),),
        tests=("crm_pipelines_tests/integration/orchestration/test_scaling_out.py", _SCHEDULE),
    ),
    Mutation(
        guard="end: a worker that dies after an op had failed has crashed",
        changes=((_ENDED_RUNS, "(not failed or bool(unfinished))", "not failed"),),
        tests=(f"{_SCHEDULE}::test_a_run_has_crashed_whose_worker_died_after_one_of_its_ops_had_failed",),
    ),
    Mutation(
        guard="end: what dies after a cancel is no crash",
        changes=((_ENDED_RUNS, "and not by_order ", ""),),
        tests=(f"{_SCHEDULE}::test_what_dies_in_a_run_after_somebody_has_cancelled_it_is_no_crash",),
    ),
    Mutation(
        guard="end: from failure, a batch that no run executed is empty",
        changes=(("crm_pipelines/orchestration/sync/reexecution.py", "if _is_kept(upstream):", "if True:"),),
        tests=(_RUN_ENDS,),
    ),
    Mutation(
        guard="end: a stop is not raised between an import's answer and its record",
        changes=(
            (
                _BULK_SENDING,
                "return undisturbed(partial(self._run, scan, most, budget), partial(self.session.halt, STOPPED))",
                "return self._run(scan, most, budget)",
            ),
        ),
        tests=(_BULK_STOPS,),
    ),
    Mutation(
        guard="put first: one run waits at most",
        changes=((_LAUNCHING, "run_id = _asked(lambda: self._waiting(crm))", "run_id = None"),),
        tests=(_PUT_FIRST,),
    ),
    Mutation(
        guard="put first: launches at once wait for each other",
        changes=(
            (_LAUNCHING, "if not self._one_at_a_time.acquire(timeout=_SECONDS):", "if False:"),
            (_LAUNCHING, "            self._one_at_a_time.release()", "            pass"),
        ),
        tests=(_PUT_FIRST,),
    ),
    Mutation(
        guard="put first: a run for them takes nobody who waits for a retry",
        changes=(
            (
                _QUEUE_SQL,
                "WHERE crm = :crm AND state = 'queued' AND run_at <= now()\n\n-- name: peek",
                "WHERE crm = :crm AND state = 'queued'\n\n-- name: peek",
            ),
        ),
        tests=(f"{_PUT_FIRST}::test_who_was_put_first_and_tried_since_waits_for_the_retry_like_others",),
    ),
    Mutation(
        guard="schedule: runs for chosen contacts do not count",
        changes=((_SCHEDULES, "if not was_limited(record.dagster_run)]", "]"),),
        tests=(f"{_SCHEDULE}::test_runs_for_chosen_contacts_hold_the_others_up_for_one_run_at_most",),
    ),
    Mutation(
        guard="schedule: its run goes ahead of those for chosen contacts",
        changes=((_SCHEDULES, '**slot, _AHEAD_OF_CHOSEN: "1"', "**slot"),),
        tests=(f"{_SCHEDULE}::test_runs_for_chosen_contacts_hold_the_others_up_for_one_run_at_most",),
    ),
    Mutation(
        guard="migration: it gives way to those behind it",
        changes=((_DATABASE, '_LOCK_TIMEOUT = "500ms"', '_LOCK_TIMEOUT = "0"'),),
        tests=(_OTHERS_GO_ON,),
    ),
    Mutation(
        guard="migration: an index on a table in use is built concurrently",
        changes=((_BRIEF_LOCKS, "CREATE INDEX CONCURRENTLY", "CREATE INDEX"),),
        tests=(_OTHERS_GO_ON,),
    ),
    Mutation(
        guard="migration: an index that was not finished is built anew",
        changes=((_BRIEF_LOCKS, 'if connection.scalar(_UNFINISHED, {"name": name}):', "if False:"),),
        tests=(f"{_DATABASE_TESTS}::test_an_index_whose_building_was_broken_off_is_built_anew",),
    ),
    Mutation(
        guard="upsert: contacts are locked in the order of their addresses",
        changes=((_UPSERT_SQL, "ORDER BY crm_address(i.value ->> 'email'), i.position", "ORDER BY i.position"),),
        tests=(f"{_UPSERT_TESTS}::test_two_batches_in_different_order_do_not_wait_for_each_other",),
    ),
    Mutation(
        guard="upsert: what is stored is locked before it is compared",
        changes=(
            (
                _UPSERT_SQL,
                "crm_address(item.value ->> 'email') FOR NO KEY UPDATE;",
                "crm_address(item.value ->> 'email');",
            ),
        ),
        tests=(f"{_UPSERT_TESTS}::test_two_at_once_make_one_contact_with_what_both_say",),
    ),
    Mutation(
        guard="upsert: a contact that somebody else has just added is changed",
        changes=((_UPSERT_SQL, "ON CONFLICT DO NOTHING RETURNING c.id INTO", "RETURNING c.id INTO"),),
        tests=(f"{_UPSERT_TESTS}::test_two_at_once_make_one_contact_with_what_both_say",),
    ),
    Mutation(
        guard="upsert: nobody is selected who was before",
        changes=(
            (
                _UPSERT_SQL,
                "WHERE NOT EXISTS (SELECT FROM crm_syncs k WHERE k.contact_id = x AND k.crm = one_crm)",
                "WHERE x IS NOT NULL",
            ),
        ),
        tests=(f"{_UPSERT_TESTS}::test_selecting_is_for_those_who_never_were_as_by_an_import",),
    ),
    Mutation(
        guard="upsert: what jsonb does not take is one item's problem",
        changes=((_UPSERT_SQL, "items := items || ARRAY[NULL::jsonb];", "RAISE;"),),
        tests=(f"{_UPSERT_TESTS}::test_what_postgres_cannot_store_is_that_items_problem_alone",),
    ),
    Mutation(
        guard="connection: start options that a pooler drops are missed",
        changes=((_CONNECTING, "if _is_marked(connection):", "if True:"),),
        tests=(_BEHIND_A_POOLER,),
    ),
    Mutation(
        guard="connection: behind a pooler each transaction has its time-outs",
        changes=((_CONNECTING, "        if self.pooled:\n            calls", "        if False:\n            calls"),),
        tests=(_BEHIND_A_POOLER,),
    ),
    Mutation(
        guard="connection: behind a pooler nothing is set for a session",
        changes=((_CONNECTING, "set_config(%s, %s, true)", "set_config(%s, %s, false)"),),
        tests=(_BEHIND_A_POOLER,),
    ),
    Mutation(
        guard="connection: behind a pooler no statement is prepared on the server",
        changes=((_CONNECTING, ', "prepare_threshold": None}', "}"),),
        tests=(_BEHIND_A_POOLER,),
    ),
    Mutation(
        guard="connection: the search_path of the URL holds",
        changes=((_CONNECTING, "{**_SESSION, **session, **theirs}", "{**_SESSION, **session}"),),
        tests=(f"{_CONNECTING_TESTS}::test_a_schema_of_ones_own_holds_everything",),
    ),
    Mutation(
        guard="connection: one that takes no writes any more is given up",
        changes=((_CONNECTING, "context.is_disconnect = True", "pass"),),
        tests=(
            f"{_CONNECTING_TESTS}::test_where_no_writes_are_taken_the_connection_is_given_up_and_the_next_one_goes_on",
        ),
    ),
    Mutation(
        guard="connection: a password is not quoted, whoever says it",
        changes=(
            (
                "crm_pipelines/database/connection_problems.py",
                'if password := re.escape(str(url.password or "")):',
                'if password := re.escape(""):',
            ),
        ),
        tests=(f"{_CONNECTING_TESTS}::test_what_a_server_or_a_pooler_says_becomes_what_to_do",),
    ),
    Mutation(
        guard="phones: the .0 that a program made is no digit",
        changes=((_PHONES, "return whole, True", "return written, True"),),
        tests=(f"{_PHONE_TESTS}::test_what_is_certain_is_sent",),
    ),
    Mutation(
        guard="phones: a number that a lost plus makes another one is none",
        changes=((_PHONES, "if other not in {None, found}:", "if False:"),),
        tests=(f"{_PHONE_TESTS}::test_what_is_not_certain_is_refused_with_the_kind_of_doubt",),
    ),
    Mutation(
        guard="phones: a number that a lost zero makes another one is none",
        changes=((_PHONES, "lacks_zero = usual", "lacks_zero = False and usual"),),
        tests=(f"{_PHONE_TESTS}::test_what_is_not_certain_is_refused_with_the_kind_of_doubt",),
    ),
    Mutation(
        guard="phones: where libphonenumber is not asked, its patterns of each kind of number decide",
        changes=((_PHONES, "(?:{'|'.join(kinds)})", "(?:.*)"),),
        tests=(f"{_PHONE_TESTS}::test_digits_behind_a_plus_are_the_number_that_libphonenumber_finds_in_them",),
    ),
    Mutation(
        guard="phones: two numbers with a slash between them are none",
        changes=((_PHONES, "if slash and len(", "if False and len("),),
        tests=(f"{_PHONE_TESTS}::test_what_is_not_certain_is_refused_with_the_kind_of_doubt",),
    ),
    Mutation(
        guard="values: a number that may be another one is left out",
        changes=((_NUMERALS, "if _UNCLEAR.fullmatch(written):", "if False:"),),
        tests=(f"{_NORMALIZE_TESTS}::test_what_is_no_finite_number_is_refused",),
    ),
    Mutation(
        guard="values: a day that may be another one is left out",
        changes=((_DAYS, "elif second <= 12 and first != second:", "elif False:"),),
        tests=(f"{_NORMALIZE_TESTS}::test_what_is_no_iso_date_is_refused",),
    ),
    Mutation(
        guard="values: a mapping file that says nothing new keeps its version",
        changes=((_MAPPING, 'mode="json", exclude_none=True', 'mode="json"'),),
        tests=(f"{_ATTRIBUTE_TESTS}::test_the_shipped_mapping_has_the_version_that_it_has_always_had",),
    ),
    Mutation(
        guard="values: the attributes of a type that was no cause go with the rest",
        changes=((_UPSERT, "        self._attributes |= self._left_on_suspicion\n", ""),),
        tests=(f"{_VALUES}::test_a_value_that_is_refused_without_a_name_is_found_by_its_type_and_the_rest_arrives",),
    ),
    Mutation(
        guard="values: provision goes on after a refusal",
        changes=((_WANTED, "if outcome.result is not Result.REJECTED:", "if True:"),),
        tests=(f"{_VALUES}::test_provision_goes_on_after_a_refusal_and_a_second_time_makes_what_was_refused",),
    ),
    Mutation(
        guard="values: a doubtful phone makes nobody look at the account",
        changes=((_ATTRIBUTES_SQL, "AND NOT left_out <@ CAST(:judged_here AS text[])", ""),),
        tests=(f"{_LEFT_OUT}::test_a_doubtful_phone_alone_makes_nobody_look_at_the_account",),
    ),
    Mutation(
        guard="rate window: a limit counts over the window that it is of",
        changes=((_RATES, "rate.limit / rate.window.total_seconds()", "float(rate.limit)"),),
        tests=(f"{_WINDOWS}::test_a_limit_of_ten_seconds_paces_the_account_by_its_tenth",),
    ),
    Mutation(
        guard="rate window: of several the narrowest counts",
        changes=((_RATES, "min(self._by_window.values())", "self._by_window[rate.window]"),),
        tests=(f"{_RATES_TESTS}::test_whatever_windows_are_reported_the_rate_is_above_none_of_them",),
    ),
    Mutation(
        guard="rate window: no pause is longer than the window",
        changes=((_RATES, "min(rate.window or LONGEST_PAUSE, LONGEST_PAUSE)", "LONGEST_PAUSE"),),
        tests=(f"{_RATES_TESTS}::test_no_pause_is_longer_than_the_window",),
    ),
    Mutation(
        guard="rate window: a day that is used up parks until it resets",
        changes=((_RATES, "LONGEST_PAUSE = timedelta(days=1)", "LONGEST_PAUSE = timedelta(hours=1)"),),
        tests=(f"{_WINDOWS}::test_a_day_that_is_used_up_parks_the_account_until_it_resets",),
    ),
    Mutation(
        guard="shared request: one that failed is one failure in a row, however many contacts were in it",
        changes=((_GATEKEEPING, "if attempt.requests]", "if attempt.answered]"),),
        tests=(f"{_TALLY_TESTS}::test_a_request_of_a_hundred_contacts_that_failed_is_one_failure",),
    ),
    Mutation(
        guard="shared request: one that failed is one failure to the run that sent it",
        changes=((_CRM_SESSION, "if not outcome.shared:", "if True:"),),
        tests=(f"{_COURIER_TESTS}::test_a_request_of_many_contacts_that_failed_is_no_row_of_failures",),
    ),
    Mutation(
        guard="shared request: the share of failures is one of requests",
        changes=(
            (_GATES_SQL, "SELECT outcome, requests > 0 AND", "SELECT outcome, coalesce(answered, requests > 0) AND"),
        ),
        tests=(f"{_SHARED}::test_of_ten_requests_the_share_that_failed_counts_and_not_that_of_contacts",),
    ),
    Mutation(
        guard="shared request: rejects are counted by contacts",
        changes=(
            (
                _GATES_SQL,
                "(outcome = 'rejected' AND coalesce(answered, requests > 0))",
                "(outcome = 'rejected' AND requests > 0)",
            ),
        ),
        tests=(f"{_SHARED}::test_a_mapping_mistake_shows_in_the_contacts_of_a_single_request",),
    ),
    Mutation(
        guard="shared request: a contact that was never sent is no reject of the CRM",
        changes=((_GATES_SQL, "(outcome = 'rejected' AND coalesce(answered, requests > 0))", "outcome = 'rejected'"),),
        tests=(f"{_SHARED}::test_who_was_never_sent_is_no_reject_of_the_crm",),
    ),
    Mutation(
        guard="shared request: the breaker understands entries of a former version",
        changes=((_GATES_SQL, "AND coalesce(answered, requests > 0))", "AND answered)"),),
        tests=(f"{_SHARED}::test_what_a_former_version_writes_counts_for_the_breaker",),
    ),
    Mutation(
        guard="shared request: entries of a former version tell who was attempted",
        changes=((_QUEUE_SQL, "coalesce(o.answered, o.requests > 0)", "o.answered"),),
        tests=(f"{_SHARED}::test_of_what_a_former_version_writes_whoever_had_a_request_was_answered",),
    ),
    Mutation(
        guard="shared request: everybody in it was attempted",
        changes=((_QUEUE_SQL, "coalesce(o.answered, o.requests > 0)", "o.requests > 0"),),
        tests=(f"{_SHARED}::test_everybody_in_a_request_was_attempted_and_the_request_counts_once",),
    ),
    Mutation(
        guard="destinations: selecting where nobody delivers is told once a statement",
        changes=((_NOTICE_SQL, "IF current_setting(asked, true) = statement_timestamp()::text THEN", "IF false THEN"),),
        tests=(f"{_DESTINATION_TESTS}::test_selecting_in_sql_where_nobody_delivers_is_done_and_told_once_a_statement",),
    ),
    Mutation(
        guard="destinations: nobody is selected for a name that nobody ever had",
        changes=((_NOTICE_SQL, "IF NOT known THEN", "IF false THEN"),),
        tests=(f"{_DESTINATION_TESTS}::test_a_name_that_nobody_ever_had_is_refused_everywhere",),
    ),
    Mutation(
        guard="destinations: who is suppressed everywhere is so at an account that comes later",
        changes=(
            (
                "crm_pipelines/destinations/registered.py",
                '            connection.execute(_SQL["suppress_everybody_known"], given)\n',
                "",
            ),
        ),
        tests=(f"{_DESTINATION_TESTS}::test_who_is_suppressed_everywhere_is_so_at_an_account_that_comes_later",),
    ),
    Mutation(
        guard="destinations: a contact there is suppressed, too",
        changes=(
            (
                "crm_pipelines/destinations/registered.py",
                '            connection.execute(_SQL["suppress_contacts_known"], given)\n',
                "",
            ),
        ),
        tests=(f"{_DESTINATION_TESTS}::test_who_is_suppressed_everywhere_is_so_at_an_account_that_comes_later",),
    ),
    Mutation(
        guard="destinations: who is suppressed at one alone is not at the next",
        changes=((_DESTINATIONS_SQL, "y.crm = g.crm AND y.lifted_at IS NULL))", "y.lifted_at IS NULL))"),),
        tests=(f"{_DESTINATION_TESTS}::test_who_is_suppressed_everywhere_is_so_at_an_account_that_comes_later",),
    ),
    Mutation(
        guard="destinations: one that nobody has had for a day is none that somebody delivers to",
        changes=(
            (_DESTINATIONS_SQL, "WHERE name = :name AND seen_at > now() - interval '1 day'", "WHERE name = :name"),
        ),
        tests=(f"{_DESTINATION_TESTS}::test_one_may_select_for_what_this_process_or_somebody_else_delivers_to",),
    ),
    Mutation(
        guard="destinations: why tells of a contact that nobody delivers",
        changes=(("crm_pipelines/contacts/story.py", "outlook = outlook or outlook_of", "outlook = outlook_of"),),
        tests=(f"{_DESTINATION_TESTS}::test_why_says_that_nobody_delivers_and_the_way_out",),
    ),
    Mutation(
        guard="destinations: the ledger of each is pruned",
        changes=(
            (
                "crm_pipelines/orchestration/upkeep/pruning.py",
                "for crm in known_destinations(connection)]",
                'for crm in known_destinations(connection) if crm == "brevo"]',
            ),
        ),
        tests=(f"{_PRUNING}::test_the_ledger_of_every_destination_is_pruned",),
    ),
    Mutation(
        guard="gate: what a refusal was about is forgotten when it opens",
        changes=((_GATES_SQL, "pause_reason = NULL, refused_kind = NULL, ", "pause_reason = NULL, "),),
        tests=(f"{_DESTINATION_TESTS}::test_a_refused_key_is_remembered_by_its_kind_until_the_gate_opens",),
    ),
    Mutation(
        guard="conformance: an answer that is not the CRM's confirms nothing",
        changes=(
            (_OUTCOMES, "if body is not None or status == 204 or (", "if True or ("),
            (_UPSERT, 'self._api.ask if method == "GET" else self._api.write', "self._api.ask"),
        ),
        tests=(f"{_CONFORMANCE}/test_faults.py::test_nothing_counts_as_arrived_while_no_answer_confirms_it",),
    ),
    Mutation(
        guard="conformance: nor JSON of somebody else",
        changes=((_UPSERT, 'self._api.ask if method == "GET" else self._api.write', "self._api.ask"),),
        tests=(f"{_CONFORMANCE}/test_faults.py::test_nothing_counts_as_arrived_while_no_answer_confirms_it",),
    ),
    Mutation(
        guard="conformance: which tells nothing of whom the CRM holds",
        changes=((_LOOKING, "if outcome.remote_id is None:", "if False:"),),
        tests=(f"{_CONFORMANCE}/test_reading.py::test_nobody_is_called_missing_without_a_right_answer",),
    ),
    Mutation(
        guard="conformance: nor of all that it holds, before an import",
        changes=((_BULK_PY, 'if not {"contacts", "count"} & body.keys():', "if False:"),),
        tests=(f"{_CONFORMANCE}/test_importing.py::test_nothing_is_read_without_a_right_answer",),
    ),
    Mutation(
        guard="conformance: nor does it open a gate",
        changes=(("crm_pipelines/crms/brevo/__init__.py", "SYNCED and not told & ", "SYNCED and set() & "),),
        tests=(f"{_CONFORMANCE}/test_faults.py::test_a_probe_says_what_a_delivery_would_say",),
    ),
    Mutation(
        guard="conformance: nor which fields the account has",
        changes=((_PREFLIGHT, "if outcome.result is Result.SYNCED and rows is None:", "if False:"),),
        tests=(f"{_OF_ACCOUNTS}::test_what_could_not_be_created_is_an_error_in_a_sentence",),
    ),
    Mutation(
        guard="conformance: how long the CRM asks to wait is read",
        changes=((_OUTCOMES, "retry_after=retry_after,", "retry_after=None,"),),
        tests=(
            f"{_CONFORMANCE}/test_faults.py::test_too_many_requests_are_snoozed_for_as_long_as_the_crm_says",
            f"{_CONFORMANCE}/test_faults.py::test_an_outage_of_which_the_crm_says_how_long_it_lasts_is_waited_for",
        ),
    ),
    Mutation(
        guard="conformance: who opted out is not renamed",
        changes=((_UPSERT, "if unsubscribed and not moved:", "if False:"),),
        tests=(f"{_OF_CONSENT}::test_who_opted_out_stays_so_when_the_address_changes",),
    ),
    Mutation(
        guard="conformance: a CRM that quotes the key is not repeated",
        changes=(("crm_pipelines/crms/api.py", "hide=(*self._secrets, *hide)", "hide=hide"),),
        tests=(f"{_OF_ACCOUNTS}::test_what_the_crm_quotes_of_the_key_and_the_contact_is_told_to_nobody",),
    ),
    Mutation(
        guard="conformance: nor what an exception says",
        changes=((_ANSWERS, 'f"The connection to {label} failed or broke off."', "str(error)"),),
        tests=(f"{_OF_ACCOUNTS}::test_no_key_and_no_address_is_in_what_is_told_when_the_way_to_the_crm_fails",),
    ),
    Mutation(
        guard="conformance: false and 0 are values",
        changes=((_MAPPING, "                if value is not None:", "                if value:"),),
        tests=(
            f"{_CONFORMANCE}/test_arriving.py::test_zero_arrives_on_creation_and_on_update",
            f"{_CONFORMANCE}/test_importing.py::test_what_is_imported_arrives_and_is_proved_by_what_is_read",
        ),
    ),
    Mutation(
        guard="conformance: what became blank is cleared",
        changes=((_UPSERT, ", **dict.fromkeys(payload.clear, CLEARED)}", "}"),),
        tests=(f"{_CONFORMANCE}/test_arriving.py::test_what_became_blank_is_cleared_and_what_is_false_is_not",),
    ),
    Mutation(
        guard="conformance: an outage is not taken for a contact that is missing",
        changes=(
            (
                _LOOKING,
                'elif outcome.http_status != 404 and outcome.kind != "invalid_address":',
                "elif False:",
            ),
        ),
        tests=(f"{_CONFORMANCE}/test_reading.py::test_nobody_is_called_missing_without_a_right_answer",),
    ),
    Mutation(
        guard="conformance: what is compared may differ",
        changes=((_LOOKING, "same = blank or (", "same = True or ("),),
        tests=(f"{_CONFORMANCE}/test_reading.py::test_what_somebody_changed_at_the_crm_is_called_different",),
    ),
    Mutation(
        guard="conformance: who opted out is known before an import",
        changes=((_BULK_PY, 'fields.get("emailBlacklisted") is False\n', "True\n"),),
        tests=(f"{_CONFORMANCE}/test_importing.py::test_who_opted_out_is_known_by_each_identifier_before_an_import",),
    ),
    Mutation(
        guard="conformance: nor is somebody imported who left the list",
        changes=((_BULK_PY, 'and not fields.get("listUnsubscribed")\n', "and True\n"),),
        tests=(
            f"{_CONFORMANCE}/test_importing.py::test_who_left_the_list_is_known_by_each_identifier_before_an_import",
        ),
    ),
    Mutation(
        guard="conformance: who left the list before us is not put back",
        changes=((_UPSERT, "list_id in target.left or (", "("),),
        tests=(
            f"{_OF_CONSENT}::test_who_left_the_list_before_us_is_not_put_back_by_the_first_delivery_and_the_rest_arrives",
        ),
    ),
    Mutation(
        guard="conformance: nor who was taken off it after an answer was lost",
        changes=((_UPSERT, "(created_by_us and list_id not in target.lists)", "False"),),
        tests=(
            f"{_OF_CONSENT}::test_who_left_the_list_after_an_answer_was_lost_is_not_put_back_when_it_is_tried_again",
        ),
    ),
    Mutation(
        guard="conformance: whom the turn leaves out is not sent",
        changes=((_UPSERT, "if not self._turn([self._contact]):", "if self._turn([self._contact]) is None:"),),
        tests=(
            f"{_OF_TURNS}::test_whom_the_turn_leaves_out_is_in_no_request_and_the_others_are_sent",
            f"{_OF_TURNS}::test_a_turn_that_lets_nobody_pass_makes_no_request",
            f"{_OF_TURNS}::test_who_is_left_out_between_two_requests_is_as_before_or_has_arrived",
        ),
    ),
    Mutation(
        guard="conformance: nor told of as if it had been",
        changes=(
            (
                _UPSERT,
                "        except _NotItsTurn:\n            return None",
                "        except _NotItsTurn:\n            outcome = Outcome(result=Result.RETRY)",
            ),
        ),
        tests=(f"{_OF_TURNS}::test_whom_the_turn_leaves_out_is_in_no_request_and_the_others_are_sent",),
    ),
    Mutation(
        guard="commands: check looks at the account that is named",
        changes=(
            (
                "crm_pipelines/cli/checking.py",
                "with open_account(settings, destination.name, engine) as opened:",
                'with open_account(settings, "brevo", engine) as opened:',
            ),
        ),
        tests=(f"{_COMMANDS}::test_what_talks_to_a_crm_talks_to_the_account_that_is_named",),
    ),
    Mutation(
        guard="commands: provision creates in the account that is named",
        changes=(
            (
                "crm_pipelines/cli/delivery.py",
                "open_account(settings, crm, engine)",
                'open_account(settings, "brevo", engine)',
            ),
        ),
        tests=(f"{_COMMANDS}::test_what_talks_to_a_crm_talks_to_the_account_that_is_named",),
    ),
    Mutation(
        guard="commands: nobody is queued for what is no destination",
        changes=(
            ("crm_pipelines/cli/contacts.py", "        crm = selectable(settings, engine, crm)\n", ""),
            ("crm_pipelines/cli/importing.py", "[selectable(settings, engine, crm) for crm in crms]", "crms"),
        ),
        tests=(f"{_COMMANDS}::test_what_is_no_destination_is_refused_with_the_variable_to_set_and_nothing_is_done",),
    ),
    Mutation(
        guard="commands: why --live asks no account that the contact was never selected for",
        changes=(
            (
                "crm_pipelines/delivery/why.py",
                "[name for name in settings.destinations if name in names] or list(settings.destinations)",
                "list(settings.destinations)",
            ),
        ),
        tests=(f"{_COMMANDS}::test_why_live_asks_those_that_the_contact_was_selected_for_and_no_other",),
    ),
    Mutation(
        guard="commands: an account that cannot be asked hinders no other",
        changes=(
            (
                "crm_pipelines/delivery/why.py",
                "    except SettingsError as reason:\n        return LiveComparison",
                "    except OSError as reason:\n        return LiveComparison",
            ),
        ),
        tests=(f"{_COMMANDS}::test_who_cannot_be_asked_says_why_and_hinders_no_other",),
    ),
    Mutation(
        guard="commands: a role that may only read is served",
        changes=(("crm_pipelines/cli/database.py", "with suppress(sa.exc.DBAPIError):", "with suppress():"),),
        tests=(f"{_COMMANDS}::test_a_command_makes_its_destinations_known_and_whoever_may_only_read_is_served",),
    ),
    Mutation(
        guard="commands: no account of one CRM has the name of another CRM",
        changes=(
            (
                "crm_pipelines/settings/destinations.py",
                "if name in KINDS and name != kind:",
                "if False:",
            ),
        ),
        tests=(f"{_VARIABLES}::test_a_bad_value_is_named_with_what_was_expected_and_never_repeated",),
    ),
    Mutation(
        guard="unknown: what may have arrived when a worker dies is parked",
        changes=((_QUEUE_SQL, "sending_claim_no IS NOT DISTINCT FROM claim_no AS unknown", "false AS unknown"),),
        tests=(
            f"{_UNKNOWN}::test_an_unknown_outcome_is_an_error_that_says_what_to_do_and_costs_no_attempt",
            f"{_ONCE}::test_what_could_not_be_written_into_the_ledger_is_not_sent_again",
        ),
    ),
    Mutation(
        guard="unknown: only the present claim is in doubt",
        changes=(
            (
                _QUEUE_SQL,
                "sending_claim_no IS NOT DISTINCT FROM claim_no AS unknown",
                "sending_claim_no IS NOT NULL AS unknown",
            ),
        ),
        tests=(f"{_UNKNOWN}::test_what_was_sent_under_an_earlier_claim_is_not_held_against_the_present_one",),
    ),
    Mutation(
        guard="unknown: what the ledger knows is not parked",
        changes=(
            (
                _QUEUE_SQL,
                "       AND NOT (sending_claim_no IS NOT DISTINCT",
                "       AND NOT (false AND sending_claim_no IS NOT DISTINCT",
            ),
        ),
        tests=(f"{_UNKNOWN}::test_what_the_ledger_knows_is_not_taken_for_unknown",),
    ),
    Mutation(
        guard="unknown: an outcome that nobody knows parks, whatever is newer here",
        changes=(
            (
                _QUEUE_SQL,
                "WHEN o.outcome = 'unknown' THEN 'failed'  --",
                "WHEN o.outcome = 'unknown' AND s.revision = o.revision THEN 'failed'  --",
            ),
        ),
        tests=(f"{_UNKNOWN}::test_an_edit_while_it_was_sent_does_not_send_it_again",),
    ),
    Mutation(
        guard="unknown: what was being sent when a backup was made is parked",
        changes=((_GATES, '"park_sent", ', ""),),
        tests=(f"{_UNKNOWN}::test_after_a_restore_what_was_just_being_sent_is_parked_and_what_was_not_is_queued",),
    ),
    Mutation(
        guard="unknown: a late success is believed",
        changes=((_QUEUE_SQL, "OR (s.state = 'failed' AND s.last_error_kind = 'unknown'))))", "))"),),
        tests=(f"{_UNKNOWN}::test_a_late_success_is_believed",),
    ),
    Mutation(
        guard="unknown: an edit does not send it again",
        changes=(
            (
                _DELAYS_SQL,
                "OR (state = 'failed' AND last_error_kind = 'unknown'));",
                ");",
            ),
        ),
        tests=(
            f"{_UNKNOWN}::test_an_edit_does_not_send_it_again_and_why_says_so",
            f"{_UNKNOWN}::test_an_edit_of_which_the_trigger_knew_nothing_does_not_send_it_again",
            f"{_UNKNOWN}::test_an_application_that_upserts_and_selects_does_not_send_it_again",
        ),
    ),
    Mutation(
        guard="unknown: a selection takes nobody whose answer was lost after it began",
        changes=(
            (
                _DELAYS_SQL,
                "AND s.contact_id NOT IN (SELECT w.id FROM wanted w WHERE w.last_error_kind = 'unknown'))",
                "AND false)",
            ),
        ),
        tests=(f"{_UNKNOWN}::test_whose_answer_is_lost_while_all_are_being_selected_is_not_sent_again",),
    ),
    Mutation(
        guard="delay: an edit while a delivery is under way counts from itself for the next one",
        changes=(
            (
                _QUEUE_SQL,
                "WHEN s.wanted_again_claim_no = s.claim_no THEN s.wanted_again_at END",
                "ELSE s.wanted_since END",
            ),
        ),
        tests=(f"{_DELAYS}::test_an_edit_while_a_delivery_is_under_way_counts_from_itself_for_the_next_one",),
    ),
    Mutation(
        guard="delay: a selection while a delivery is under way counts from itself for the next one",
        changes=((_DELAYS_SQL, "            wanted_again_claim_no = s.claim_no,\n", ""),),
        tests=(f"{_DELAYS}::test_a_selection_while_a_delivery_is_under_way_counts_from_itself_for_the_next_one",),
    ),
    Mutation(
        guard="delay: an edit before a delivery has begun is in it",
        changes=(
            (
                _QUEUE_SQL,
                "coalesce(s.wanted_again_claim_no = s.claim_no AND s.wanted_again_at",
                "coalesce(s.wanted_again_at",
            ),
        ),
        tests=(f"{_DELAYS}::test_an_edit_before_the_delivery_has_begun_is_in_it",),
    ),
    Mutation(
        guard="delay: several edits count from the first",
        changes=((_DELAYS_SQL, "wanted_since = coalesce(wanted_since, moment)", "wanted_since = moment"),),
        tests=(
            f"{_DELAYS}::test_several_edits_count_from_the_first_that_is_not_at_the_crm",
            f"{_DELAYS}::test_the_first_delivery_counts_from_the_selection",
        ),
    ),
    Mutation(
        guard="delay: of several edits while a delivery is under way the first counts",
        changes=(
            (
                _DELAYS_SQL,
                "CASE WHEN wanted_again_claim_no = claim_no THEN wanted_again_at ELSE moment END",
                "moment",
            ),
        ),
        tests=(f"{_DELAYS}::test_an_edit_while_a_delivery_is_under_way_counts_from_itself_for_the_next_one",),
    ),
    Mutation(
        guard="delay: a delivery that nobody waited for has none, though somebody edits meanwhile",
        changes=((_QUEUE_SQL, "s.wanted_again_at = s.wanted_since, false)", "false, false)"),),
        tests=(
            f"{_DELAYS}::test_what_is_queued_without_anybody_having_edited_it_has_no_delay_but_an_edit_meanwhile_has",
        ),
    ),
    Mutation(
        guard="delay: another mapping is nobody's edit",
        changes=((_QUEUE_SQL, "run_at = now(), wanted_since = NULL, attempts = 0", "run_at = now(), attempts = 0"),),
        tests=(
            f"{_DELAYS}::test_what_is_queued_without_anybody_having_edited_it_has_no_delay_but_an_edit_meanwhile_has",
        ),
    ),
    Mutation(
        guard="delay: attributes that were made or have changed are nobody's edit",
        changes=(("crm_pipelines/destinations/attributes.sql", ", wanted_since = NULL", ""),),
        tests=(
            f"{_DELAYS}::test_what_is_queued_without_anybody_having_edited_it_has_no_delay_but_an_edit_meanwhile_has",
        ),
    ),
    Mutation(
        guard="delay: what was delivered, by a former version too, is forgotten with the next edit",
        changes=(
            (
                _DELAYS_SQL,
                "run_at = now(), wanted_since = moment",
                "run_at = now(), wanted_since = coalesce(wanted_since, moment)",
            ),
        ),
        tests=(
            f"{_DELAYS}::test_what_waited_at_the_upgrade_has_no_delay_and_what_a_former_version_delivers_since_counts_for_no_later_edit",
        ),
    ),
    Mutation(
        guard="delay: who was given up counts from the edit that corrects it",
        changes=(
            (
                _QUEUE_SQL,
                "('synced', 'unchanged', 'rejected', 'skipped', 'unknown') THEN s.wanted_since",
                "('synced', 'unchanged') THEN s.wanted_since",
            ),
        ),
        tests=(f"{_DELAYS}::test_an_edit_while_the_former_state_is_refused_counts_from_itself",),
    ),
    Mutation(
        guard="delay: a delivery of which the CRM may have dropped values is not its end",
        changes=((_QUEUE_SQL, "CASE WHEN NOT o.outdated THEN o.covered_since END", "o.covered_since"),),
        tests=(f"{_DELAYS}::test_a_delivery_of_which_the_crm_may_have_dropped_values_is_not_the_end_of_the_delay",),
    ),
    Mutation(
        guard="delay: who was taken over is counted by the present worker alone",
        changes=(
            (_QUEUE_SQL, "WHEN o.outcome = 'synced' AND s.claim_no = o.claim_no\n", "WHEN o.outcome = 'synced'\n"),
        ),
        tests=(f"{_DELAYS}::test_who_was_taken_over_is_not_counted_by_the_former_worker",),
    ),
    Mutation(
        guard="delay: it begins with the statement, and not with the transaction",
        changes=((_DELAYS_SQL, "moment timestamptz := clock_timestamp()", "moment timestamptz := now()"),),
        tests=(f"{_DELAYS}::test_an_edit_within_a_long_transaction_counts_from_the_statement_and_not_from_its_begin",),
    ),
    Mutation(
        guard="delay: whoever waits is late, though nothing arrives any more",
        changes=(
            (_DELAY_FIGURES, "greatest(s.wanted_since, g.counting_since) < now() - CAST(:late AS interval)", "false"),
        ),
        tests=(
            f"{_ALERTS}::test_when_it_stands_still_those_who_wait_are_told_of_and_once_more_when_they_wait_no_longer",
        ),
    ),
    Mutation(
        guard="delay: whoever waits counts only once it has waited for too long",
        changes=(
            (_DELAY_FIGURES, "greatest(s.wanted_since, g.counting_since) < now() - CAST(:late AS interval)", "true"),
        ),
        tests=(f"{_ALERTS}::test_one_late_delivery_of_many_that_wait_is_told",),
    ),
    Mutation(
        guard="delay: time in which sending was stopped does not count for the alert",
        changes=((_DELAY_FIGURES, "greatest(a.wanted_since, g.counting_since)", "a.wanted_since"),),
        tests=(f"{_ALERTS}::test_while_sending_is_stopped_by_a_person_nothing_is_late_nor_for_that_afterwards",),
    ),
    Mutation(
        guard="delay: until sending has been on for so long nobody can tell",
        changes=((_FINDINGS, "seen.gate.open_for >= timedelta(minutes=threshold)", "True"),),
        tests=(f"{_ALERTS}::test_a_stop_neither_ends_nor_repeats_what_was_told_of_late_changes",),
    ),
    Mutation(
        guard="retry: all are also those without a kind of error",
        changes=(
            (
                "crm_pipelines/contacts/selection.sql",
                "s.last_error_kind IS DISTINCT FROM 'unknown'",
                "s.last_error_kind <> 'unknown'",
            ),
        ),
        tests=(f"{_SELECTION}::test_retry_of_all_hastens_who_was_selected_while_it_was_sent_and_then_put_off",),
    ),
    Mutation(
        guard="unknown: another mapping does not send again what had no answer",
        changes=((_QUEUE_SQL, "CASE WHEN o.outcome <> 'unknown' THEN coalesce(", "CASE WHEN true THEN coalesce("),),
        tests=(f"{_UNKNOWN}::test_another_mapping_does_not_send_it_again",),
    ),
    Mutation(
        guard="unknown: another mapping does not send again what a dead worker had sent",
        changes=((_QUEUE_SQL, "CASE WHEN NOT l.unknown THEN s.mapping_version END", "s.mapping_version"),),
        tests=(f"{_UNKNOWN}::test_another_mapping_does_not_send_again_what_was_sent_under_the_former_one",),
    ),
    Mutation(
        guard="unknown: to retry all leaves it alone",
        changes=(
            (
                "crm_pipelines/contacts/selection.py",
                "leave_unknown = who.everyone and kind is None",
                "leave_unknown = False",
            ),
        ),
        tests=(f"{_SELECTION}::test_who_may_have_arrived_is_retried_by_name_or_by_kind_and_not_with_all",),
    ),
    Mutation(
        guard="unknown: to select many leaves it alone",
        changes=(("crm_pipelines/contacts/selection.py", "unknown = 0 if named else", "unknown = 0 if True else"),),
        tests=(f"{_SELECTION}::test_who_may_have_arrived_is_selected_by_name_and_not_among_many",),
    ),
    Mutation(
        guard="unknown: that a contact is sent is written down before it is",
        changes=(
            (
                _COURIER,
                "return self.session.patiently(lambda: self._queue.note_sending(claims))",
                "return {claim.contact_id for claim in claims}",
            ),
        ),
        tests=(f"{_ONCE}::test_nothing_is_sent_before_it_is_written_down_that_it_is",),
    ),
    Mutation(
        guard="unknown: a run gives back nothing that may have arrived",
        changes=((_COURIER, " if claim not in self._in_doubt]", "]"),),
        tests=(f"{_ONCE}::test_what_could_not_be_written_into_the_ledger_is_not_sent_again",),
    ),
    Mutation(
        guard="unknown: what had no effect goes back to the queue",
        changes=((_COURIER, "        self._in_doubt -= {", "        _ = {"),),
        tests=(f"{_ONCE}::test_a_stop_between_two_requests_of_a_delivery_gives_back_what_had_no_effect",),
    ),
    Mutation(
        guard="unknown: a defect of ours does not send again what may have arrived",
        changes=(
            (
                _COURIER,
                "return replace(failure, result=Result.UNKNOWN)",
                "return failure",
            ),
        ),
        tests=(f"{_ONCE}::test_a_defect_of_ours_after_a_request_was_begun_parks_and_before_it_costs_an_attempt",),
    ),
    Mutation(
        guard="unknown: requests of which nothing is known open the breaker",
        changes=(
            ("crm_pipelines/delivery/pace/gatekeeping.py", '_FAILED = {"retry", "unknown"}', '_FAILED = {"retry"}'),
        ),
        tests=(
            "crm_pipelines_tests/unit/delivery/test_tally.py::test_a_request_of_which_nothing_is_known_is_a_failure",
        ),
    ),
    Mutation(
        guard="hubspot: nobody is confirmed of whom the answer says nothing",
        changes=(("crm_pipelines/crms/hubspot/batches.py", "if row is None and not unnamed:", "if False:"),),
        tests=(f"{_HUBSPOT_TESTS}::test_nobody_is_complete_of_whom_the_answer_says_nothing",),
    ),
    Mutation(
        guard="hubspot: a refusal without a name is divided where several are left",
        changes=(("crm_pipelines/crms/hubspot/batches.py", "row is None and left > 1 and", "False and"),),
        tests=(f"{_HUBSPOT_TESTS}::test_nobody_is_complete_of_whom_the_answer_says_nothing",),
    ),
    Mutation(
        guard="hubspot: each input has a trace id",
        changes=(
            (
                "crm_pipelines/crms/hubspot/batches.py",
                '"objectWriteTraceId": self.contact.external_id',
                '"traced": self.contact.external_id',
            ),
        ),
        tests=(
            f"{_HUBSPOT_TESTS}::test_of_many_the_one_with_a_value_that_is_refused_is_told_in_hubspots_words_and_the_rest_arrives",
        ),
    ),
    Mutation(
        guard="hubspot: who was merged is not written over the one that stayed",
        changes=(
            ("crm_pipelines/crms/hubspot/delivery.py", "if taken or (held.merged and not held.ours):", "if False:"),
        ),
        tests=(
            f"{_HUBSPOT_TESTS}::test_two_contacts_that_hubspot_has_merged_are_told_and_the_one_that_stayed_is_not_overwritten",
        ),
    ),
    Mutation(
        guard="hubspot: who has unsubscribed is given no other address",
        changes=(
            (
                "crm_pipelines/crms/hubspot/delivery.py",
                "if held.opted_out and held.address != contact.payload.key:",
                "if False:",
            ),
        ),
        tests=(
            f"{_HUBSPOT_TESTS}::test_whoever_has_unsubscribed_is_given_no_address_of_which_hubspot_does_not_know_that",
        ),
    ),
    Mutation(
        guard="hubspot: an id alone is a stranger's",
        changes=(("crm_pipelines/crms/hubspot/delivery.py", "if not held.ours:", "if False:"),),
        tests=(
            f"{_HUBSPOT_TESTS}::test_a_contact_that_somebody_gave_another_address_at_hubspot_is_told_and_left_alone",
        ),
    ),
    Mutation(
        guard="hubspot: no opt-out is written",
        changes=(("crm_pipelines/crms/hubspot/mapping.py", "|hs_email_optout(?:_\\d+)?", ""),),
        tests=("crm_pipelines_tests/unit/crms/test_hubspot_values.py::test_no_mapping_may_set_identity_or_consent",),
    ),
    Mutation(
        guard="hubspot: the lifecycle stage is set on creation only",
        changes=(("crm_pipelines/crms/hubspot/forms.py", "if is_new or name not in ONLY_ON_CREATION", "if True"),),
        tests=(f"{_HUBSPOT_TESTS}::test_the_lifecycle_stage_is_set_with_the_creation_and_never_again",),
    ),
    Mutation(
        guard="hubspot: no value of a contact becomes a lifecycle stage",
        changes=(
            ("crm_pipelines/crms/hubspot/schema.py", "lambda known: known.grows", "lambda known: known.writable"),
        ),
        tests=(f"{_HUBSPOT_TESTS}::test_no_value_of_a_contact_becomes_a_lifecycle_stage",),
    ),
    Mutation(
        guard="hubspot: options that are there stay as they are",
        changes=(
            (
                "crm_pipelines/crms/hubspot/schema.py",
                "for name in _OF_OPTION & one.keys()",
                'for name in ("label", "value")',
            ),
        ),
        tests=(f"{_HUBSPOT_TESTS}::test_options_that_are_there_stay_as_they_are_when_others_join_them",),
    ),
    Mutation(
        guard="hubspot: the daily limit is waited for as long as it lasts",
        changes=(
            (
                "crm_pipelines/crms/hubspot/outcomes.py",
                'if kind == "daily_limit":\n        return until_reset',
                "if False:\n        return until_reset",
            ),
        ),
        tests=(f"{_HUBSPOT_TESTS}::test_the_daily_limit_is_waited_for_until_midnight_of_the_account",),
    ),
    Mutation(
        guard="planning: a suspect has time for all the requests that it may take",
        changes=(("crm_pipelines/delivery/planning.py", "rate_per_second / _REQUESTS_ALONE", "rate_per_second"),),
        tests=(f"{_HUBSPOT_RUNS}::test_suspects_go_alone_so_a_run_takes_only_as_many_as_it_has_time_for_requests",),
    ),
    Mutation(
        guard="planning: the estimate knows how many go in one request",
        changes=(
            (
                "crm_pipelines/delivery/planning.py",
                "possible = rate_per_second * together\n",
                "possible = rate_per_second\n",
            ),
        ),
        tests=(
            f"{_FOLLOWING}::test_the_estimate_reckons_with_as_many_contacts_as_go_in_one_request",
            f"{_CLI_DESTINATIONS}::test_the_status_reckons_with_as_many_contacts_as_go_in_one_request",
        ),
    ),
    Mutation(
        guard="planning: a pace of rest is none",
        changes=(("crm_pipelines/delivery/planning.py", "measured >= possible * _BUSY_SHARE", "measured"),),
        tests=(f"{_FOLLOWING}::test_the_estimate_reckons_with_as_many_contacts_as_go_in_one_request",),
    ),
    Mutation(
        guard="contact page: only what shows what it holds is compared with",
        changes=(("crm_pipelines/delivery/why.py", "return client.reading is not None", "return True"),),
        tests=(
            f"{_BARE_PAGES}::test_the_page_of_a_contact_shows_what_would_be_sent_and_says_that_there_is_nothing_to_compare_with",
        ),
    ),
    Mutation(
        guard="n8n: at most once, what may have run is unknown",
        changes=(
            (
                "crm_pipelines/crms/n8n/api.py",
                "return self._lost(outcome) if may_have_run(answer) else outcome",
                "return outcome",
            ),
        ),
        tests=(f"{_N8N_TESTS}::test_at_most_once_what_may_have_run_is_unknown_and_what_has_not_is_sent_again",),
    ),
    Mutation(
        guard="n8n: at most once, a lost answer is unknown",
        changes=(
            (
                "crm_pipelines/crms/n8n/api.py",
                "return outcome if was_never_sent(error) else self._lost(outcome)",
                "return outcome",
            ),
        ),
        tests=(f"{_N8N_RUNS}::test_a_lost_answer_is_asked_for_again_unless_nothing_may_be_sent_twice",),
    ),
    Mutation(
        guard="n8n: at most once, what found no server is sent again",
        changes=(
            (
                "crm_pipelines/crms/n8n/api.py",
                "return outcome if was_never_sent(error) else self._lost(outcome)",
                "return self._lost(outcome)",
            ),
        ),
        tests=(f"{_N8N_TESTS}::test_at_most_once_what_found_no_server_was_not_sent",),
    ),
    Mutation(
        guard="n8n: at most once, what was refused or put off has not run",
        changes=(("crm_pipelines/crms/n8n/outcomes.py", " and answer.status != 503", ""),),
        tests=(f"{_N8N_TESTS}::test_at_most_once_what_may_have_run_is_unknown_and_what_has_not_is_sent_again",),
    ),
    Mutation(
        guard="n8n: the idempotency key changes with the content",
        changes=(("crm_pipelines/crms/n8n/message.py", "{contact.payload.hash.hex()}", ""),),
        tests=(f"{_N8N_UNIT}::test_the_idempotency_key_is_that_of_contact_and_content_and_not_of_the_time",),
    ),
    Mutation(
        guard="n8n: the time is signed with the body",
        changes=(("crm_pipelines/crms/n8n/message.py", 'timestamp.encode() + b"." + body', "body"),),
        tests=(f"{_N8N_UNIT}::test_what_is_signed_is_the_time_and_the_body_byte_by_byte",),
    ),
    Mutation(
        guard="n8n: what became blank is null",
        changes=(("crm_pipelines/crms/n8n/message.py", "(*_ALWAYS, *sorted(payload.clear))", "_ALWAYS"),),
        tests=(f"{_N8N_UNIT}::test_the_body_has_the_names_of_the_original_and_the_mapped_fields_beside_them",),
    ),
    Mutation(
        guard="n8n: a workflow's refusal is none of its successes",
        changes=(("crm_pipelines/crms/n8n/outcomes.py", "if _is_refusal(body) else (Result", "if False else (Result"),),
        tests=(
            f"{_N8N_UNIT}::test_what_an_answer_means",
            f"{_N8N_RUNS}::test_whom_the_workflow_refuses_fails_in_its_words_and_the_others_arrive",
        ),
    ),
    Mutation(
        guard="n8n: what is no JSON confirms nothing",
        changes=(
            (
                "crm_pipelines/crms/n8n/outcomes.py",
                '        if told is _NO_JSON:\n            return Result.RETRY, "outage", "unconfirmed"\n',
                "",
            ),
        ),
        tests=(f"{_N8N_UNIT}::test_what_an_answer_means",),
    ),
    Mutation(
        guard="n8n: a 404 of a workflow is about its contact",
        changes=(("crm_pipelines/crms/n8n/outcomes.py", 'if body.get("code") != 404:', "if False:"),),
        tests=(f"{_N8N_UNIT}::test_what_an_answer_means",),
    ),
    Mutation(
        guard="n8n: the address is told to nobody",
        changes=(("crm_pipelines/crms/n8n/api.py", "(secret, *secret_parts(url))", "(secret,)"),),
        tests=(f"{_N8N_TESTS}::test_no_refusal_repeats_the_address_its_parts_or_the_secret",),
    ),
    Mutation(
        guard="n8n: an unregistered workflow does not pass for a registered one",
        changes=(("crm_pipelines/crms/n8n/outcomes.py", 'if methods & {"POST", "*"}:', "if True:"),),
        tests=(
            f"{_N8N_UNIT}::test_what_an_answer_to_options_means",
            f"{_N8N_RUNS}::test_an_unpublished_workflow_closes_the_gate_charges_nobody_and_opens_it_once_it_is_published",
        ),
    ),
    Mutation(
        guard="n8n: a test address is told of",
        changes=(("crm_pipelines/crms/n8n/preflight.py", "if _TEST in urlsplit(url).path:", "if False:"),),
        tests=(f"{_N8N_TESTS}::test_a_test_address_is_told_of_whether_somebody_listens_or_not",),
    ),
    Mutation(
        guard="n8n: without an id of the workflow the contact is known by ours",
        changes=(
            ("crm_pipelines/crms/n8n/__init__.py", "outcome.remote_id or contact.external_id", "outcome.remote_id"),
        ),
        tests=(f"{_N8N_RUNS}::test_a_workflow_that_answers_without_an_id_knows_the_contact_by_ours",),
    ),
    Mutation(
        guard="n8n: the view shows the workflow's id",
        changes=(
            (
                "crm_pipelines/database/migrations/versions/0025_n8n_ids.sql",
                "n.remote_id AS n8n_contact_id",
                "n.remote_key AS n8n_contact_id",
            ),
        ),
        tests=(
            "crm_pipelines_tests/integration/contacts/test_view.py::test_all_but_brevo_know_a_contact_by_ids_of_their_own",
        ),
    ),
    Mutation(
        guard="n8n: plain http stays in a network of one's own",
        changes=(
            (
                "crm_pipelines/settings/values.py",
                'if url.scheme == "http" and not _is_private(url.hostname or ""):',
                "if False:",
            ),
        ),
        tests=(f"{_VARIABLES}::test_a_bad_value_is_named_with_what_was_expected_and_never_repeated",),
    ),
    Mutation(
        guard="n8n: no password is in the address",
        changes=(
            (
                "crm_pipelines/settings/values.py",
                " or url.username is not None or url.password is not None or url.fragment",
                "",
            ),
        ),
        tests=(f"{_VARIABLES}::test_a_bad_value_is_named_with_what_was_expected_and_never_repeated",),
    ),
    Mutation(
        guard="n8n: at most once, who was never connected was sent nothing",
        changes=(("crm_pipelines/crms/n8n/outcomes.py", "isinstance(error, requests.ConnectTimeout) or ", ""),),
        tests=(f"{_N8N_UNIT}::test_only_what_found_no_connection_was_never_sent",),
    ),
    Mutation(
        guard="gate: one contact tries credentials that nothing else can try",
        changes=(
            (
                "crm_pipelines/delivery/pace/gatekeeping.py",
                "gate.try_out() if outcome.untried else gate.open()",
                "gate.open()",
            ),
        ),
        tests=(
            f"{_N8N_RUNS}::test_a_refused_secret_closes_the_gate_and_one_contact_at_a_tick_tries_whether_it_is_right_by_now",
        ),
    ),
    Mutation(
        guard="gate: while one contact tries them, people are told of the same refusal",
        changes=(("crm_pipelines/statistics/standing.py", " or gate.tries_credentials", ""),),
        tests=(
            f"{_N8N_RUNS}::test_a_refused_secret_closes_the_gate_and_one_contact_at_a_tick_tries_whether_it_is_right_by_now",
        ),
    ),
    Mutation(
        guard="standing: between two pauses of an outage the CRM is still tested",
        changes=(("crm_pipelines/statistics/standing.py", "if gate.probing or (", "if ("),),
        tests=(f"{_ONE_TRUTH}::test_all_who_show_how_deliveries_stand_say_the_same",),
    ),
    Mutation(
        guard="standing: nothing is foretold while one contact at a time tests the CRM",
        changes=(("crm_pipelines/delivery/emptying.py", "gate.paused or gate.probing", "gate.paused"),),
        tests=(f"{_STATUS_CLI}::test_nothing_is_foretold_between_two_pauses_of_an_outage",),
    ),
    Mutation(
        guard="standing: what waits because sending is stopped is no second alert",
        changes=(
            (
                "crm_pipelines/orchestration/watching/findings.py",
                "    if stopped is None:\n        found +=",
                "    if True:\n        found +=",
            ),
        ),
        tests=(f"{_ONE_TRUTH}::test_all_who_show_how_deliveries_stand_say_the_same",),
    ),
    Mutation(
        guard="check: missing attributes do not keep the stop for a key that is accepted",
        changes=(
            (
                "crm_pipelines/delivery/account/preflight.py",
                "told = [one.ok for one in findings if one.about in asked]",
                "told = [one.ok for one in findings if one.blocking]",
            ),
        ),
        tests=(f"{_OPERATOR_JOBS}::test_what_is_accepted_lifts_its_stop_whatever_else_the_account_lacks",),
    ),
    Mutation(
        guard="check: a setting that is refused keeps its stop though the key is accepted",
        changes=(("crm_pipelines/delivery/account/preflight.py", '{"key", "setting"} if', '{"key"} if'),),
        tests=(f"{_OPERATOR_JOBS}::test_a_list_that_is_not_there_keeps_the_stop_for_it_and_lifts_that_for_the_key",),
    ),
    Mutation(
        guard="gate: a refusal that one contact meets again is no new one",
        changes=(("crm_pipelines/destinations/gates.sql", " OR (probing AND pause_kind = :kind)", ""),),
        tests=(
            f"{_N8N_RUNS}::test_a_refused_secret_closes_the_gate_and_one_contact_at_a_tick_tries_whether_it_is_right_by_now",
        ),
    ),
    Mutation(
        guard="addresses: one that was never sent is not remembered",
        changes=(
            (_SENT_KEYS_SQL, "maybe_keys || sent_key", "maybe_keys || OLD.address"),
            (_SENT_KEYS_SQL, " AND sent_key <> NEW.address AND NOT maybe_keys @> ARRAY[sent_key]", ""),
        ),
        tests=(f"{_HUBSPOT_RUNS}::test_an_address_that_was_never_sent_finds_nobody",),
    ),
    Mutation(
        guard="addresses: one that changed between the load and the request is remembered",
        changes=((_QUEUE_SQL, "(s.remote_key IS NULL AND NOT d.moved)", "s.remote_key IS NULL"),),
        tests=(f"{_INTENTS}::test_an_address_that_changes_right_before_the_first_request_is_remembered",),
    ),
    Mutation(
        guard="addresses: what was sent to one account is not looked for in another",
        changes=(("crm_pipelines/destinations/gates.sql", "sent_key = NULL, ", ""),),
        tests=(f"{_ACCOUNT_TESTS}::test_in_another_account_everything_is_new_and_no_stranger_is_touched",),
    ),
    Mutation(
        guard="hubspot: the check sees a scope to write that is missing",
        changes=(("crm_pipelines/crms/hubspot/preflight.py", "if one not in told]", "if False]"),),
        tests=(f"{_HUBSPOT_TESTS}::test_the_check_names_the_scope_to_write_that_the_key_lacks_and_writes_nothing",),
    ),
    Mutation(
        guard="mautic: a refused token is renewed",
        changes=((f"{_MAUTIC}/api.py", 'if renewed or done[0].kind != "credentials":', "if True:"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_token_that_was_revoked_is_renewed_once_and_nobody_notices",),
    ),
    Mutation(
        guard="mautic: a token is renewed once",
        changes=((f"{_MAUTIC}/api.py", "if renewed or done[0]", "if done[0]"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_token_that_is_refused_again_closes_the_gate_with_a_sentence",),
    ),
    Mutation(
        guard="mautic: one thread asks for a token",
        changes=(
            (
                f"{_MAUTIC}/tokens.py",
                "return Outcome(result=Result.SYNCED) if self._is_good() else self._ask()",
                "return self._ask()",
            ),
        ),
        tests=(f"{_MAUTIC_TESTS}::test_one_token_serves_all_threads",),
    ),
    Mutation(
        guard="mautic: a token is not used beyond its time",
        changes=(
            (f"{_MAUTIC}/tokens.py", "return time.monotonic() < self._good_until", "return bool(self._bearer.token)"),
        ),
        tests=(f"{_MAUTIC_TESTS}::test_a_token_that_ends_is_renewed_before_it_is_refused",),
    ),
    Mutation(
        guard="mautic: a lifetime of a token that is no number of seconds stops nothing",
        changes=((f"{_MAUTIC}/tokens.py", "float(min(lifetime, _LONGEST))", "float(lifetime)"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_token_is_used_whatever_its_answer_says_of_its_time",),
    ),
    Mutation(
        guard="mautic: no secret goes to a public host in the clear",
        changes=(("crm_pipelines/settings/values.py", 'if parts.scheme == "http" and', "if False and"),),
        tests=("crm_pipelines_tests/unit/test_settings.py",),
    ),
    Mutation(
        guard="mautic: what a zero did not replace is blanked",
        changes=((f"{_MAUTIC}/delivery.py", "            if judged.stale:", "            if False:"),),
        tests=(
            f"{_MAUTIC_TESTS}::test_a_number_that_mautic_drops_blanks_the_one_before_is_told_and_changes_nothing_else",
        ),
    ),
    Mutation(
        guard="mautic: a day that Mautic does not take leaves no older one",
        changes=((f"{_MAUTIC}/forms.py", "if value in _SECOND_0:", "if False:"),),
        tests=(f"{_MAUTIC_TESTS}::test_the_first_day_of_1970_blanks_another_day_and_one_before_it_arrives",),
    ),
    Mutation(
        guard="mautic: a zero that did not arrive is told",
        changes=((f"{_MAUTIC}/delivery.py", "elif judged.lost:", "elif False:"),),
        tests=(
            f"{_CONFORMANCE}/test_arriving.py::test_a_zero_replaces_what_was_there_and_is_told_if_it_does_not_arrive",
        ),
    ),
    Mutation(
        guard="mautic: a value that could not be blanked is tried again",
        changes=((f"{_MAUTIC}/delivery.py", "told = blanked.outcome\n", "told = judged.outcome\n"),),
        tests=(f"{_MAUTIC_TESTS}::test_an_answer_that_is_lost_while_a_value_is_blanked_is_tried_again",),
    ),
    Mutation(
        guard="mautic: a value that could not be blanked is told",
        changes=((f"{_MAUTIC}/delivery.py", "judged.lost, judged.stale)", "judged.lost)"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_value_that_cannot_be_blanked_is_told_as_one_that_mautic_keeps",),
    ),
    Mutation(
        guard="mautic: no address is changed to one that is taken",
        changes=((f"{_MAUTIC}/delivery.py", "if one.moves and any(", "if False and any("),),
        tests=(f"{_MAUTIC_TESTS}::test_an_address_that_another_contact_has_merges_nobody",),
    ),
    Mutation(
        guard="mautic: an edit by id has the address only where it changes",
        changes=((f"{_MAUTIC}/batches.py", "if self.moves else {}", "if True else {}"),),
        tests=(f"{_MAUTIC_UNIT}::test_the_address_is_in_an_edit_by_id_only_where_it_changes",),
    ),
    Mutation(
        guard="mautic: no address is sent that Mautic would spell otherwise",
        changes=((f"{_MAUTIC}/finding.py", "return _KEPT.fullmatch(address) is not None", "return True"),),
        tests=(f"{_MAUTIC_TESTS}::test_an_address_that_mautic_would_spell_otherwise_reaches_nobody_else",),
    ),
    Mutation(
        guard="mautic: an id alone is a stranger's",
        changes=((f"{_MAUTIC}/delivery.py", "elif not held.ours:", "elif False:"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_contact_that_somebody_gave_another_address_is_told_and_left_alone",),
    ),
    Mutation(
        guard="mautic: what was refused for one value arrives without it",
        changes=((f"{_MAUTIC}/delivery.py", "if judged.misfits and not one.without:", "if False:"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_value_that_mautic_refuses_is_left_out_and_the_rest_arrives",),
    ),
    Mutation(
        guard="mautic: a contact needs its own status",
        changes=((f"{_MAUTIC}/batches.py", "if status not in {200, 201} or not isinstance", "if not isinstance"),),
        tests=(f"{_MAUTIC_UNIT}::test_whom_the_answer_does_not_confirm_has_not_arrived",),
    ),
    Mutation(
        guard="mautic: a batch that is too large is no outage",
        changes=((f"{_MAUTIC}/outcomes.py", "if status == 500 and said is not None and", "if False and"),),
        tests=(f"{_MAUTIC_UNIT}::test_a_batch_that_is_too_large_is_about_the_setting_and_no_outage",),
    ),
    Mutation(
        guard="mautic: a unique identifier is not written",
        changes=((f"{_MAUTIC}/fields.py", "return self.published and not self.unique", "return self.published"),),
        tests=(f"{_MAUTIC_UNIT}::test_what_is_not_published_or_would_merge_contacts_is_not_written",),
    ),
    Mutation(
        guard="mautic: consent is no field of a mapping",
        changes=((f"{_MAUTIC}/mapping.py", '        "donotcontact",\n', ""),),
        tests=(f"{_MAUTIC_UNIT}::test_no_mapping_may_set_identity_consent_or_what_is_mautics_own",),
    ),
    Mutation(
        guard="mautic: a field that got another name is told",
        changes=((f"{_MAUTIC}/schema.py", "if alias != new.name:", "if False:"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_field_that_mautic_names_otherwise_is_told_with_its_name",),
    ),
    Mutation(
        guard="mautic: a field that waits for its column is told",
        changes=((f"{_MAUTIC}/schema.py", "if outcome.http_status == 202:", "if False:"),),
        tests=(f"{_MAUTIC_TESTS}::test_a_field_that_mautic_makes_in_the_background_is_told_and_not_made_twice",),
    ),
    Mutation(
        guard="mautic: of two contacts that are one there, one is written",
        changes=((f"{_MAUTIC}/delivery.py", "if held.remote_id in inputs:", "if False:"),),
        tests=(
            f"{_MAUTIC_TESTS}::test_two_contacts_here_that_are_one_at_mautic_are_told_and_the_first_is_not_overwritten",
        ),
    ),
    Mutation(
        guard="mautic: a contact with another id confirms nobody",
        changes=((f"{_MAUTIC}/batches.py", " or one.target not in {None, id_in(row)}", ""),),
        tests=(f"{_MAUTIC_UNIT}::test_a_contact_with_another_id_than_the_one_that_was_changed_confirms_nobody",),
    ),
    Mutation(
        guard="mautic: no refusal repeats the token",
        changes=((f"{_MAUTIC}/api.py", "hide=(token, *hide) if token else hide", "hide=hide"),),
        tests=(f"{_MAUTIC_TESTS}::test_no_refusal_repeats_the_secret_the_token_or_the_person",),
    ),
    Mutation(
        guard="mautic: no refusal repeats the person",
        changes=((f"{_MAUTIC}/delivery.py", "self._hide = hidden(contacts)", "self._hide = ()"),),
        tests=(f"{_MAUTIC_TESTS}::test_no_refusal_repeats_the_secret_the_token_or_the_person",),
    ),
    Mutation(
        guard="mautic: no refusal of a token repeats the secret",
        changes=((f"{_MAUTIC}/tokens.py", "hide=(self._client_secret,)", "hide=()"),),
        tests=(f"{_MAUTIC_TESTS}::test_no_refusal_of_a_token_repeats_the_secret",),
    ),
    Mutation(
        guard="mautic: no refusal of a row repeats the secret",
        changes=((f"{_MAUTIC}/api.py", "        self.secrets = (client_secret,)\n", "        self.secrets = ()\n"),),
        tests=(f"{_MAUTIC_TESTS}::test_no_refusal_of_one_contact_in_a_batch_repeats_the_secret_or_the_person",),
    ),
    Mutation(
        guard="mautic: no refusal of a row repeats the person",
        changes=((f"{_MAUTIC}/batches.py", "hide = (*secrets, *hidden([one.contact]))", "hide = secrets"),),
        tests=(f"{_MAUTIC_TESTS}::test_no_refusal_of_one_contact_in_a_batch_repeats_the_secret_or_the_person",),
    ),
    Mutation(
        guard="mautic: no remark about a value repeats the person",
        changes=((f"{_MAUTIC}/batches.py", "without_secrets(_words(details[name]), hide)", "_words(details[name])"),),
        tests=(f"{_MAUTIC_UNIT}::test_the_words_about_a_value_that_was_refused_do_not_repeat_the_person",),
    ),
    Mutation(
        guard="mautic: what can be no token is none",
        changes=((f"{_MAUTIC}/tokens.py", " or not (token.isascii() and token.isprintable() and token.strip())", ""),),
        tests=(f"{_MAUTIC_TESTS}::test_a_token_that_can_be_none_is_an_outage",),
    ),
    Mutation(
        guard="mautic: no address is changed unless it is known to be free",
        changes=((f"{_MAUTIC}/delivery.py", "elif not one.moves or external_id in known:", "else:"),),
        tests=(f"{_MAUTIC_TESTS}::test_an_address_of_which_it_is_not_known_whether_it_is_taken_is_not_changed",),
    ),
    Mutation(
        guard="mautic: whom Mautic did not put on the segment is not on it",
        changes=((f"{_MAUTIC}/delivery.py", ' and one.get("success") is True', ""),),
        tests=(f"{_MAUTIC_TESTS}::test_whom_mautic_does_not_put_on_the_segment_is_tried_again",),
    ),
    Mutation(
        guard="mautic: who is not to be contacted is shown as such",
        changes=((f"{_MAUTIC}/reading.py", "if held.fields.get(OPTED_OUT):", "if False:"),),
        tests=(f"{_MAUTIC_TESTS}::test_who_has_unsubscribed_is_updated_and_stays_so_also_with_a_zero",),
    ),
    Mutation(
        guard="enrichment: what a workflow found is no news to it",
        changes=((_ENRICHING, '    connection.execute(_SQL["hold"]', '    0 and connection.execute(_SQL["hold"]'),),
        tests=(
            f"{_ENRICHING_TESTS}::test_what_a_workflow_found_leaves_the_delivery_to_workflows_as_it_is",
            f"{_ROUND}::test_what_the_workflow_found_goes_to_brevo_and_the_workflow_is_not_asked_again",
        ),
    ),
    Mutation(
        guard="enrichment: an edit that was missed is not held back",
        changes=((_ENRICHMENTS_SQL, "\n   AND s.contact_revision >= c.revision", ""),),
        tests=(f"{_ENRICHING_TESTS}::test_an_edit_that_was_missed_before_goes_to_the_workflow",),
    ),
    Mutation(
        guard="enrichment: an edit after what was found goes to the workflow",
        changes=((_ENRICHING, '    connection.execute(_SQL["settle"]', '    0 and connection.execute(_SQL["settle"]'),),
        tests=(f"{_ENRICHING_TESTS}::test_a_users_edit_of_the_same_field_goes_to_the_workflow",),
    ),
    Mutation(
        guard="enrichment: a message counts once",
        changes=((_ENRICHING, "if earlier is not None:", "if False:"),),
        tests=(f"{_WEBHOOK_TESTS}::test_the_same_message_counts_once_for_ever",),
    ),
    Mutation(
        guard="enrichment: other content under the same id is refused",
        changes=((_ENRICHING, "if bytes(earlier.digest) != message.digest:", "if False:"),),
        tests=(f"{_WEBHOOK_TESTS}::test_the_same_id_with_other_content_is_refused_and_the_first_stays",),
    ),
    Mutation(
        guard="enrichment: messages about one contact wait for each other",
        changes=(
            (
                "crm_pipelines/contacts/records.sql",
                "FROM crm_contacts WHERE id = :id FOR NO KEY UPDATE",
                "FROM crm_contacts WHERE id = :id",
            ),
        ),
        tests=(f"{_WEBHOOK_TESTS}::test_the_same_message_many_times_at_once_counts_once",),
    ),
    Mutation(
        guard="enrichment: an older message overwrites nothing",
        changes=((_ENRICHING, "OUTDATED if outdated else None", "None"),),
        tests=(f"{_WEBHOOK_TESTS}::test_an_older_message_is_kept_and_overwrites_nothing",),
    ),
    Mutation(
        guard="enrichment: what is there stays",
        changes=((_ENRICHING, "HAS_A_VALUE if _field_key(field) not in wanted", "HAS_A_VALUE if False"),),
        tests=(f"{_WEBHOOK_TESTS}::test_what_is_there_stays_unless_the_setting_names_it",),
    ),
    Mutation(
        guard="enrichment: no time ahead of ours",
        changes=((_ENRICHMENTS_SQL, "> now() + CAST(:margin AS interval)", "> now() + interval '1 day'"),),
        tests=(f"{_WEBHOOK_TESTS}::test_a_time_in_the_future_is_refused_but_for_a_clock_that_is_a_little_ahead",),
    ),
    Mutation(
        guard="enrichment: an answer during the delivery is one",
        changes=(
            (
                "crm_pipelines/statistics/status.sql",
                "e.crm = :crm AND e.received_at >= asked.at)",
                "e.crm = :crm AND false)",
            ),
        ),
        tests=(f"{_FIGURES_TESTS}::test_an_answer_that_came_while_the_delivery_was_under_way_counts",),
    ),
    Mutation(
        guard="sandbox: no secret of a body in the log, whatever becomes of the request",
        changes=(
            (
                "crm_pipelines/sandbox/core/gateway.py",
                'b"" if self.sandbox.has_key_in_body(call) else call.raw_body',
                "call.raw_body",
            ),
        ),
        tests=(
            f"{_HUBSPOT_TESTS}::test_a_key_of_which_hubspot_tells_no_scopes_passes_the_check_and_stands_nowhere",
            f"{_MAUTIC_LOG_TESTS}::test_the_log_has_no_secret_of_a_request_for_a_token_that_came_to_nothing",
        ),
    ),
    Mutation(
        guard="enrichment: a failed one fills nothing",
        changes=((_WEBHOOK, 'if data is None or message.status == "failed"', "if data is None"),),
        tests=(f"{_WEBHOOK_TESTS}::test_what_is_not_complete_is_kept_with_its_error_and_a_failed_one_fills_nothing",),
    ),
    Mutation(
        guard="enrichment: guesses at the secret are throttled",
        changes=((_WEBHOOK, "authenticator.count_failure(client)", "pass"),),
        tests=(f"{_WEBHOOK_TESTS}::test_guesses_at_the_secret_are_throttled_and_the_right_one_is_not_locked_out",),
    ),
    Mutation(
        guard="enrichment: only the secret opens",
        changes=((_WEBHOOK, "if hmac.compare_digest(secret.encode(), shown.encode())]", "]"),),
        tests=(f"{_WEBHOOK_TESTS}::test_only_the_secret_opens",),
    ),
    Mutation(
        guard="enrichment: a message is bounded",
        changes=((_WEBHOOK, "bounded(request.receive, LARGEST_MESSAGE)", "request.receive"),),
        tests=(f"{_WEBHOOK_TESTS}::test_a_message_that_is_too_large_is_refused",),
    ),
    Mutation(
        guard="enrichment: no secret in a workflow's words",
        changes=((_WEBHOOK, "without_secrets(message.error, settings.secrets)", "message.error"),),
        tests=(f"{_WEBHOOK_TESTS}::test_what_is_not_complete_is_kept_with_its_error_and_a_failed_one_fills_nothing",),
    ),
    Mutation(
        guard="enrichment: no time that cannot be read again",
        changes=(("crm_pipelines/api/n8n_models.py", "if moment < _FIRST_MOMENT:", "if False:"),),
        tests=(f"{_WEBHOOK_TESTS}::test_what_cannot_be_used_is_refused_by_the_name_of_its_field",),
    ),
    Mutation(
        guard="enrichment: a custom field is one, however it is spelt in a message",
        changes=((_ENRICHING, "spelt.setdefault(_key(name), name)", "pass"),),
        tests=(f"{_WEBHOOK_TESTS}::test_a_custom_field_is_the_same_however_it_is_spelt_within_one_message",),
    ),
    Mutation(
        guard="n8n: content that comes again after an edit has another key",
        changes=(
            ("crm_pipelines/queue/claims.sql", "c.revision || '.' || s.synced_revision AS occasion", "'' AS occasion"),
        ),
        tests=(
            f"{_N8N_RUNS}::test_an_edit_back_and_a_selection_of_who_has_arrived_have_keys_of_their_own_and_a_retry_has_not",
        ),
    ),
    Mutation(
        guard="enrichment: what a workflow found during its delivery can be taken back by a user",
        changes=(
            (
                _QUEUE_SQL,
                "e.received_at >= coalesce(s.delivery_started_at, o.started_at)",
                "false",
            ),
        ),
        tests=(f"{_ENRICHMENT_RUNS}::test_a_user_who_takes_back_what_the_workflow_found_is_news_to_it[True]",),
    ),
    Mutation(
        guard="enrichment: what a workflow found after its delivery can be taken back by a user",
        changes=((_ENRICHMENTS_SQL, "CASE WHEN s.crm <> :crm THEN s.payload_hash END", "s.payload_hash"),),
        tests=(f"{_ENRICHMENT_RUNS}::test_a_user_who_takes_back_what_the_workflow_found_is_news_to_it[False]",),
    ),
    Mutation(
        guard="n8n: a refusal in a text is one",
        changes=(
            ("crm_pipelines/crms/n8n/outcomes.py", 'isinstance(ok, str) and ok.strip().lower() == "false"', "False"),
        ),
        tests=("crm_pipelines_tests/unit/crms/test_n8n.py::test_what_an_answer_means",),
    ),
    Mutation(
        guard="enrichment: what one workflow found is no news to another",
        changes=((_WEBHOOK, "workflows=workflows)", "workflows=[asked.name])"),),
        tests=(f"{_WEBHOOK_TESTS}::test_what_one_workflow_found_is_no_news_to_another",),
    ),
    Mutation(
        guard="enrichment: it is news to every other destination",
        changes=((_ENRICHMENTS_SQL, " AND s.crm = ANY (CAST(:crms AS text[]))", ""),),
        tests=(f"{_ENRICHING_TESTS}::test_what_a_workflow_found_is_delivered_everywhere_else",),
    ),
    Mutation(
        guard="enrichment: a message of which nothing was taken makes none outdated",
        changes=((_ENRICHMENTS_SQL, " AND (filled <> '{}' OR overwritten <> '{}')", ""),),
        tests=(f"{_WEBHOOK_TESTS}::test_a_later_message_of_which_nothing_was_taken_makes_none_outdated",),
    ),
    Mutation(
        guard="enrichment: no body of a stranger is read",
        changes=(
            (
                _WEBHOOK,
                "request.state.workflow = await run_in_threadpool(_workflow_of, request, shown)",
                "request.state.shown = shown",
            ),
            (
                _WEBHOOK,
                "found: Workflow = request.state.workflow",
                "found = _workflow_of(request, request.state.shown)",
            ),
        ),
        tests=(f"{_WEBHOOK_TESTS}::test_of_whoever_does_not_show_the_secret_no_body_is_read",),
    ),
    Mutation(
        guard="enrichment: an id can be stored",
        changes=(
            (
                "crm_pipelines/api/n8n_models.py",
                "Field(min_length=1, max_length=255), AfterValidator(storable)]",
                "Field(min_length=1, max_length=255)]",
            ),
        ),
        tests=(f"{_WEBHOOK_TESTS}::test_what_cannot_be_used_is_refused_by_the_name_of_its_field",),
    ),
    Mutation(
        guard="enrichment: a message that came again is noted once",
        changes=((_WEBHOOK, "            if not taken.again:\n", "            if True:\n"),),
        tests=(f"{_WEBHOOK_TESTS}::test_each_message_stands_in_the_audit_log_once",),
    ),
    Mutation(
        guard="addresses: one that a former version has sent is remembered",
        changes=((_SENT_KEYS_SQL, "sent_key IS NULL AND", "false AND"),),
        tests=(f"{_INTENTS}::test_an_address_that_a_former_version_has_sent_is_remembered_too",),
    ),
    Mutation(
        guard="check: what was selected long before the first delivery is told",
        changes=(("crm_pipelines/delivery/account/preflight.py", "if since is not None:", "if False:"),),
        tests=(
            f"{_PREFLIGHT_TURNS}::test_what_was_selected_long_before_the_first_delivery_is_told_with_the_way_to_take_it_back",
        ),
    ),
    Mutation(
        guard="never blind: nobody is selected while the name may be in a column that is not known",
        changes=(
            ("crm_pipelines/files/__init__.py", "if held_back else loader.select()", "if False else loader.select()"),
        ),
        tests=(f"{_CLI_IMPORTING}::test_nobody_is_selected_while_the_name_may_be_in_a_column_that_is_not_known",),
    ),
    Mutation(
        guard="never blind: a column that is called something else still tells who has opted out",
        changes=(("crm_pipelines/files/columns.py", "if place in custom or place in said", "if False"),),
        tests=(f"{_MEANT_TESTS}::test_who_has_opted_out_has_whatever_the_column_is_called",),
    ),
    Mutation(
        guard="never blind: what does not fit the format of the mapping is left out",
        changes=(
            ("crm_pipelines/crms/numerals.py", 'if spaced and "." in written:', "if False:"),
            ("crm_pipelines/crms/days.py", "if dotted and not day_first:", "if False:"),
        ),
        tests=(
            f"{_FORMAT_TESTS}::test_a_number_that_does_not_fit_its_format_is_left_out_with_a_sentence",
            f"{_FORMAT_TESTS}::test_a_day_that_does_not_fit_its_format_is_left_out_with_a_sentence",
        ),
    ),
    Mutation(
        guard="never blind: nothing is made in a database where somebody else has a name of ours",
        changes=(("crm_pipelines/database/taken_names.py", "    if taken:\n", "    if False:\n"),),
        tests=(f"{_TAKEN_TESTS}::test_nothing_is_made_where_a_name_of_ours_is_somebody_elses",),
    ),
    Mutation(
        guard="never blind: nobody is taken before it is settled what the account lacks",
        changes=((_OPS, "account.schema_known and accepts(account)", "account.schema_known"),),
        tests=(f"{_BLIND}::test_nobody_is_taken_before_the_look",),
    ),
    Mutation(
        guard="never blind: what the account lacks stops sending",
        changes=(
            (
                _COMPLETENESS,
                "account.gate.wait_for_attributes(in_words(account.destination.title, found), version)",
                "account.gate.accept(version)",
            ),
        ),
        tests=(f"{_BLIND}::test_the_first_run_sends_nothing_and_tells_what_the_account_lacks",),
    ),
    Mutation(
        guard="never blind: what is settled for one mapping is not for another",
        changes=(
            (
                "crm_pipelines/destinations/gates.py",
                "not self.accepted_mappings or mapping_version in self.accepted_mappings",
                "True",
            ),
        ),
        tests=(f"{_BLIND}::test_after_a_change_of_the_mapping_it_is_asked_again",),
    ),
    Mutation(
        guard="never blind: what is settled for one account is not for another",
        changes=(
            (
                "crm_pipelines/destinations/gates.py",
                "self.account is None or self.accepted_account != self.account",
                "self.account is None",
            ),
        ),
        tests=(f"{_BLIND}::test_the_first_run_sends_nothing_and_tells_what_the_account_lacks",),
    ),
    Mutation(
        guard="never blind: what was taken is not sent by a mapping that is not settled",
        changes=((_OPS, "            if not accepts(account):\n", "            if False:\n"),),
        tests=(f"{_BLIND}::test_what_was_taken_by_the_former_mapping_is_not_sent_by_another",),
    ),
    Mutation(
        guard="never blind: a run that has looked does not stop what a user has just let go",
        changes=(
            (
                _GATES_SQL,
                "   AND NOT coalesce(accepted_account = account AND (acc",
                "   AND NOT coalesce(false AND (acc",
            ),
        ),
        tests=(f"{_BLIND}::test_a_run_that_has_looked_does_not_stop_what_a_user_has_just_let_go",),
    ),
    Mutation(
        guard="never blind: attributes end no wait but their own",
        changes=(
            (
                _GATES_SQL,
                " WHERE crm = :crm AND account IS NOT DISTINCT FROM :account AND pause_kind = 'attributes'",
                " WHERE crm = :crm AND account IS NOT DISTINCT FROM :account",
            ),
        ),
        tests=(f"{_BLIND}::test_a_wait_by_hand_stays_and_is_followed_by_the_question",),
    ),
    Mutation(
        guard="never blind: a key of another account does not wait for the former one's attributes",
        changes=((_COMPLETENESS, "if not gate.knows(account.crm.credentials_fingerprint):", "if False:"),),
        tests=(f"{_BLIND}::test_a_key_of_another_account_does_not_wait_for_the_former_ones_attributes",),
    ),
    Mutation(
        guard="never blind: what a look finds at one account settles nothing for another",
        changes=((_COMPLETENESS, "gate=account.gate.of(gate.account)", "gate=account.gate"),),
        tests=(f"{_BLIND}::test_what_one_account_has_settles_nothing_for_another",),
    ),
    Mutation(
        guard="never blind: a check with a key that nobody knows leaves the wait",
        changes=((_COMPLETENESS, "        if not by_hand:\n", "        if True:\n"),),
        tests=(f"{_BLIND}::test_a_check_with_a_key_that_nobody_knows_leaves_the_wait",),
    ),
    Mutation(
        guard="never blind: a mapping that was taken back is waited for by nobody",
        changes=((_COMPLETENESS, "if version in gate.accepted_mappings and gate.accepts(version):", "if False:"),),
        tests=(f"{_BLIND}::test_a_mapping_that_was_taken_back_is_waited_for_by_nobody",),
    ),
    Mutation(
        guard="never blind: machines with two mappings do not open and close in turns",
        changes=((_GATES_SQL, "   AND found_lacking_at < now() - CAST(:silence AS interval)", ""),),
        tests=(f"{_BLIND}::test_machines_with_two_mappings_do_not_open_and_close_in_turns",),
    ),
    Mutation(
        guard="never blind: an installation in use goes on after the upgrade",
        changes=(
            ("crm_pipelines/database/migrations/versions/0027_attributes.sql", "s.synced_at IS NOT NULL", "false"),
        ),
        tests=(
            "crm_pipelines_tests/integration/database/test_database.py::test_the_migration_takes_as_settled_where_something_was_delivered",
        ),
    ),
    Mutation(
        guard="never blind: only what was shown is accepted on the status page",
        changes=(("crm_pipelines/api/pages/overview.py", " or state.pause_reason != lacks", ""),),
        tests=(f"{_PAGES}::test_what_is_lacking_by_now_is_shown_anew_and_not_accepted",),
    ),
    Mutation(
        guard="shared instance: a foreign run of the same name is not ours",
        changes=(
            (
                "crm_pipelines/orchestration/sync/tags.py",
                "return dg.RunsFilter(job_name=job, statuses=statuses, tags=mark)",
                "return dg.RunsFilter(job_name=job, statuses=statuses)",
            ),
        ),
        tests=(_SHARED_INSTANCE,),
    ),
    Mutation(
        guard="shared instance: no run of another code location is pruned",
        changes=(
            (
                "crm_pipelines/orchestration/upkeep/pruning.py",
                "if _label_of(run) not in {None, label}:",
                "if False:",
            ),
        ),
        tests=(f"{_SHARED_INSTANCE}::test_no_run_of_another_code_location_is_pruned",),
    ),
    Mutation(
        guard="shared instance: what is reported of foreign assets stays",
        changes=(("crm_pipelines/orchestration/upkeep/pruning.py", "        events.c.asset_key.in_(ours),\n", ""),),
        tests=(f"{_SHARED_INSTANCE}::test_what_is_reported_of_foreign_assets_and_checks_stays",),
    ),
    Mutation(
        guard="shared instance: a run that never begins holds nobody up without run monitoring",
        changes=(("crm_pipelines/orchestration/sync/ended_runs.py", "return _is_stuck(record) or", "return"),),
        tests=(
            f"{_SHARED_INSTANCE}::test_without_run_monitoring_a_run_that_never_begins_or_ends_holds_nobody_up_for_ever",
        ),
    ),
    Mutation(
        guard="upstream: not while a run is active",
        changes=((_UPSTREAM, "runs_of(job, ACTIVE)", 'runs_of("no_such_job", ACTIVE)'),),
        tests=(
            f"{_UPSTREAM_TESTS}::test_beside_an_active_run_and_while_sending_is_paused_it_waits_and_forgets_nothing",
        ),
    ),
    Mutation(
        guard="upstream: what came while sending was paused is not forgotten",
        changes=((_UPSTREAM, "if reason and account.gate.read().paused:", "if False:"),),
        tests=(
            f"{_UPSTREAM_TESTS}::test_beside_an_active_run_and_while_sending_is_paused_it_waits_and_forgets_nothing",
        ),
    ),
    Mutation(
        guard="component: a secret in defs.yaml is refused and not repeated",
        changes=(("crm_pipelines/component/attributes.py", "raise refusal(error, given) from None", "raise"),),
        tests=(
            "crm_pipelines_tests/integration/orchestration/test_component.py::test_a_secret_or_a_setting_in_the_file_is_refused_with_the_variable_and_not_repeated",
        ),
    ),
    Mutation(
        guard="prompt: not before a contact is due",
        changes=(
            (
                _QUEUE_SQL,
                "AND state = 'queued' AND run_at <= now())\n\n-- name: is_delivering",
                "AND state = 'queued')\n\n-- name: is_delivering",
            ),
        ),
        tests=(f"{_PROMPT_TESTS}::test_what_is_selected_edited_or_due_again_starts_a_run_and_nothing_else_does",),
    ),
    Mutation(
        guard="prompt: not while a run is active",
        changes=((_PROMPT, "runs_of(job, ACTIVE)", 'runs_of("no_such_job", ACTIVE)'),),
        tests=(f"{_PROMPT_TESTS}::test_while_a_run_is_active_none_is_started",),
    ),
    Mutation(
        guard="prompt: not while the schedule is switched off",
        changes=(
            (_PROMPT, 'if is_switched_off(context.instance, f"{job}_schedule", location_of(context)):', "if False:"),
        ),
        tests=(f"{_PROMPT_TESTS}::test_whoever_switches_the_schedule_off_has_switched_this_off_too",),
    ),
    Mutation(
        guard="prompt: not while the gate is paused",
        changes=((_PROMPT, "if gate.paused:", "if False:"),),
        tests=(f"{_PROMPT_TESTS}::test_while_sending_is_paused_or_stopped_nothing_is_started_and_nobody_is_asked",),
    ),
    Mutation(
        guard="prompt: at most one run in so many seconds",
        changes=((_PROMPT, "if now - _created(latest[0]) < spacing.total_seconds() - _LEEWAY_SECONDS:", "if False:"),),
        tests=(f"{_PROMPT_TESTS}::test_there_is_at_most_one_run_in_so_many_seconds",),
    ),
    Mutation(
        guard="prompt: two looks at the same runs start one",
        changes=((_PROMPT, "{latest[0].dagster_run.run_id if latest else 'none'}", "{clock()}"),),
        tests=(f"{_PROMPT_TESTS}::test_two_looks_at_the_same_runs_ask_for_one_and_the_same",),
    ),
    Mutation(
        guard="prompt: what a run left is followed once",
        changes=((_PROMPT, "if latest and reason_not_to_follow(latest[0], interval) is None:", "if False:"),),
        tests=(f"{_PROMPT_TESTS}::test_what_a_run_left_is_the_follow_up_sensors",),
    ),
    Mutation(
        guard="prompt: runs that take nobody come further apart",
        changes=((_PROMPT, " or bool(run.tags.get(NOWHERE_TAG))", ""),),
        tests=(f"{_PROMPT_TESTS}::test_runs_that_take_nobody_although_somebody_is_due_come_further_and_further_apart",),
    ),
    Mutation(
        guard="prompt: runs that only postpone come further apart",
        changes=((_FOLLOWS, "if (due or gave_all_back) and", "if due and"),),
        tests=(f"{_PROMPT_TESTS}::test_runs_that_only_postpone_again_whom_they_take_come_further_and_further_apart",),
    ),
    Mutation(
        guard="prompt: runs that fail come further apart",
        changes=((_PROMPT, "run.status is not dg.DagsterRunStatus.SUCCESS or ", ""),),
        tests=(f"{_PROMPT_TESTS}::test_after_failures_runs_come_further_and_further_apart",),
    ),
    Mutation(
        guard="prompt: each rest is longer than the one before",
        changes=((_PROMPT, "spacing * 2**fruitless", "spacing * 2"),),
        tests=(
            f"{_PROMPT_TESTS}::test_the_rest_doubles_with_each_run_that_gets_nowhere_and_is_never_longer_than_the_interval",
        ),
    ),
    Mutation(
        guard="prompt: no rest is longer than the interval",
        changes=((_PROMPT, "min(spacing * 2**fruitless, max(interval, spacing))", "spacing * 2**fruitless"),),
        tests=(
            f"{_PROMPT_TESTS}::test_the_rest_doubles_with_each_run_that_gets_nowhere_and_is_never_longer_than_the_interval",
        ),
    ),
    Mutation(
        guard="prompt: a run that was stopped is not taken up at once",
        changes=((_PROMPT, "if _was_stopped(run):", "if False:"),),
        tests=(f"{_PROMPT_TESTS}::test_whoever_stops_a_run_is_left_in_peace_until_the_schedule_goes_on",),
    ),
    Mutation(
        guard="prompt: runs for chosen contacts are not judged by",
        changes=((_PROMPT, "if not was_limited(record.dagster_run)]", "]"),),
        tests=(f"{_PROMPT_TESTS}::test_a_run_for_chosen_contacts_keeps_nobody_from_being_delivered",),
    ),
    Mutation(
        guard="literals: what ends a row of COPY is escaped",
        changes=((_LITERALS, '.replace("\\n", "\\\\n")', ""),),
        tests=(f"{_LITERAL_TESTS}::test_odd_texts_arrive_by_copy",),
    ),
    Mutation(
        guard="literals: a backslash of a text is none of COPY",
        changes=((_LITERALS, 'return text.replace("\\\\", "\\\\\\\\")', "return text"),),
        tests=(f"{_LITERAL_TESTS}::test_odd_texts_arrive_by_copy",),
    ),
    Mutation(
        guard="literals: a quote within a text ends it in no array",
        changes=((_LITERALS, """.replace('"', '\\\\"')""", ""),),
        tests=(f"{_LITERAL_TESTS}::test_odd_texts_arrive_in_an_array",),
    ),
    Mutation(
        guard="bulk: rows go with their import",
        changes=(
            (
                "crm_pipelines/database/migrations/versions/0032_bulk_checks.sql",
                "DELETE FROM crm_bulk_rows WHERE import_id = OLD.id;",
                "",
            ),
        ),
        tests=(f"{_TENDING}::test_what_was_told_goes_with_its_import",),
    ),
    Mutation(
        guard="bulk: whom somebody holds hides none of the others who were not brought in",
        changes=((_IMPORTS_SQL, "(SELECT max(key) FROM sent) AS last", "(SELECT max(key) FROM kept) AS last"),),
        tests=(f"{_UNPROVED}::test_contacts_that_somebody_holds_hide_none_of_the_others",),
    ),
    Mutation(
        guard="bulk: rows of an import that were not brought in are read in the order of their keys",
        changes=(
            (
                _IMPORTS_SQL,
                "WHERE (import_id, key) > (CAST(:id AS uuid), CAST(:after AS text))",
                "WHERE import_id = :id AND key > CAST(:after AS text)",
            ),
        ),
        tests=(f"{_UNPROVED}::test_a_call_looks_at_no_more_rows_than_it_records_however_many_are_left",),
    ),
    Mutation(
        guard="bulk: of rows of another import nothing is recorded",
        changes=((_IMPORTS_SQL, "CROSS JOIN tended t WHERE n.import_id = t.id", "CROSS JOIN tended t"),),
        tests=(f"{_UNPROVED}::test_of_each_there_is_one_entry_and_of_the_deleted_none",),
    ),
    Mutation(
        guard="suppressed: each spelling of the address is looked for",
        changes=((_QUEUE_SQL, ", (crm_digest(k, 'email', d.key))) AS i(digest)", ") AS i(digest)"),),
        tests=(f"{_SUPPRESSED}::test_who_is_suppressed_is_found_by_the_id_and_by_each_spelling_of_the_address",),
    ),
    Mutation(
        guard="suppressed: elsewhere, or no longer, is not here",
        changes=((_QUEUE_SQL, "x.crm = :crm AND x.lifted_at IS NULL\n                               AND ", ""),),
        tests=(f"{_SUPPRESSED}::test_who_is_suppressed_elsewhere_or_no_longer_may_be_sent",),
    ),
    Mutation(
        guard="scan: what is kept in memory is of this scan",
        changes=(("crm_pipelines/destinations/blocklist.py", "if self._kept[0] != scan.id:", "if not self._kept[0]:"),),
        tests=("crm_pipelines_tests/integration/destinations/test_blocklist.py::test_a_scan_knows_nothing_of_another",),
    ),
    Mutation(
        guard="addresses: a last sigma is what it was, wherever it stands",
        changes=(("crm_pipelines/crms/normalize.py", '_LAST_SIGMA.sub("ς", written)', "written"),),
        tests=("crm_pipelines_tests/unit/crms/test_payload_hashes.py",),
    ),
    Mutation(
        guard="phones: a 0 stands for the country code only where it means nothing else",
        changes=((_PHONES, """plain = prefix.partition("|")[0] == "0" and""", "plain ="),),
        tests=(f"{_PHONE_TESTS}::test_digits_behind_a_zero_are_the_number_that_libphonenumber_finds_in_them",),
    ),
)
