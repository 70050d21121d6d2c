-- The record of a decision has the id of its event: it is found by its key.
DROP INDEX audit_log_by_event;
