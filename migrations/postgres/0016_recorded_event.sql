-- What a commit writes about an event: the row of events, and what the row of audit_log has beside it and beside its link. A commit sends an
-- array of these instead of one for each column. It stays as it is, since older builds may be running: who needs others makes another type.
CREATE TYPE recorded_event AS (
    tenant       TEXT,
    event_id     UUID,
    received_at  BIGINT,
    event_type   TEXT,
    severity     TEXT,
    source       TEXT,
    occurred_at  BIGINT,
    decision     TEXT,
    body         TEXT,
    position     BIGINT,
    actor        TEXT,
    request_id   TEXT,
    event_sha256 BYTEA,
    rule_id      TEXT,
    rule_version BIGINT,
    revision     BIGINT,
    execution_id UUID,
    message      TEXT,
    shadows      TEXT,
    hash         BYTEA,
    inside       BOOLEAN
);
