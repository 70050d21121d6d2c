-- The id of a rehearsal's event has a moment a little before the one at which it was received, perhaps in the span before.
WITH rehearsed AS (
    SELECT tenant, source, event_type, decision, received_at / 1024000 - 1 AS span FROM events WHERE decision = 'dry_run'
)
INSERT INTO event_spans (tenant, term, value, span, writer)
SELECT tenant, 'source', source, span, '00000000-0000-0000-0000-000000000000'::uuid FROM rehearsed
UNION SELECT tenant, 'type', event_type, span, '00000000-0000-0000-0000-000000000000'::uuid FROM rehearsed
UNION SELECT tenant, 'decision', decision, span, '00000000-0000-0000-0000-000000000000'::uuid FROM rehearsed
WHERE true
ON CONFLICT DO NOTHING;
