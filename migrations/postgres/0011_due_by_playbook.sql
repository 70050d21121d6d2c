-- Claims go from playbook to playbook: what waits of one that has no room is not looked through.
DROP INDEX rule_executions_due;
CREATE INDEX rule_executions_due ON rule_executions (playbook, severity_rank DESC, execution_id)
    WHERE state IN ('queued', 'dispatching');
-- Nobody asks any more when the next one is due.
DROP INDEX rule_executions_by_attempt;
