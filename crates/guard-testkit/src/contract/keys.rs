//! Cases of keys.

use chrono::TimeDelta;
use guard_app::ports::{Actor, ApiKey, Clock, KeyDigest, KeyUse, Scope};
use guard_domain::TenantId;

use super::{Storage, World, default_tenant};
use crate::tenant;

impl<S: Storage + 'static> World<S> {
    pub(super) fn key(&self, id: &str, tenant: &TenantId) -> ApiKey {
        ApiKey {
            id: id.to_owned(),
            tenant: tenant.clone(),
            label: format!("key {id}"),
            digest: KeyDigest::Sha256([7; 32]),
            scopes: vec![Scope::Admin, Scope::EventsWrite],
            created_at: self.clock.now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        }
    }

    /// What was done, by whom and to what, oldest first.
    pub(super) async fn acts(&self, tenant: &TenantId) -> Vec<(String, String, String)> {
        let (records, _) = self
            .store
            .audit_after(tenant, &Default::default(), 100)
            .await
            .unwrap();
        let act = |record: guard_app::ports::AuditRecord| {
            (record.action, record.actor, record.target.unwrap())
        };
        records.into_iter().map(act).collect()
    }
}

pub(super) fn operator() -> Actor {
    Actor {
        subject: "key:operator".to_owned(),
        request_id: Some("request-1".to_owned()),
    }
}

pub(super) fn act(action: &str, target: &str) -> (String, String, String) {
    (action.into(), "key:operator".into(), target.into())
}

pub async fn the_first_key_is_the_only_one<S: Storage + 'static>(world: World<S>) {
    let (store, tenant) = (&world.store, default_tenant());
    let (a, b) = (world.key("a", &tenant), world.key("b", &tenant));
    assert!(store.insert_first_key(&a, &operator()).await.unwrap());
    assert!(!store.insert_first_key(&b, &operator()).await.unwrap());
    assert_eq!(store.find_key("a").await.unwrap(), Some(a));
    assert_eq!(store.find_key("b").await.unwrap(), None);
    let acts = world.acts(&tenant).await;
    assert_eq!(acts, [act("key_created", "key:a")]);
}

pub async fn a_key_is_kept_as_it_was_made<S: Storage + 'static>(world: World<S>) {
    let (store, acme) = (&world.store, tenant("acme"));
    let generated = ApiKey {
        expires_at: Some(world.clock.now() + TimeDelta::days(90)),
        ..world.key("a", &acme)
    };
    let chosen = ApiKey {
        digest: KeyDigest::Argon2id("$argon2id$v=19$…".to_owned()),
        ..world.key("b", &acme)
    };
    for key in [&generated, &chosen] {
        store.insert_key(key, &operator()).await.unwrap();
        let found = store.find_key(&key.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(key));
        let read = store.read_key(&acme, &key.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(key));
    }
    assert_eq!(
        world.acts(&acme).await,
        [act("key_created", "key:a"), act("key_created", "key:b")]
    );
    let same = world.key("a", &tenant("other"));
    let again = store.insert_key(&same, &operator()).await;
    assert!(again.is_err(), "an id names one key in all tenants");
    assert_eq!(world.acts(&tenant("other")).await, [], "neither is there");
    assert_eq!(store.read_key(&tenant("other"), "a").await.unwrap(), None);
}

pub async fn a_key_that_is_revoked_or_expired_is_not_found<S: Storage + 'static>(world: World<S>) {
    let (store, tenant) = (&world.store, default_tenant());
    let expiring = ApiKey {
        expires_at: Some(world.clock.now() + TimeDelta::seconds(10)),
        ..world.key("a", &tenant)
    };
    store.insert_key(&expiring, &operator()).await.unwrap();
    let lasting = world.key("b", &tenant);
    store.insert_key(&lasting, &operator()).await.unwrap();
    world.clock.advance(TimeDelta::seconds(9));
    assert!(store.find_key("a").await.unwrap().is_some());
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(store.find_key("a").await.unwrap(), None);
    assert!(store.read_key(&tenant, "a").await.unwrap().is_some());

    let revoke = |tenant: TenantId, id: &'static str| async move {
        store.revoke_key(&tenant, id, &operator()).await.unwrap()
    };
    assert_eq!(revoke(crate::tenant("acme"), "b").await, None);
    assert_eq!(revoke(tenant.clone(), "nobody").await, None);
    assert_eq!(store.find_key("b").await.unwrap(), Some(lasting.clone()));
    let revoked = revoke(tenant.clone(), "b").await.unwrap();
    assert_eq!(revoked.revoked_at, Some(world.clock.now()));
    assert_eq!(store.find_key("b").await.unwrap(), None);
    world.clock.advance(TimeDelta::seconds(1));
    let again = revoke(tenant.clone(), "b").await;
    assert_eq!(again, Some(revoked), "it stays revoked since then");
    let acts = world.acts(&tenant).await;
    assert_eq!(acts.len(), 3, "{acts:?}");
    assert_eq!(acts[2], act("key_revoked", "key:b"));
}

pub async fn keys_are_listed_by_tenant_and_page<S: Storage + 'static>(world: World<S>) {
    let (store, tenant, acme) = (&world.store, default_tenant(), tenant("acme"));
    for (id, tenant) in [("c", &tenant), ("a", &tenant), ("b", &tenant), ("d", &acme)] {
        let key = world.key(id, tenant);
        store.insert_key(&key, &operator()).await.unwrap();
    }
    let list = |tenant: TenantId, above: &'static str, limit| async move {
        let keys = store.list_keys(&tenant, above, limit).await.unwrap();
        keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(list(tenant.clone(), "", 2).await, ["a", "b"]);
    assert_eq!(list(tenant.clone(), "b", 2).await, ["c"]);
    assert_eq!(list(acme.clone(), "", 9).await, ["d"]);
}

pub async fn the_last_use_of_a_key_is_noted<S: Storage + 'static>(world: World<S>) {
    let (store, tenant) = (&world.store, default_tenant());
    store
        .insert_key(&world.key("a", &tenant), &operator())
        .await
        .unwrap();
    let at = |seconds| world.clock.now() + TimeDelta::seconds(seconds);
    for (seconds, known) in [(5, 5), (3, 5), (7, 7)] {
        let used = KeyUse {
            tenant: tenant.clone(),
            id: "a".to_owned(),
            at: at(seconds),
        };
        let unknown = KeyUse {
            id: "gone".to_owned(),
            ..used.clone()
        };
        store.note_uses(&[used, unknown]).await.unwrap();
        let key = store.find_key("a").await.unwrap().unwrap();
        assert_eq!(key.last_used_at, Some(at(known)));
    }
}
