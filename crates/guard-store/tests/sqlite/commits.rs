//! Commits that the database, or the disk below it, does not take.

use guard_app::ports::{CommitOutcome, Ledger, StorageError};
use guard_store::Store;
use guard_testkit::contract::{World, recorded};
use guard_testkit::event_body;

use super::chain::{empty_links, verify_chains};
use super::{PAGES, fixture};

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
