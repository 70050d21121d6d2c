-- One for each channel of an escalation's contact. rule_id: empty if there is none, so that it can be compared.
-- next_attempt_at: when it may be claimed; of a claimed one, the end of the lease.
CREATE TABLE notifications (
    tenant          TEXT    NOT NULL,
    escalation_id   UUID    NOT NULL,
    contact         TEXT    NOT NULL,
    channel         TEXT    NOT NULL,
    channel_type    TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    rule_id         TEXT    NOT NULL,
    severity_rank   BIGINT NOT NULL,
    state           TEXT    NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    epoch           BIGINT NOT NULL DEFAULT 0,
    lease_owner     TEXT,
    next_attempt_at BIGINT NOT NULL,
    deadline        BIGINT NOT NULL,
    sent_at         BIGINT,
    detail          TEXT,
    PRIMARY KEY (tenant, escalation_id, channel)
);
CREATE INDEX notifications_due ON notifications (severity_rank DESC, escalation_id)
    WHERE state IN ('queued', 'sending');
CREATE INDEX notifications_sending ON notifications (tenant, contact, channel, reason, rule_id)
    WHERE state = 'sending';
CREATE INDEX notifications_sent ON notifications (tenant, contact, channel, reason, rule_id, sent_at)
    WHERE state = 'sent';
