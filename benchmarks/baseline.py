"""What is compared with: one contact after the other, a new connection for each, its status written back at once.

The way of a simple scheduler that takes batches of ten: mark the batch, send each, commit each.
"""

import time

import requests
import sqlalchemy as sa

from crm_pipelines.database.connecting import create_engine


def run(database_url: str, base_url: str) -> tuple[int, float, float]:
    """Deliver everything that is queued; returns contacts, seconds and CPU seconds."""
    engine = create_engine(database_url)
    started, cpu, sent = time.monotonic(), time.process_time(), 0
    try:
        while batch := _next_batch(engine):
            for contact_id, email, name in batch:
                body = {"email": email, "attributes": {"FIRSTNAME": name}, "updateEnabled": True}
                answer = requests.post(f"{base_url}/contacts", json=body, headers={"api-key": "baseline"}, timeout=30)
                answer.raise_for_status()
                with engine.begin() as connection:
                    connection.execute(
                        sa.text(
                            "UPDATE crm_syncs SET state = 'synced', synced_revision = revision, "
                            "claimed_by = NULL, lease_until = NULL WHERE contact_id = :id AND crm = 'brevo'"
                        ),
                        {"id": contact_id},
                    )
                sent += 1
        return sent, time.monotonic() - started, time.process_time() - cpu
    finally:
        engine.dispose()


def _next_batch(engine: sa.Engine) -> list[tuple[str, str, str]]:
    with engine.begin() as connection:
        rows = connection.execute(
            sa.text(
                "UPDATE crm_syncs s SET state = 'claimed', claimed_by = 'baseline', "
                "lease_until = now() + interval '1 h' FROM crm_contacts c "
                "WHERE c.id = s.contact_id AND s.crm = 'brevo' AND s.contact_id IN "
                "(SELECT contact_id FROM crm_syncs WHERE crm = 'brevo' AND state = 'queued' ORDER BY run_at LIMIT 10) "
                "RETURNING c.id, c.email, c.name"
            )
        )
        return [(row.id, row.email, row.name) for row in rows]
