//! What is read for every commit or delivery, or every few seconds, does not grow with what there has been, whether or not the
//! tables were ever analysed.

use std::time::Duration;

use guard_app::ports::{Checkpoints, Clock, CommitOutcome, Outbox};
use guard_store::Store;
use guard_testkit::contract::{World, acknowledged, recorded};
use guard_testkit::{TestDatabase, event_body, intake_key};
use sqlx::{Connection, PgConnection};

use super::instances;

/// A cooldown, a window and a playbook.
const RULES: &str = "
rules:
  - id: third
    event_type: '*'
    window: { count: 3, within: 10m, by: [context.host] }
    action: ignore
  - id: lockdown
    event_type: security_threat
    cooldown_minutes: 10
    cooldown_by: [context.host]
    action: { trigger_playbook: { name: lockdown } }
";

/// Four thousand events with keys, whose executions have been delivered.
const PAST: &str = "
    INSERT INTO cooldowns (tenant, rule_id, value, claimed_by, until)
        SELECT 'default', 'lockdown', '[\"past-' || n || '\"]', gen_random_uuid(), {now} + 600000000 FROM generate_series(1, 4000) n;
    INSERT INTO windows (tenant, rule_id, value, at, event_id, until)
        SELECT 'default', 'third', '[\"past-' || n || '\"]', {now}, gen_random_uuid(), {now} + 600000000
        FROM generate_series(1, 4000) n;
    INSERT INTO event_keys (tenant, source, key, body_sha256, event_id, created_at)
        SELECT 'default', 'sentinel', 'past-' || n, '\\x00', gen_random_uuid(), {now} FROM generate_series(1, 4000) n;
    INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity, severity_rank,
            state, cooldown_value, params, next_attempt_at, deadline, executed_at)
        SELECT 'default', gen_random_uuid(), gen_random_uuid(), 'lockdown', 1, 'lockdown', 'high', 3, 'queued',
            '[\"past-' || n || '\"]', '{}', {now}, {now} + 600000000, {now}
        FROM generate_series(1, 4000) n;
    UPDATE rule_executions SET state = 'acknowledged', confirm_by = {now} + 600000000";

/// Rows, entries and pages of indexes that sessions which have ended have read: of an entry that is passed over only the page counts.
const READ: &str =
    "SELECT (SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname = ANY ($1))
    + (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = ANY ($1))
    + (SELECT sum(idx_blks_hit + idx_blks_read)::bigint FROM pg_statio_user_indexes WHERE relname = ANY ($1))";

/// What commits and deliveries look into.
const LOOKED_INTO: [&str; 5] = [
    "cooldowns",
    "windows",
    "event_keys",
    "rule_executions",
    "execution_attempts",
];

/// Ends the other sessions, so that everything they have read is counted.
async fn read_by_others(connection: &mut PgConnection, tables: &[&str]) -> i64 {
    let others =
        "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                  AND backend_type = 'client backend'";
    let end = format!("SELECT pg_terminate_backend(pid) {others}");
    sqlx::query(sqlx::AssertSqlSafe(end))
        .execute(&mut *connection)
        .await
        .unwrap();
    let count = format!("SELECT count(*) {others}");
    while sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(count.clone()))
        .fetch_one(&mut *connection)
        .await
        .unwrap()
        > 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A connection that was used a moment ago is not asked whether it is still there.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    read(connection, tables).await
}

async fn read(connection: &mut PgConnection, tables: &[&str]) -> i64 {
    sqlx::query_scalar(READ)
        .bind(tables)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_a_commit_and_a_delivery_read_does_not_grow_with_the_past() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    leave_alone(&database).await;
    world.publish(RULES).await;
    fill(&database, &world).await;
    let mut connection = database.connect().await;
    // What is no entry any more is taken for one until somebody has looked at it.
    assert!(world.claim(10, &[]).await.is_empty());
    let before = read_by_others(&mut connection, &LOOKED_INTO).await;
    let rounds = 20;
    for round in 0..rounds {
        deliver(&world, round).await;
    }
    let read = read_by_others(&mut connection, &LOOKED_INTO).await - before;
    assert!(read < rounds * 200, "{read} rows in {rounds} rounds");
}

/// A plan that was made while there was nothing is as good when there is much.
#[tokio::test]
async fn what_was_planned_for_nothing_serves_for_much() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    leave_alone(&database).await;
    world.publish(RULES).await;
    deliver(&world, 0).await;
    fill(&database, &world).await;
    let mut connection = database.connect().await;
    assert!(world.claim(10, &[]).await.is_empty());
    let before = read(&mut connection, &LOOKED_INTO).await;
    let rounds = 20;
    for round in 1..=rounds {
        deliver(&world, round).await;
        let body = event_body("security_threat", "high", r#"{"host":"0"}"#);
        let repeated = world.intake(&body, Some(intake_key("key-0", &body))).await;
        let outcomes = world.commit(&[repeated]).await;
        assert!(matches!(outcomes[0], CommitOutcome::Replayed(_)));
    }
    let read = read_by_others(&mut connection, &LOOKED_INTO).await - before;
    // The first claim looks at the four thousand entries that are none any more.
    let read = read - 4000;
    assert!(read < rounds * 200, "{read} rows in {rounds} rounds");
}

/// They are asked for every few seconds, over connections that stay.
#[tokio::test]
async fn the_heads_of_the_chains_are_found_at_once_however_long_they_are() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    assert!(world.store.heads().await.unwrap().is_empty());
    let mut connection = database.connect().await;
    let links = "INSERT INTO audit_links (chain, link, previous, hash, records, created_at)
        SELECT lpad(c::text, 32, '0')::uuid, n, sha256(''), sha256(n::text::bytea), 1, n
        FROM generate_series(1, 3) c, generate_series(1, 2000 + c) n";
    sqlx::raw_sql(links).execute(&mut connection).await.unwrap();
    // What a session has read is counted when it ends.
    connection.close().await.unwrap();
    let mut connection = database.connect().await;
    let before = read(&mut connection, &["audit_links"]).await;
    let heads = world.store.heads().await.unwrap();
    let heads: Vec<_> = heads
        .iter()
        .map(|head| (head.chain.as_u128(), head.link, head.at))
        .collect();
    assert_eq!(heads, [(1, 2001, 2001), (2, 2002, 2002), (3, 2003, 2003)]);
    let read = read_by_others(&mut connection, &["audit_links"]).await - before;
    assert!(read < 100, "{read} links and pages");
}

/// Keeps autovacuum away: it reads as well, at no time that is known, and while it analyses, entries of what is over stay.
async fn leave_alone(database: &TestDatabase) {
    let mut connection = database.connect().await;
    for table in LOOKED_INTO {
        let off = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
        sqlx::raw_sql(sqlx::AssertSqlSafe(off))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

/// Puts the past into the tables.
async fn fill(database: &TestDatabase, world: &World<Store>) {
    let past = PAST.replace("{now}", &world.clock.now().timestamp_micros().to_string());
    let mut connection = database.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(past))
        .execute(&mut connection)
        .await
        .unwrap();
    // What a session has read is counted when it ends.
    connection.close().await.unwrap();
}

/// Commits an event, and delivers what it triggers.
async fn deliver(world: &World<Store>, round: i64) {
    let body = event_body(
        "security_threat",
        "high",
        &format!(r#"{{"host":"{round}"}}"#),
    );
    let key = intake_key(&format!("key-{round}"), &body);
    let outcomes = world.commit(&[world.intake(&body, Some(key)).await]).await;
    assert!(recorded(&outcomes[0]).execution.is_some());
    let claimed = world.claim(10, &[]).await;
    assert_eq!(claimed.len(), 1);
    world
        .store
        .settle(&claimed[0], &acknowledged())
        .await
        .unwrap();
}
