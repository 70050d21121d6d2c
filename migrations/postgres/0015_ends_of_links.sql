-- Of a link's records only those at its ends are found by their place: the rest lie between them, by their ids. inside: there are
-- records of the same link, tenant and day (UTC, of the id) with a smaller and with a greater id; otherwise NULL.
ALTER TABLE audit_log ADD COLUMN inside BOOLEAN;
DROP INDEX audit_log_by_place;
CREATE INDEX audit_log_by_place ON audit_log (tenant, chain, link, audit_id) WHERE inside IS NULL;

-- Whoever asks for an execution by its key finds it in one way, also in a plan that was made while there were none: an index with a
-- condition, although it always holds, is no way to what does not mean its column.
DROP INDEX rule_executions_by_state;
DROP INDEX rule_executions_by_playbook;
DROP INDEX rule_executions_by_rule;
DROP INDEX rule_executions_by_event;
CREATE INDEX rule_executions_by_state ON rule_executions (tenant, state, execution_id) WHERE state IS NOT NULL;
CREATE INDEX rule_executions_by_playbook ON rule_executions (tenant, playbook, execution_id) WHERE playbook IS NOT NULL;
CREATE INDEX rule_executions_by_rule ON rule_executions (tenant, rule_id, execution_id) WHERE rule_id IS NOT NULL;
CREATE INDEX rule_executions_by_event ON rule_executions (tenant, event_id) WHERE event_id IS NOT NULL;
