-- In which spans of time there are events of a source, of a type, and with a decision: an event has no index entries of its own for
-- them. term: source, type or decision. span: the milliseconds inside the events' ids, divided by 1,024. writer: the audit chain of
-- whoever saw one, so that no two who write at once wait for each other.
CREATE TABLE event_spans (
    tenant TEXT    NOT NULL,
    term   TEXT    NOT NULL,
    value  TEXT    NOT NULL,
    span   BIGINT NOT NULL,
    writer UUID NOT NULL,
    PRIMARY KEY (tenant, term, value, span, writer)
);
CREATE INDEX event_spans_by_age ON event_spans (span);

INSERT INTO event_spans (tenant, term, value, span, writer)
SELECT DISTINCT tenant, 'source', source, received_at / 1024000, '00000000-0000-0000-0000-000000000000'::uuid FROM events;
INSERT INTO event_spans (tenant, term, value, span, writer)
SELECT DISTINCT tenant, 'type', event_type, received_at / 1024000, '00000000-0000-0000-0000-000000000000'::uuid FROM events;
INSERT INTO event_spans (tenant, term, value, span, writer)
SELECT DISTINCT tenant, 'decision', decision, received_at / 1024000, '00000000-0000-0000-0000-000000000000'::uuid FROM events;

DROP INDEX events_by_source;
DROP INDEX events_by_type;
DROP INDEX events_by_decision;
