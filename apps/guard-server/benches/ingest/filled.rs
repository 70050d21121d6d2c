//! A database that has been in use: events of the last twelve hours, with their records.

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

/// The moment inside the `n`th of so many ids, in milliseconds, as both databases reckon it.
const EVENTS: &str = "INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)
    SELECT 'default', {id}, ms * 1000, 'anomaly_detected', 'medium', 'sentinel-' || n % 7, ms * 1000, 'no_action',
        '{\"context\":{\"filler\":\"' || {filler} || '\"}}'
    FROM {numbers}";
const RECORDS: &str = "INSERT INTO audit_log (tenant, audit_id, chain, link, position, action, actor, request_id, event_id,
        event_sha256, decision, revision, message, executed_at, hash)
    SELECT 'default', {id}, {chain}, n / 32 + 1, n % 32, 'decision', 'key:api', '0197f0e0-0000-7000-8000-000000000000', {id},
        {digest}, 'no_action', 1, 'No rule matched', ms * 1000, {digest}
    FROM {numbers}";

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
        pairs.iter().fold(text.to_owned(), replace)
    };
    for text in [EVENTS, RECORDS] {
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
        let settle = "VACUUM (ANALYZE) events, audit_log; CHECKPOINT";
        for statement in settle.split(';') {
            connection
                .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())))
                .await
                .expect("settled");
        }
    }
}
