-- Times are microseconds since the Unix epoch. Ids are the 16 bytes of a UUID. Enumerated columns hold the words of the
-- contract. Every key begins with the tenant, but those of audit_links and leases.

CREATE TABLE tenants (
    tenant      TEXT    NOT NULL PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

CREATE TABLE api_keys (
    tenant       TEXT    NOT NULL,
    key_id       TEXT    NOT NULL,
    label        TEXT    NOT NULL,
    sha256       BLOB,
    argon2       TEXT,
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    PRIMARY KEY (tenant, key_id)
) STRICT;
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (key_id);

-- What operators and publications switch: read in every commit.
CREATE TABLE control (
    tenant        TEXT    NOT NULL PRIMARY KEY,
    live_revision INTEGER NOT NULL DEFAULT 0,
    pauses        TEXT    NOT NULL DEFAULT '[]',
    callback_key  BLOB
) STRICT;

CREATE TABLE rules (
    tenant     TEXT    NOT NULL,
    rule_id    TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    definition TEXT    NOT NULL,
    sha256     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, rule_id, version)
) STRICT;

-- members: a JSON array of [rule_id, version], in the order of the source.
CREATE TABLE rule_revisions (
    tenant     TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    members    TEXT    NOT NULL,
    sha256     BLOB    NOT NULL,
    origin     TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, revision)
) STRICT;
CREATE INDEX rule_revisions_by_content ON rule_revisions (tenant, sha256);

-- body: the event as the text that was sent.
CREATE TABLE events (
    tenant      TEXT    NOT NULL,
    event_id    BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    event_type  TEXT    NOT NULL,
    severity    TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    decision    TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (tenant, event_id)
) STRICT;
CREATE INDEX events_by_source ON events (tenant, source, event_id);
CREATE INDEX events_by_type ON events (tenant, event_type, event_id);
CREATE INDEX events_by_decision ON events (tenant, decision, event_id);

CREATE TABLE event_keys (
    tenant      TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    body_sha256 BLOB    NOT NULL,
    event_id    BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, source, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_keys_by_age ON event_keys (created_at);

-- One record for each decision and each act of an operator. hash: SHA-256 of the canonical record.
CREATE TABLE audit_log (
    tenant       TEXT    NOT NULL,
    audit_id     BLOB    NOT NULL,
    chain        BLOB    NOT NULL,
    link         INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    action       TEXT    NOT NULL,
    actor        TEXT    NOT NULL,
    request_id   TEXT,
    target       TEXT,
    event_id     BLOB,
    event_sha256 BLOB,
    decision     TEXT,
    rule_id      TEXT,
    rule_version INTEGER,
    revision     INTEGER,
    execution_id BLOB,
    message      TEXT    NOT NULL,
    shadows      TEXT    NOT NULL DEFAULT '[]',
    executed_at  INTEGER NOT NULL,
    hash         BLOB    NOT NULL,
    PRIMARY KEY (tenant, audit_id)
) STRICT;
CREATE UNIQUE INDEX audit_log_by_place ON audit_log (tenant, chain, link, position);
CREATE INDEX audit_log_by_event ON audit_log (tenant, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX audit_log_by_rule ON audit_log (tenant, rule_id, audit_id) WHERE rule_id IS NOT NULL;

-- One link for each commit, one chain for each start of a process. hash: SHA-256 of the previous hash and of the hashes
-- of the commit's records.
CREATE TABLE audit_links (
    chain      BLOB    NOT NULL,
    link       INTEGER NOT NULL,
    previous   BLOB    NOT NULL,
    hash       BLOB    NOT NULL,
    records    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (chain, link)
) STRICT, WITHOUT ROWID;

-- The outbox. next_attempt_at: when it may be claimed; of a claimed one, the end of the lease.
CREATE TABLE rule_executions (
    tenant             TEXT    NOT NULL,
    execution_id       BLOB    NOT NULL,
    event_id           BLOB    NOT NULL,
    rule_id            TEXT    NOT NULL,
    rule_version       INTEGER NOT NULL,
    playbook           TEXT    NOT NULL,
    severity           TEXT    NOT NULL,
    severity_rank      INTEGER NOT NULL,
    state              TEXT    NOT NULL,
    cooldown_value     TEXT    NOT NULL,
    params             TEXT    NOT NULL,
    attempts           INTEGER NOT NULL DEFAULT 0,
    epoch              INTEGER NOT NULL DEFAULT 0,
    lease_owner        TEXT,
    next_attempt_at    INTEGER NOT NULL,
    deadline           INTEGER NOT NULL,
    confirm_by         INTEGER,
    executed_at        INTEGER NOT NULL,
    acknowledged_at    INTEGER,
    started_at         INTEGER,
    finished_at        INTEGER,
    unregistered_since INTEGER,
    n8n_execution_id   TEXT,
    message            TEXT,
    result_data        TEXT,
    traceparent        TEXT,
    redrive_of         BLOB,
    rollback_of        BLOB,
    PRIMARY KEY (tenant, execution_id)
) STRICT;
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

-- may_have_run: 1 until the attempt is known to have reached no workflow.
CREATE TABLE execution_attempts (
    tenant       TEXT    NOT NULL,
    execution_id BLOB    NOT NULL,
    attempt      INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    instance     TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    outcome      TEXT,
    status_code  INTEGER,
    detail       TEXT,
    may_have_run INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant, execution_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE escalations (
    tenant        TEXT    NOT NULL,
    escalation_id BLOB    NOT NULL,
    reason        TEXT    NOT NULL,
    contact       TEXT    NOT NULL,
    severity      TEXT    NOT NULL,
    message       TEXT    NOT NULL,
    event_id      BLOB,
    execution_id  BLOB,
    rule_id       TEXT,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant, escalation_id)
) STRICT;
CREATE UNIQUE INDEX escalations_once ON escalations (tenant, execution_id, reason)
    WHERE execution_id IS NOT NULL;

CREATE INDEX escalations_by_event ON escalations (tenant, event_id) WHERE event_id IS NOT NULL;

-- claimed_by: the execution, or for a rule without a playbook the event, that took the cooldown.
CREATE TABLE cooldowns (
    tenant     TEXT    NOT NULL,
    rule_id    TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    claimed_by BLOB    NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (tenant, rule_id, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX cooldowns_by_end ON cooldowns (until);

CREATE TABLE windows (
    tenant   TEXT    NOT NULL,
    rule_id  TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    event_id BLOB    NOT NULL,
    PRIMARY KEY (tenant, rule_id, value, at, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    name  TEXT    NOT NULL PRIMARY KEY,
    owner TEXT    NOT NULL,
    epoch INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
