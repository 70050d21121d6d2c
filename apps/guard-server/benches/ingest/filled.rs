//! A database that has been in use: events of the last twelve hours, with their records. One in five hundred has triggered: there
//! are its execution, which ended, with its attempt and its cooldown, which has not.

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

/// The moment inside the `n`th of so many ids, in milliseconds, as both databases reckon it.
const EVENTS: &str = "INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)
    SELECT 'default', {id}, ms * 1000, 'anomaly_detected', 'medium', 'sentinel-' || n % 7, ms * 1000, 'no_action',
        '{\"context\":{\"filler\":\"' || {filler} || '\"}}'
    FROM {numbers}";
const SPANS: [&str; 3] = [
    "INSERT INTO event_spans (tenant, term, value, span, writer)
    SELECT DISTINCT 'default', 'source', 'sentinel-' || n % 7, ms / 1024, {chain} FROM {numbers}",
    "INSERT INTO event_spans (tenant, term, value, span, writer)
    SELECT DISTINCT 'default', 'type', 'anomaly_detected', ms / 1024, {chain} FROM {numbers}",
    "INSERT INTO event_spans (tenant, term, value, span, writer)
    SELECT DISTINCT 'default', 'decision', 'no_action', ms / 1024, {chain} FROM {numbers}",
];
const RECORDS: &str = "INSERT INTO audit_log (tenant, audit_id, chain, link, position, action, actor, request_id, event_id,
        event_sha256, decision, revision, message, executed_at, hash, inside)
    SELECT 'default', {id}, {chain}, n / 32 + 1, n % 32, 'decision', 'key:api', '0197f0e0-0000-7000-8000-000000000000', {id},
        {digest}, 'no_action', 1, 'No rule matched', ms * 1000, {digest}, CASE WHEN n % 32 NOT IN (0, 31) THEN true END
    FROM {numbers}";

/// Which events triggered. No value is one of the load's own, whose events would be suppressed.
const TRIGGERED: &str = "n % 500 = 0";
const EXECUTIONS: &str = r#"INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
        severity_rank, state, cooldown_value, params, attempts, epoch, next_attempt_at, deadline, executed_at, acknowledged_at,
        started_at, finished_at)
    SELECT 'default', {id}, {id}, 'trigger', 1, 'bench', 'medium', 2, 'succeeded', '["past-' || n || '"]', '{}', 1, 1, ms * 1000,
        ms * 1000 + 900000000, ms * 1000, ms * 1000, ms * 1000, ms * 1000
    FROM {numbers} WHERE {triggered}"#;
const ATTEMPTS: &str = "INSERT INTO execution_attempts (tenant, execution_id, attempt, epoch, instance, started_at, finished_at,
        outcome, status_code, detail, may_have_run)
    SELECT 'default', {id}, 1, 1, 'past', ms * 1000, ms * 1000, 'acknowledged', 200, 'n8n answered 200', true
    FROM {numbers} WHERE {triggered}";
const COOLDOWNS: &str = r#"INSERT INTO cooldowns (tenant, rule_id, value, claimed_by, until)
    SELECT 'default', 'trigger', '["past-' || n || '"]', {id}, ms * 1000 + 86400000000
    FROM {numbers} WHERE {triggered}"#;

/// Fills the database of a server that has made its schema.
pub(crate) async fn fill(url: &str, events: u64) {
    let begin = super::stand_in::micros_now() / 1000 - 12 * 3600 * 1000;
    let moment = format!("{begin} + n * {} / {events}", 12 * 3600 * 1000);
    let postgres = url.starts_with("postgres");
    let replaced = |text: &str| {
        let pairs = if postgres {
            [
                ("{numbers}", format!("(SELECT n, {moment} AS ms FROM generate_series(0::bigint, {events} - 1) n) AS numbers")),
                ("{id}", "(lpad(to_hex(ms), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid".to_owned()),
                ("{filler}", "repeat(md5(n::text), 12)".to_owned()),
                ("{digest}", "decode(md5(n::text) || md5(n::text), 'hex')".to_owned()),
                ("{chain}", "'0197f0e0-0000-7000-8000-000000000000'::uuid".to_owned()),
            ]
        } else {
            [
                ("{numbers}", format!("(WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {events})
                    SELECT n, {moment} AS ms FROM s)")),
                ("{id}", "unhex(printf('%012x7%03x8%015x', ms, n % 4096, n))".to_owned()),
                ("{filler}", "hex(zeroblob(192))".to_owned()),
                ("{digest}", "zeroblob(32)".to_owned()),
                ("{chain}", "unhex('0197f0e0000070008000000000000000')".to_owned()),
            ]
        };
        let replace = |text: String, (from, to): &(&str, String)| text.replace(from, to);
        pairs
            .iter()
            .fold(text.replace("{triggered}", TRIGGERED), replace)
    };
    let others = [RECORDS, EXECUTIONS, ATTEMPTS, COOLDOWNS];
    for text in [EVENTS].into_iter().chain(SPANS).chain(others) {
        let statement = sqlx::AssertSqlSafe(replaced(text));
        if postgres {
            let mut connection = PgConnection::connect(url).await.expect("a connection");
            connection
                .execute(sqlx::raw_sql(statement))
                .await
                .expect("filled");
        } else {
            let mut connection = SqliteConnection::connect(url).await.expect("a file");
            connection
                .execute(sqlx::raw_sql(statement))
                .await
                .expect("filled");
        }
    }
    if postgres {
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        let settle = "VACUUM (ANALYZE) events, event_spans, audit_log, rule_executions, execution_attempts, cooldowns; CHECKPOINT";
        for statement in settle.split(';') {
            connection
                .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())))
                .await
                .expect("settled");
        }
    }
}
