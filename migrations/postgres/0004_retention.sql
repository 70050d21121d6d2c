-- Drops the partition of one day, whose ids are from the lowest to below the highest, unless an execution of one of its
-- events has not ended. Locks are waited for as long as lock_timeout says.
CREATE FUNCTION guard_drop_partition(parent TEXT, child TEXT, lowest UUID, highest UUID) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
BEGIN
    -- Who reads or writes events locks the parent first. The partition itself is not waited for, because all who come
    -- meanwhile wait for the parent.
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE NOWAIT', child);
    IF EXISTS (SELECT 1 FROM rule_executions
               WHERE state IN ('queued', 'dispatching') AND event_id >= lowest AND event_id < highest)
        OR EXISTS (SELECT 1 FROM rule_executions
                   WHERE state IN ('acknowledged', 'started') AND event_id >= lowest AND event_id < highest) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', child);
    RETURN true;
END
$$;
