-- One expression, which no other index offers: before the table is analysed, an index on the three columns costs as much, as
-- PostgreSQL sees it, as that of a rule's executions, and may lose. Tenants and rules have no slash.
DROP INDEX rule_executions_undelivered;
CREATE INDEX rule_executions_undelivered ON rule_executions ((tenant || '/' || rule_id || '/' || cooldown_value))
    WHERE state IN ('queued', 'dispatching');
