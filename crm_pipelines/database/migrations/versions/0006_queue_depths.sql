-- How long the queue was. It cannot be told afterwards: a row of crm_syncs does not say when it was queued in the past.

CREATE TABLE crm_queue_depths (
    crm     text NOT NULL,
    at      timestamptz NOT NULL,     -- the full minute
    due     integer NOT NULL,         -- could have been claimed
    waiting integer NOT NULL,         -- waited for their time
    claimed integer NOT NULL,         -- were being delivered
    PRIMARY KEY (crm, at)
);
COMMENT ON TABLE crm_queue_depths IS 'One row per CRM and minute: how long the queue was. Kept for a month.';
