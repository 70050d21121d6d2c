//! Cases of finding the records of a link.

use chrono::TimeDelta;
use guard_app::ports::{AuditPosition, Clock, Intake};
use guard_audit::Line;
use guard_domain::{EventId, TenantId};

use super::{Storage, World, default_tenant};
use crate::{event_body, tenant};

impl<S: Storage + 'static> World<S> {
    /// Events of tenants, which nothing follows from: so many of each in turn.
    async fn some(&self, tenants: &[&TenantId], each: usize) -> Vec<Intake> {
        let mut intakes = Vec::new();
        for place in 0..each * tenants.len() {
            let body = event_body("anomaly_detected", "low", "{}");
            let tenant = tenants[place % tenants.len()];
            intakes.push(self.intake_of(tenant, &body, None).await);
        }
        intakes
    }

    /// The events whose records a tenant finds by their place, so many at a time.
    async fn walked(&self, tenant: &TenantId, limit: u32) -> Vec<EventId> {
        let (mut seen, mut position) = (Vec::new(), AuditPosition::new());
        loop {
            let page = self.store.audit_after(tenant, &position, limit).await;
            let (records, reached) = page.unwrap();
            if records.is_empty() {
                return seen;
            }
            seen.extend(records.iter().filter_map(|record| record.event_id));
            position = reached;
        }
    }

    /// How many records each link of an export has, which are all that it had.
    async fn exported(&self, whose: Option<&TenantId>) -> Vec<usize> {
        let mut export = self.store.clone().export(whose.cloned());
        let mut counts = Vec::new();
        while let Some(line) = export.next_line().await.unwrap() {
            let Line::Link(link) = line else { continue };
            let places: Vec<_> = link.records.iter().map(|record| record.position).collect();
            assert_eq!(places, (0..link.count).collect::<Vec<_>>());
            counts.push(places.len());
        }
        counts
    }
}

fn ids_of(intakes: &[Intake], tenant: &TenantId) -> Vec<EventId> {
    let own = intakes.iter().filter(|intake| intake.tenant == *tenant);
    own.map(|intake| intake.event_id).collect()
}

pub async fn a_link_is_found_whole_whoever_shares_it<S: Storage + 'static>(world: World<S>) {
    let (default, other) = (default_tenant(), tenant("other"));
    let mut all = Vec::new();
    for each in [5, 1, 2, 3] {
        let batch = world.some(&[&default, &other], each).await;
        world.clock.advance(TimeDelta::milliseconds(1));
        world.commit(&batch).await;
        all.extend(batch);
    }
    for whose in [&default, &other] {
        for limit in [1, 3, 100] {
            assert_eq!(world.walked(whose, limit).await, ids_of(&all, whose));
        }
        assert_eq!(world.exported(Some(whose)).await, [10, 2, 4, 6]);
    }
    assert_eq!(world.exported(None).await, [10, 2, 4, 6]);
    let nobody = tenant("nobody");
    assert_eq!(world.walked(&nobody, 100).await, []);
}

/// An event that has waited is older than those of the links before its own.
pub async fn what_waited_is_found_in_the_link_that_it_got_into<S: Storage + 'static>(
    world: World<S>,
) {
    let default = default_tenant();
    let late = world.some(&[&default], 3).await;
    let mut all = Vec::new();
    // More links than are read at once.
    for _ in 0..70 {
        world.clock.advance(TimeDelta::milliseconds(1));
        let batch = world.some(&[&default], 4).await;
        world.commit(&batch).await;
        all.extend(batch);
    }
    world.commit(&late).await;
    all.extend(late);
    for limit in [7, 500] {
        assert_eq!(world.walked(&default, limit).await, ids_of(&all, &default));
    }
    assert_eq!(world.exported(None).await, [vec![4; 70], vec![3]].concat());
}

pub async fn what_retention_leaves_of_a_link_is_found<S: Storage + 'static>(world: World<S>) {
    let default = default_tenant();
    let today = world.clock.now().date_naive();
    let tomorrow = (today + TimeDelta::days(1)).and_time(Default::default());
    let midnight = tomorrow.and_utc() - world.clock.now();
    world.clock.advance(midnight - TimeDelta::milliseconds(1));
    let mut batch = world.some(&[&default], 3).await;
    world.clock.advance(TimeDelta::milliseconds(2));
    batch.extend(world.some(&[&default], 4).await);
    world.commit(&batch).await;
    assert_eq!(world.walked(&default, 100).await, ids_of(&batch, &default));
    world.clock.advance(TimeDelta::days(2));
    world.store.prepare_days().await.unwrap();
    world.drop_old().await;
    let left = world.walked(&default, 100).await;
    assert_eq!(left, ids_of(&batch, &default)[3..]);
}
