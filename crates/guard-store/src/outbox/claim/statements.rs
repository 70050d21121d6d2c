//! What claims are made of: [`CLAIM`] is PostgreSQL's, the others are SQLite's.

/// Walks from each playbook of which something waits to the next, from '' to NULL. It does not ask about deadlines: then PostgreSQL
/// might walk through the index of those.
macro_rules! waiting {
    ($index:literal) => {
        concat!(
            "WITH RECURSIVE waiting (playbook) AS (
                 SELECT ''
                 UNION ALL
                 SELECT (SELECT x.playbook FROM rule_executions x ",
            $index,
            "
                         WHERE x.state IN ('queued', 'dispatching') AND x.playbook > w.playbook
                         ORDER BY x.playbook LIMIT 1)
                 FROM waiting w WHERE w.playbook IS NOT NULL
             )"
        )
    };
}

/// What is due of a playbook at `$1` and not paused: the most severe first, of equal ones the oldest.
macro_rules! due {
    ($column:literal, $index:literal, $playbook:literal, $pauses:literal) => {
        concat!(
            "SELECT ",
            $column,
            ", x.severity_rank, x.execution_id FROM rule_executions x ",
            $index,
            " WHERE x.state IN ('queued', 'dispatching') AND x.playbook = ",
            $playbook,
            "  AND x.next_attempt_at <= $1 AND x.deadline > $1
               AND NOT EXISTS (
                   SELECT 1 FROM control c, ",
            $pauses,
            " p
                   WHERE c.tenant = x.tenant
                     AND p.value ->> 'scope' IN ('all', 'rule:' || x.rule_id, 'playbook:' || x.playbook))
             ORDER BY x.severity_rank DESC, x.execution_id"
        )
    };
}

/// Claims for `$2` until `$3`.
macro_rules! take {
    ($which:literal) => {
        concat!(
            "UPDATE rule_executions
             SET state = 'dispatching', epoch = epoch + 1, attempts = attempts + 1, lease_owner = $2, next_attempt_at = $3
             WHERE ",
            $which
        )
    };
}

/// Notes that attempts begin at `$1`: from here on they may have run.
macro_rules! note_attempts {
    ($taken:literal) => {
        concat!(
            "INSERT INTO execution_attempts (tenant, execution_id, attempt, epoch, instance, started_at)
             SELECT x.tenant, x.execution_id, x.attempts, x.epoch, $2, $1 FROM ",
            $taken
        )
    };
}

/// The playbooks of which something is due, but for those of the JSON array `$2`.
pub(super) const PLAYBOOKS_DUE: &str = concat!(
    waiting!("INDEXED BY rule_executions_due"),
    " SELECT w.playbook FROM waiting w
      WHERE w.playbook NOT IN (SELECT value FROM json_each($2))
        AND (SELECT true FROM rule_executions x INDEXED BY rule_executions_due
             WHERE x.state IN ('queued', 'dispatching') AND x.playbook = w.playbook AND x.next_attempt_at <= $1
             LIMIT 1)"
);

/// What is due of the playbook `$2`, at most `$3`.
pub(super) const DUE: &str = concat!(
    due!(
        "x.tenant",
        "INDEXED BY rule_executions_due",
        "$2",
        "json_each(c.pauses)"
    ),
    " LIMIT $3"
);

/// Claims at most `$6` in all, and of a playbook what the JSON object `$4` says, at most `$5`.
///
/// It goes straight to the rows that it has locked: any other way may be planned as a walk through all of them. A row that somebody changed
/// while this began, and that is due nevertheless, is left to the next claim. Events are asked for afterwards: one for which the plan does not
/// know the day is looked for in every partition.
pub(super) const CLAIM: &str = concat!(
    waiting!(""),
    ", due AS MATERIALIZED (
         SELECT d.place FROM waiting w CROSS JOIN LATERAL (",
    due!(
        "x.ctid AS place",
        "",
        "w.playbook",
        "jsonb_array_elements(c.pauses::jsonb)"
    ),
    "        LIMIT least(($4::jsonb ->> w.playbook)::bigint, $5)
             FOR UPDATE OF x SKIP LOCKED) d
         ORDER BY d.severity_rank DESC, d.execution_id
         LIMIT $6
     ), taken AS (",
    take!("ctid = ANY (ARRAY(SELECT place FROM due)) RETURNING *"),
    "), noted AS (",
    note_attempts!("taken x"),
    ")
     SELECT * FROM taken"
);

/// Claims the execution `$1` of the tenant `$4`.
pub(super) const TAKE: &str = take!("tenant = $4 AND execution_id = $1 RETURNING *");

/// Notes that the attempt of the execution `$4` of the tenant `$3`, which has been claimed, begins.
pub(super) const NOTE_ATTEMPT: &str =
    note_attempts!("rule_executions x WHERE x.tenant = $3 AND x.execution_id = $4");
