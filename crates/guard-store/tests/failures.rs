//! What happens when the disk, the data or the caller fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{
    CommitOutcome, Ledger, NotificationRequest, Notifications, Retention, RuleStore, StorageError,
};
use guard_audit::{GENESIS, link_hash};
use guard_domain::{ChannelAddress, ChannelName, ContactName, TenantId};
use guard_store::{NotificationSettings, Store, StoreSettings};
use guard_testkit::contract::{World, channels, recorded};
use guard_testkit::{FakeClock, SeededRandom, event_body};
use sqlx::{Connection, Row, SqliteConnection};

struct Fixture {
    world: World<Store>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let (clock, random) = (
        Arc::new(FakeClock::new()),
        Arc::new(SeededRandom::default()),
    );
    let settings = StoreSettings {
        timeout: Duration::from_secs(2),
        notifications: NotificationSettings {
            channels: channels(),
            ..NotificationSettings::default()
        },
        ..StoreSettings::default()
    };
    let store = Store::open_sqlite(&path, clock.clone(), random.clone(), settings)
        .await
        .unwrap();
    let world = World {
        store: Arc::new(store),
        clock,
        random,
    }
    .with_rules()
    .await;
    Fixture {
        world,
        path,
        _folder: folder,
    }
}

impl Fixture {
    /// Another connection to the same file.
    async fn connect(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}", self.path.display()))
            .await
            .unwrap()
    }

    /// Holds the file until the connection is closed or rolls back.
    async fn hold_the_file(&self) -> SqliteConnection {
        let mut other = self.connect().await;
        let begin = sqlx::query("BEGIN IMMEDIATE").execute(&mut other);
        begin.await.unwrap();
        other
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement)
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }

    async fn batch(&self, contexts: &[&str]) -> Vec<guard_app::ports::Intake> {
        let mut batch = Vec::new();
        for context in contexts {
            batch.push(
                self.world
                    .intake(&event_body("user_offboarding", "low", context), None)
                    .await,
            );
        }
        batch
    }
}

#[tokio::test]
async fn a_row_that_the_database_refuses_does_not_take_the_others_down() {
    let fixture = fixture().await;
    let mut batch = fixture.batch(&["{}", "{}", "{}", "{}", "{}"]).await;
    batch[3].event_id = batch[0].event_id;
    let outcomes = fixture.world.commit(&batch).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        match (index, outcome) {
            (3, CommitOutcome::Rejected(_)) => {}
            (3, other) => panic!("{other:?}"),
            (_, outcome) => assert_eq!(recorded(outcome).event_id, batch[index].event_id),
        }
    }
    assert_eq!(fixture.count("SELECT count(*) FROM events").await, 4);
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM audit_log WHERE action = 'decision'")
            .await,
        4
    );
    verify_chains(&fixture).await;
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_costs_its_batch_alone() {
    // What a full disk and a failing device do: SQLite rolls back without being told to.
    let fixture = fixture().await;
    fixture
        .execute(
            "CREATE TRIGGER failing BEFORE INSERT ON events WHEN NEW.body LIKE '%device%'
             BEGIN SELECT RAISE(ROLLBACK, 'the device fails'); END",
        )
        .await;
    let batch = fixture.batch(&["{}", r#"{"a":"device"}"#]).await;
    let outcomes = fixture.world.commit(&batch).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Recorded(_)),
        "{outcomes:?}"
    );
    assert!(
        matches!(outcomes[1], CommitOutcome::Rejected(_)),
        "{outcomes:?}"
    );
    fixture.world.record("user_offboarding", "low", "{}").await;
    assert_eq!(fixture.count("SELECT count(*) FROM events").await, 2);
    verify_chains(&fixture).await;
}

#[tokio::test]
async fn a_statement_that_fails_takes_back_what_came_before_it() {
    let fixture = fixture().await;
    fixture
        .execute(
            "CREATE TRIGGER failing BEFORE INSERT ON audit_log BEGIN SELECT json('no JSON'); END",
        )
        .await;
    let (store, terms) = (&fixture.world.store, World::<Store>::terms());
    let batch = fixture.batch(&["{}", "{}"]).await;
    let error = store.commit(&batch, &terms).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
    // Nobody else waits for the transaction.
    fixture.execute("DROP TRIGGER failing").await;
    assert_eq!(fixture.count("SELECT count(*) FROM events").await, 0);
    fixture.world.commit(&batch).await;
    assert_eq!(fixture.count("SELECT count(*) FROM events").await, 2);
    // It is known how that ended: no link is needed to say so.
    verify_chains(&fixture).await;
}

#[tokio::test]
async fn a_commit_that_fails_is_looked_up() {
    let fixture = fixture().await;
    // What refers to nothing is found when the transaction is to be committed.
    fixture
        .execute(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER failing BEFORE INSERT ON events BEGIN INSERT INTO child VALUES (1); END",
        )
        .await;
    let (store, terms) = (&fixture.world.store, World::<Store>::terms());
    let batch = fixture.batch(&["{}", "{}"]).await;
    let error = store.commit(&batch, &terms).await.unwrap_err();
    assert!(
        matches!(error, StorageError::OutcomeUnknown(_)),
        "{error:?}"
    );
    // Nobody else waits for the transaction, and it is not committed later.
    fixture.execute("DROP TRIGGER failing").await;
    let events: Vec<_> = batch
        .iter()
        .map(|intake| (intake.tenant.clone(), intake.event_id))
        .collect();
    let found = store.find_receipts(&events).await.unwrap();
    assert_eq!(found, [None, None]);
    fixture.world.commit(&batch).await;
    assert_eq!(fixture.count("SELECT count(*) FROM events").await, 2);
    assert_eq!(empty_links(&fixture).await, 1, "for the commit that failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_waits_for_the_file_keeps_no_other_task_waiting() {
    let fixture = fixture().await;
    let mut other = fixture.hold_the_file().await;
    let (store, batch) = (fixture.world.store.clone(), fixture.batch(&["{}"]).await);
    let commit = tokio::spawn(async move { store.commit(&batch, &World::<Store>::terms()).await });
    // The runtime has one thread, and that is where the commit waits.
    let rest = tokio::spawn(tokio::time::sleep(Duration::from_millis(20)));
    rest.await.unwrap();
    assert!(!commit.is_finished(), "it waits for half a second");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    let outcomes = commit.await.unwrap().unwrap();
    assert!(
        matches!(outcomes[..], [CommitOutcome::Recorded(_)]),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn who_finds_nothing_to_do_does_not_wait_for_the_file() {
    let fixture = fixture().await;
    let _other = fixture.hold_the_file().await;
    assert_eq!(fixture.world.claim(10, &[]).await.len(), 0);
}

#[tokio::test]
async fn the_chain_holds_over_commits_that_broke_off() {
    let fixture = fixture().await;
    for _ in 0..3 {
        fixture.world.record("user_offboarding", "low", "{}").await;
    }
    // Callers whose patience ends somewhere in the middle of a commit.
    for micros in (0..2000).step_by(100) {
        let batch = fixture.batch(&["{}", "{}"]).await;
        let terms = World::<Store>::terms();
        let commit = fixture.world.store.commit(&batch, &terms);
        let _ = tokio::time::timeout(Duration::from_micros(micros), commit).await;
        // Whether or not the store does anything afterwards, the file is free for others.
        fixture.execute("BEGIN IMMEDIATE; ROLLBACK").await;
    }
    for _ in 0..3 {
        fixture.world.record("user_offboarding", "low", "{}").await;
    }
    let recorded = fixture.count("SELECT count(*) FROM events").await;
    let decided = fixture
        .count("SELECT count(*) FROM audit_log WHERE action = 'decision'")
        .await;
    assert_eq!(
        recorded, decided,
        "an event and its record come together or not at all"
    );
    verify_chains(&fixture).await;
}

#[tokio::test]
async fn a_damaged_execution_is_set_aside_and_the_others_go_on() {
    let fixture = fixture().await;
    for host in ["a", "b", "c", "d"] {
        fixture
            .world
            .record(
                "security_threat",
                "high",
                &format!(r#"{{"host":"{host}"}}"#),
            )
            .await;
    }
    fixture
        .execute(
            r#"UPDATE rule_executions SET playbook = 'NOT A SLUG' WHERE params LIKE '%"a"%';
               UPDATE rule_executions SET params = CAST(x'ff' AS TEXT) WHERE params LIKE '%"c"%';
               UPDATE events SET body = CAST(x'ff' AS TEXT) WHERE body LIKE '%"d"%'"#,
        )
        .await;
    let claimed = fixture.world.claim(10, &[]).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].params, r#"{"host":"b"}"#);
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM rule_executions WHERE state = 'dead'")
            .await,
        3
    );
}

#[tokio::test]
async fn the_chain_is_verified_from_the_first_record_that_stays() {
    let fixture = fixture().await;
    let commit = async |times: usize| {
        for _ in 0..times {
            let batch = fixture.batch(&["{}", "{}"]).await;
            fixture.world.commit(&batch).await;
        }
    };
    // A process that ended, and one that goes on.
    let (clock, random) = (fixture.world.clock.clone(), fixture.world.random.clone());
    let ended = Store::open_sqlite(&fixture.path, clock, random, StoreSettings::default());
    let ended = ended.await.unwrap();
    let batch = fixture.batch(&["{}"]).await;
    let terms = World::<Store>::terms();
    ended.commit(&batch, &terms).await.unwrap();
    ended.close().await;
    commit(4).await;
    // A chain that is silent for longer does not go on.
    for links in [1, 1, 3] {
        fixture.world.clock.advance(TimeDelta::days(1));
        commit(links).await;
    }
    verify_chains(&fixture).await;
    let drop_old = async || {
        let kept = TimeDelta::days(2);
        let floor = fixture.world.store.floor(kept).await.unwrap();
        while fixture.world.store.drop_old(floor, 2).await.unwrap().more {}
    };
    drop_old().await;
    let links = "SELECT count(*) FROM audit_links";
    assert_eq!(fixture.count(links).await, 6, "the root, and five");
    verify_chains(&fixture).await;
    commit(1).await;
    fixture.world.clock.advance(TimeDelta::days(1));
    commit(1).await;
    drop_old().await;
    assert_eq!(fixture.count(links).await, 7);
    verify_chains(&fixture).await;
}

#[tokio::test]
async fn damage_of_one_tenant_is_no_fault_of_the_event_and_spares_the_others() {
    let fixture = fixture().await;
    let mine = fixture.batch(&["{}"]).await.remove(0);
    let other = guard_testkit::tenant("other");
    let yaml = "rules: [{ id: quiet, event_type: '*', action: ignore }]";
    let mode = guard_app::ports::PublishMode::Differs;
    guard_testkit::publish_rules(fixture.world.store.as_ref(), &other, yaml, mode).await;
    let body = event_body("user_offboarding", "low", "{}");
    let theirs = fixture.world.intake_of(&other, &body, None).await;
    fixture
        .execute("UPDATE control SET pauses = 'damaged' WHERE tenant = 'default'")
        .await;
    let outcomes = fixture.world.commit(&[mine, theirs]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Lost),
        "its sender is to try again: {outcomes:?}"
    );
    assert!(
        matches!(outcomes[1], CommitOutcome::Recorded(_)),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn damaged_rules_are_named_by_table_column_and_key() {
    let fixture = fixture().await;
    fixture
        .execute("UPDATE rules SET version = -1 WHERE rule_id = 'page'")
        .await;
    fixture
        .execute("UPDATE rule_revisions SET members = '[[\"page\",-1]]' WHERE revision = 1")
        .await;
    let error = fixture
        .world
        .store
        .live(&TenantId::default_tenant())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("inconsistent data in `rules.version` of `page`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_lock_is_exclusive_until_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let lock = Store::lock(&path).unwrap();
    assert!(
        Store::lock(&path)
            .unwrap_err()
            .to_string()
            .contains("in use by another server")
    );
    drop(lock);
    Store::lock(&path).unwrap();
}

#[tokio::test]
async fn what_was_committed_is_in_the_file_before_long_and_no_log_is_left() {
    let fixture = fixture().await;
    fixture.world.record("user_offboarding", "low", "{}").await;
    let copied = fixture.path.with_extension("copy");
    let url = format!("sqlite://{}", copied.display());
    let mut waited = 0;
    loop {
        // Without its log.
        std::fs::copy(&fixture.path, &copied).unwrap();
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let events = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM events")
            .fetch_one(&mut connection)
            .await;
        if matches!(events, Ok(1)) {
            break;
        }
        assert!(waited < 100, "{events:?}");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = fixture.path.with_extension("db-wal");
    assert!(log.exists());
    fixture.world.store.close().await;
    assert!(!log.exists());
}

/// Recomputes every link from what is stored; none stands for nothing.
async fn verify_chains(fixture: &Fixture) {
    assert_eq!(empty_links(fixture).await, 0);
}

/// Recomputes every link from what is stored; gives how many stand for nothing.
async fn empty_links(fixture: &Fixture) -> usize {
    let mut connection = fixture.connect().await;
    let mut records: BTreeMap<(Vec<u8>, i64), Vec<[u8; 32]>> = BTreeMap::new();
    let rows =
        sqlx::query("SELECT chain, link, hash FROM audit_log ORDER BY chain, link, position");
    for row in rows.fetch_all(&mut connection).await.unwrap() {
        let hash: Vec<u8> = row.get("hash");
        records
            .entry((row.get("chain"), row.get("link")))
            .or_default()
            .push(hash.try_into().unwrap());
    }
    let links = sqlx::query("SELECT * FROM audit_links ORDER BY chain, link");
    let links = links.fetch_all(&mut connection).await.unwrap();
    assert!(links.len() > 1);
    let mut head: (Vec<u8>, i64, [u8; 32]) = (Vec::new(), 0, GENESIS);
    let mut empty = 0;
    for row in &links {
        let (chain, link): (Vec<u8>, i64) = (row.get("chain"), row.get("link"));
        if chain != head.0 && link > 1 && !records.contains_key(&(chain.clone(), link)) {
            // Its records were dropped: the chain is verified from here on.
            head = (
                chain,
                link,
                row.get::<Vec<u8>, _>("hash").try_into().unwrap(),
            );
            continue;
        }
        if chain != head.0 {
            head = (chain.clone(), 0, GENESIS);
        }
        assert_eq!(link, head.1 + 1, "links are counted without a hole");
        assert_eq!(row.get::<Vec<u8>, _>("previous"), head.2);
        let of_link = records.remove(&(chain.clone(), link)).unwrap_or_default();
        empty += usize::from(of_link.is_empty());
        assert_eq!(
            row.get::<i64, _>("records"),
            i64::try_from(of_link.len()).unwrap()
        );
        let hash = link_hash(&head.2, &of_link);
        assert_eq!(row.get::<Vec<u8>, _>("hash"), hash);
        head = (chain, link, hash);
    }
    assert!(records.is_empty(), "every record has its link");
    empty
}

/// A rule that calls a contact with two channels.
const PAGES: &str =
    "rules: [{ id: page, event_type: '*', action: { escalate: { to: oncall, message: x } } }]";

#[tokio::test]
async fn an_escalation_is_not_there_without_its_notifications() {
    let fixture = fixture().await;
    fixture.world.publish(PAGES).await;
    fixture
        .execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON notifications WHEN NEW.channel = 'chat'
             BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .await;
    let mut batch = Vec::new();
    for severity in ["low", "critical"] {
        let body = event_body("user_offboarding", severity, "{}");
        batch.push(fixture.world.intake(&body, None).await);
    }
    let outcomes = fixture.world.commit(&batch).await;
    assert!(matches!(outcomes[0], CommitOutcome::Recorded(_)));
    assert!(
        matches!(outcomes[1], CommitOutcome::Rejected(_)),
        "{outcomes:?}"
    );
    let count = async |table| fixture.count(table).await;
    assert_eq!(count("SELECT count(*) FROM events").await, 1);
    assert_eq!(count("SELECT count(*) FROM escalations").await, 1);
    assert_eq!(count("SELECT count(*) FROM notifications").await, 1);
}

#[tokio::test]
async fn a_damaged_notification_is_set_aside_and_holds_nobody_up() {
    let fixture = fixture().await;
    fixture.world.publish(PAGES).await;
    for _ in 0..5 {
        fixture.world.record("user_offboarding", "low", "{}").await;
        fixture.world.clock.advance(TimeDelta::milliseconds(1));
    }
    let nth = "(SELECT escalation_id FROM escalations ORDER BY escalation_id LIMIT 1 OFFSET";
    for damage in [
        format!("UPDATE notifications SET channel_type = 'pigeon' WHERE escalation_id = {nth} 0)"),
        format!(
            "UPDATE notifications SET channel_type = CAST(x'ff' AS TEXT) WHERE escalation_id = {nth} 2)"
        ),
        format!("DELETE FROM escalations WHERE escalation_id = {nth} 1)"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(damage))
            .execute(&mut fixture.connect().await)
            .await
            .unwrap();
    }
    let request = NotificationRequest {
        instance: "test".to_owned(),
        ready: BTreeSet::from([ChannelAddress {
            contact: ContactName::parse("oncall").unwrap(),
            channel: ChannelName::parse("pager").unwrap(),
        }]),
        lease: Duration::from_secs(20),
        repeat_after: TimeDelta::zero(),
    };
    let mut claimed = 0;
    for _ in 0..8 {
        let store = &fixture.world.store;
        let round = store.claim_notification(&request, 10).await.unwrap();
        claimed += usize::from(round.claimed.is_some());
    }
    assert_eq!(claimed, 2);
    let dead = "SELECT count(*) FROM notifications WHERE state = 'dead'";
    assert_eq!(fixture.count(dead).await, 3);
}
