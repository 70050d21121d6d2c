//! Cases of tenants.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{
    Clock, Disabled, PublishMode, RateQuota, SourceLimit, Tenant, TenantLimits,
};
use guard_domain::{Source, TenantId};

use super::keys::{act, operator};
use super::{RULES, Storage, World};
use crate::{publish_rules, tenant};

impl<S: Storage + 'static> World<S> {
    fn tenant(&self, name: &str) -> Tenant {
        Tenant {
            id: tenant(name),
            label: None,
            limits: TenantLimits::default(),
            created_at: self.clock.now(),
            disabled: None,
        }
    }

    async fn create(&self, tenant: &Tenant) -> Option<Tenant> {
        let created = self.store.create_tenant(tenant, &operator()).await;
        created.unwrap()
    }

    async fn known(&self, name: &str) -> Option<Tenant> {
        self.store.read_tenant(&tenant(name)).await.unwrap()
    }

    /// What the last act on a tenant says.
    async fn last_message(&self, tenant: &TenantId) -> String {
        let start = Default::default();
        let walked = self.store.audit_after(tenant, &start, 100).await;
        let (mut records, _) = walked.unwrap();
        records.pop().unwrap().message
    }
}

fn limits() -> TenantLimits {
    let quota = |requests, window| {
        let requests = NonZeroU32::new(requests).unwrap();
        SourceLimit::Quota(RateQuota::new(requests, window).unwrap())
    };
    let source = |text| Source::parse(text).unwrap();
    TenantLimits {
        rate_limit: Some(quota(1000, Duration::from_secs(60))),
        sources: [
            (
                source("a/b \"c\" ü"),
                quota(1, Duration::from_micros(1_500_001)),
            ),
            (source("free"), SourceLimit::Unlimited),
        ]
        .into(),
    }
}

pub async fn a_tenant_is_created_once_on_record<S: Storage + 'static>(world: World<S>) {
    let acme = Tenant {
        label: Some("Acme Inc".to_owned()),
        limits: limits(),
        ..world.tenant("acme")
    };
    assert_eq!(world.known("acme").await, None);
    assert_eq!(world.create(&acme).await, None);
    assert_eq!(world.known("acme").await.as_ref(), Some(&acme));
    world.clock.advance(TimeDelta::seconds(1));
    let there = world.create(&world.tenant("acme")).await;
    assert_eq!(there.as_ref(), Some(&acme), "the first one stays");
    assert_eq!(world.known("acme").await.as_ref(), Some(&acme));
    let acts = world.acts(&acme.id).await;
    assert_eq!(acts, [act("tenant_created", "tenant:acme")]);
    let message = world.last_message(&acme.id).await;
    let words = "(Acme Inc), with limits: `a/b \"c\" ü` 1 in 1.500001s, `free` none, other sources 1000 in 60s";
    assert!(message.ends_with(words), "{message}");
}

pub async fn the_limits_of_a_tenant_are_replaced_on_record<S: Storage + 'static>(world: World<S>) {
    let acme = world.tenant("acme");
    world.create(&acme).await;
    let limit = async |name: &str, limits: TenantLimits| {
        let (tenant, actor) = (tenant(name), operator());
        let limited = world.store.limit_tenant(&tenant, &limits, &actor).await;
        limited.unwrap()
    };
    assert_eq!(limit("nobody", limits()).await, None);
    let unlimited = TenantLimits {
        rate_limit: Some(SourceLimit::Unlimited),
        ..TenantLimits::default()
    };
    for wanted in [limits(), limits(), unlimited, TenantLimits::default()] {
        let limited = Tenant {
            limits: wanted.clone(),
            ..acme.clone()
        };
        assert_eq!(limit("acme", wanted).await.as_ref(), Some(&limited));
        assert_eq!(world.known("acme").await, Some(limited));
    }
    let limited = act("tenant_limited", "tenant:acme");
    let acts = world.acts(&acme.id).await;
    assert_eq!(acts[1..], [limited.clone(), limited.clone(), limited]);
    let message = world.last_message(&acme.id).await;
    assert!(message.ends_with(": as configured"), "{message}");
}

pub async fn a_tenant_is_disabled_and_enabled_on_record<S: Storage + 'static>(world: World<S>) {
    let (store, acme) = (&world.store, world.tenant("acme"));
    world.create(&acme).await;
    let disable = async |name: &str, reason: &str| {
        let (tenant, actor) = (tenant(name), operator());
        let disabled = store.disable_tenant(&tenant, reason, &actor).await;
        disabled.unwrap()
    };
    let enable = async |name: &str| {
        let (tenant, actor) = (tenant(name), operator());
        store.enable_tenant(&tenant, "paid", &actor).await.unwrap()
    };
    assert_eq!(disable("nobody", "unpaid").await, None);
    assert_eq!(enable("nobody").await, None);
    assert_eq!(
        enable("acme").await.as_ref(),
        Some(&acme),
        "it is not disabled"
    );
    let disabled = Tenant {
        disabled: Some(Disabled {
            at: world.clock.now(),
            reason: "unpaid".to_owned(),
        }),
        ..acme.clone()
    };
    assert_eq!(disable("acme", "unpaid").await.as_ref(), Some(&disabled));
    assert_eq!(
        world.last_message(&acme.id).await,
        "The tenant was disabled: unpaid"
    );
    world.clock.advance(TimeDelta::seconds(1));
    let again = disable("acme", "another reason").await;
    assert_eq!(again.as_ref(), Some(&disabled), "it stays so since then");
    assert_eq!(world.known("acme").await, Some(disabled));
    assert_eq!(enable("acme").await.as_ref(), Some(&acme));
    assert_eq!(
        world.last_message(&acme.id).await,
        "The tenant was enabled: paid"
    );
    let acts = world.acts(&acme.id).await;
    let of = |action| act(action, "tenant:acme");
    assert_eq!(acts[1..], [of("tenant_disabled"), of("tenant_enabled")]);
}

pub async fn tenants_are_listed_by_name<S: Storage + 'static>(world: World<S>) {
    for name in ["globex", "acme", "initech"] {
        world.create(&world.tenant(name)).await;
    }
    let (acme, actor) = (tenant("acme"), operator());
    let disabled = world.store.disable_tenant(&acme, "x", &actor).await;
    disabled.unwrap();
    let list = async |above: &str, limit| {
        let tenants = world.store.list_tenants(above, limit).await.unwrap();
        let names = tenants.into_iter().map(|tenant| tenant.id.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(list("", 3).await, ["acme", "default", "globex"]);
    assert_eq!(list("globex", 3).await, ["initech"]);
}

pub async fn tenants_come_into_being_with_what_they_have<S: Storage + 'static>(world: World<S>) {
    let key = world.key("a", &tenant("acme"));
    world.store.insert_key(&key, &operator()).await.unwrap();
    let published = PublishMode::NeverSeen;
    publish_rules(world.store.as_ref(), &tenant("globex"), RULES, published).await;
    for name in ["acme", "globex"] {
        assert_eq!(world.known(name).await, Some(world.tenant(name)));
        let there = world.create(&world.tenant(name)).await;
        assert_eq!(there, Some(world.tenant(name)));
    }
    assert!(world.known("default").await.is_some(), "it always is there");
}

pub async fn a_change_of_any_tenant_is_noticed<S: Storage + 'static>(world: World<S>) {
    let (store, acme) = (&world.store, world.tenant("acme"));
    let first = store.tenants_since(0).await.unwrap().unwrap();
    assert_eq!(store.tenants_since(first.version).await.unwrap(), None);
    let mut version = first.version;
    let mut noticed = async || {
        let all = store.tenants_since(version).await.unwrap().unwrap();
        assert!(all.version > version);
        version = all.version;
        assert_eq!(store.tenants_since(version).await.unwrap(), None);
        let find = |tenant: &Tenant| tenant.id == acme.id;
        all.tenants.into_iter().find(find).unwrap()
    };
    world.create(&acme).await;
    assert_eq!(noticed().await, acme);
    let actor = operator();
    store
        .limit_tenant(&acme.id, &limits(), &actor)
        .await
        .unwrap();
    assert_eq!(noticed().await.limits, limits());
    store.disable_tenant(&acme.id, "x", &actor).await.unwrap();
    assert!(noticed().await.disabled.is_some());
    store.enable_tenant(&acme.id, "x", &actor).await.unwrap();
    assert_eq!(noticed().await.disabled, None);
    let key = world.key("a", &tenant("globex"));
    store.insert_key(&key, &actor).await.unwrap();
    noticed().await;
}
