-- Times are microseconds since the Unix epoch. Enumerated columns hold the words of the
-- contract. Every key begins with the tenant, but those of audit_links and leases.

CREATE TABLE tenants (
    tenant      TEXT    NOT NULL PRIMARY KEY,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE api_keys (
    tenant       TEXT    NOT NULL,
    key_id       TEXT    NOT NULL,
    label        TEXT    NOT NULL,
    sha256       BYTEA,
    argon2       TEXT,
    scopes       TEXT    NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT,
    PRIMARY KEY (tenant, key_id)
);
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (key_id);

-- What operators and publications switch: read in every commit.
CREATE TABLE control (
    tenant        TEXT    NOT NULL PRIMARY KEY,
    live_revision BIGINT NOT NULL DEFAULT 0,
    pauses        TEXT    NOT NULL DEFAULT '[]',
    callback_key  BYTEA
);

CREATE TABLE rules (
    tenant     TEXT    NOT NULL,
    rule_id    TEXT    NOT NULL,
    version    BIGINT NOT NULL,
    definition TEXT    NOT NULL,
    sha256     BYTEA    NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, rule_id, version)
);

-- members: a JSON array of [rule_id, version], in the order of the source.
CREATE TABLE rule_revisions (
    tenant     TEXT    NOT NULL,
    revision   BIGINT NOT NULL,
    members    TEXT    NOT NULL,
    sha256     BYTEA    NOT NULL,
    origin     TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, revision)
);
CREATE INDEX rule_revisions_by_content ON rule_revisions (tenant, sha256);

-- body: the event as the text that was sent. Partitioned by day, by the time inside the id; the server makes the partitions.
CREATE TABLE events (
    tenant      TEXT    NOT NULL,
    event_id    UUID    NOT NULL,
    received_at BIGINT NOT NULL,
    event_type  TEXT    NOT NULL,
    severity    TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    occurred_at BIGINT NOT NULL,
    decision    TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (tenant, event_id)
) PARTITION BY RANGE (event_id);
CREATE INDEX events_by_source ON events (tenant, source, event_id);
CREATE INDEX events_by_type ON events (tenant, event_type, event_id);
CREATE INDEX events_by_decision ON events (tenant, decision, event_id);

CREATE TABLE event_keys (
    tenant      TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    body_sha256 BYTEA    NOT NULL,
    event_id    UUID    NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, source, key)
);
CREATE INDEX event_keys_by_age ON event_keys (created_at);

-- One record for each decision and each act of an operator; partitioned as events are. hash: SHA-256 of the canonical record.
CREATE TABLE audit_log (
    tenant       TEXT    NOT NULL,
    audit_id     UUID    NOT NULL,
    chain        UUID    NOT NULL,
    link         BIGINT NOT NULL,
    position     BIGINT NOT NULL,
    action       TEXT    NOT NULL,
    actor        TEXT    NOT NULL,
    request_id   TEXT,
    target       TEXT,
    event_id     UUID,
    event_sha256 BYTEA,
    decision     TEXT,
    rule_id      TEXT,
    rule_version BIGINT,
    revision     BIGINT,
    execution_id UUID,
    message      TEXT    NOT NULL,
    shadows      TEXT    NOT NULL DEFAULT '[]',
    executed_at  BIGINT NOT NULL,
    hash         BYTEA    NOT NULL,
    PRIMARY KEY (tenant, audit_id)
) PARTITION BY RANGE (audit_id);
CREATE INDEX audit_log_by_place ON audit_log (tenant, chain, link, position);
CREATE INDEX audit_log_by_event ON audit_log (tenant, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX audit_log_by_rule ON audit_log (tenant, rule_id, audit_id) WHERE rule_id IS NOT NULL;

-- One link for each commit, one chain for each start of a process. hash: SHA-256 of the previous hash and of the hashes
-- of the commit's records.
CREATE TABLE audit_links (
    chain      UUID    NOT NULL,
    link       BIGINT NOT NULL,
    previous   BYTEA    NOT NULL,
    hash       BYTEA    NOT NULL,
    records    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (chain, link)
);

-- The outbox. next_attempt_at: when it may be claimed; of a claimed one, the end of the lease.
CREATE TABLE rule_executions (
    tenant             TEXT    NOT NULL,
    execution_id       UUID    NOT NULL,
    event_id           UUID    NOT NULL,
    rule_id            TEXT    NOT NULL,
    rule_version       BIGINT NOT NULL,
    playbook           TEXT    NOT NULL,
    severity           TEXT    NOT NULL,
    severity_rank      BIGINT NOT NULL,
    state              TEXT    NOT NULL,
    cooldown_value     TEXT    NOT NULL,
    params             TEXT    NOT NULL,
    attempts           BIGINT NOT NULL DEFAULT 0,
    epoch              BIGINT NOT NULL DEFAULT 0,
    lease_owner        TEXT,
    next_attempt_at    BIGINT NOT NULL,
    deadline           BIGINT NOT NULL,
    confirm_by         BIGINT,
    executed_at        BIGINT NOT NULL,
    acknowledged_at    BIGINT,
    started_at         BIGINT,
    finished_at        BIGINT,
    unregistered_since BIGINT,
    n8n_execution_id   TEXT,
    message            TEXT,
    result_data        TEXT,
    traceparent        TEXT,
    redrive_of         UUID,
    rollback_of        UUID,
    PRIMARY KEY (tenant, execution_id)
);
CREATE INDEX rule_executions_due ON rule_executions (severity_rank DESC, execution_id)
    WHERE state IN ('queued', 'dispatching');
CREATE INDEX rule_executions_by_attempt ON rule_executions (next_attempt_at)
    WHERE state IN ('queued', 'dispatching');
CREATE INDEX rule_executions_by_deadline ON rule_executions (deadline)
    WHERE state IN ('queued', 'dispatching');
CREATE INDEX rule_executions_unconfirmed ON rule_executions (confirm_by)
    WHERE state IN ('acknowledged', 'started');
CREATE INDEX rule_executions_undelivered ON rule_executions (tenant, rule_id, cooldown_value)
    WHERE state IN ('queued', 'dispatching');
CREATE INDEX rule_executions_by_state ON rule_executions (tenant, state, execution_id);
CREATE INDEX rule_executions_by_playbook ON rule_executions (tenant, playbook, execution_id);
CREATE INDEX rule_executions_by_rule ON rule_executions (tenant, rule_id, execution_id);
CREATE INDEX rule_executions_by_event ON rule_executions (tenant, event_id);
CREATE INDEX rule_executions_by_redrive ON rule_executions (tenant, redrive_of) WHERE redrive_of IS NOT NULL;

-- may_have_run: true until the attempt is known to have reached no workflow.
CREATE TABLE execution_attempts (
    tenant       TEXT    NOT NULL,
    execution_id UUID    NOT NULL,
    attempt      BIGINT NOT NULL,
    epoch        BIGINT NOT NULL,
    instance     TEXT    NOT NULL,
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    outcome      TEXT,
    status_code  BIGINT,
    detail       TEXT,
    may_have_run BOOLEAN NOT NULL DEFAULT true,
    PRIMARY KEY (tenant, execution_id, attempt)
);

CREATE TABLE escalations (
    tenant        TEXT    NOT NULL,
    escalation_id UUID    NOT NULL,
    reason        TEXT    NOT NULL,
    contact       TEXT    NOT NULL,
    severity      TEXT    NOT NULL,
    message       TEXT    NOT NULL,
    event_id      UUID,
    execution_id  UUID,
    rule_id       TEXT,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant, escalation_id)
);
CREATE UNIQUE INDEX escalations_once ON escalations (tenant, execution_id, reason)
    WHERE execution_id IS NOT NULL;

CREATE INDEX escalations_by_event ON escalations (tenant, event_id) WHERE event_id IS NOT NULL;

-- claimed_by: the execution, or for a rule without a playbook the event, that took the cooldown.
CREATE TABLE cooldowns (
    tenant     TEXT    NOT NULL,
    rule_id    TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    claimed_by UUID    NOT NULL,
    until      BIGINT NOT NULL,
    PRIMARY KEY (tenant, rule_id, value)
);

CREATE INDEX cooldowns_by_end ON cooldowns (until);

CREATE TABLE windows (
    tenant   TEXT    NOT NULL,
    rule_id  TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    at       BIGINT NOT NULL,
    event_id UUID    NOT NULL,
    PRIMARY KEY (tenant, rule_id, value, at, event_id)
);

CREATE TABLE leases (
    name  TEXT    NOT NULL PRIMARY KEY,
    owner TEXT    NOT NULL,
    epoch BIGINT NOT NULL,
    until BIGINT NOT NULL
);

-- Makes the partition of one day, unless it is there: it holds the ids from the lowest to below the highest.
CREATE FUNCTION guard_make_partition(parent TEXT, child TEXT, lowest UUID, highest UUID) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(child) IS NULL THEN
        -- In two steps, because to create it as a partition would wait for everybody who reads the table.
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child, lowest, highest);
    END IF;
END
$$;
