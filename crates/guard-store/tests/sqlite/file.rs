//! The file: who waits for it, who has it, and what is in it.

use std::time::Duration;

use guard_app::ports::{CommitOutcome, Ledger};
use guard_store::Store;
use guard_testkit::contract::World;
use sqlx::{Connection, SqliteConnection};

use super::fixture;

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
