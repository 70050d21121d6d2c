//! The chain of the audit trail, recomputed from what is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{Ledger, Retention};
use guard_audit::{GENESIS, link_hash};
use guard_store::{Store, StoreSettings};
use guard_testkit::contract::World;
use sqlx::Row;

use super::{Fixture, fixture};

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

/// Recomputes every link from what is stored; none stands for nothing.
pub(super) async fn verify_chains(fixture: &Fixture) {
    assert_eq!(empty_links(fixture).await, 0);
}

/// Recomputes every link from what is stored; gives how many stand for nothing.
pub(super) async fn empty_links(fixture: &Fixture) -> usize {
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
