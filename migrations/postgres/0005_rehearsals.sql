-- dry_run: the workflow is only to say what it would do. A build before this one would deliver such a row as a real one:
-- nobody is to order a rehearsal while one is running.
ALTER TABLE rule_executions ADD COLUMN dry_run BOOLEAN NOT NULL DEFAULT false;
-- answer: the body of n8n's answer as it came, bounded.
ALTER TABLE execution_attempts ADD COLUMN answer TEXT;

CREATE INDEX rule_executions_by_rollback ON rule_executions (tenant, rollback_of) WHERE rollback_of IS NOT NULL;
CREATE INDEX rule_executions_unproven ON rule_executions (finished_at) WHERE state = 'unconfirmed';
