//! Cases of rules and controls.

use guard_app::ports::PublishMode;

use super::{RULES, Storage, World, default_tenant};
use crate::publish_rules;

const ONE: &str = "rules: [{ id: a, event_type: '*', action: ignore }]";
const TWO: &str = "rules: [{ id: b, event_type: '*', action: ignore }, { id: a, event_type: '*', action: ignore }]";
const CHANGED: &str = "rules: [{ id: a, event_type: '*', priority: 1, action: ignore }]";

pub async fn rules_are_versions_in_revisions<S: Storage + 'static>(world: World<S>) {
    let tenant = default_tenant();
    assert_eq!(world.store.live(&tenant).await.unwrap(), None);
    assert_eq!(world.store.live_revisions().await.unwrap(), []);
    let publish = |yaml: &'static str| {
        let store = world.store.clone();
        let tenant = tenant.clone();
        async move { publish_rules(store.as_ref(), &tenant, yaml, PublishMode::Differs).await }
    };
    let live = || async {
        let live = world.store.live(&tenant).await.unwrap().unwrap();
        let rules: Vec<_> = live
            .rules
            .iter()
            .map(|(rule, version)| (rule.id.to_string(), *version))
            .collect();
        (live.revision, rules)
    };
    let rule = |id: &str, version| (id.to_owned(), version);
    assert_eq!(
        (publish(ONE).await.revision, live().await),
        (1, (1, vec![rule("a", 1)]))
    );
    assert!(!publish(ONE).await.created, "nothing differs");
    assert_eq!(publish(TWO).await.revision, 2);
    assert_eq!(
        live().await,
        (2, vec![rule("b", 1), rule("a", 1)]),
        "in the order of the file"
    );
    assert_eq!(publish(CHANGED).await.revision, 3);
    assert_eq!(live().await, (3, vec![rule("a", 2)]));
    assert_eq!(
        publish(ONE).await.revision,
        4,
        "going back is a new revision"
    );
    assert_eq!(live().await, (4, vec![rule("a", 3)]));
    assert_eq!(
        world.store.live_revisions().await.unwrap(),
        [(tenant.clone(), 4)]
    );
    let (audit, _) = world
        .store
        .audit_after(&tenant, &Default::default(), 100)
        .await
        .unwrap();
    let acts: Vec<_> = audit
        .iter()
        .map(|record| (record.action.as_str(), record.target.as_deref()))
        .collect();
    let published = |revision| ("rules_published", Some(revision));
    assert_eq!(
        acts,
        [
            published("revision:1"),
            published("revision:2"),
            published("revision:3"),
            published("revision:4")
        ]
    );
}

pub async fn a_start_does_not_revert_and_an_operator_does<S: Storage + 'static>(world: World<S>) {
    let tenant = default_tenant();
    let publish = |yaml: &'static str, mode| {
        let store = world.store.clone();
        let tenant = tenant.clone();
        async move { publish_rules(store.as_ref(), &tenant, yaml, mode).await }
    };
    assert!(publish(ONE, PublishMode::NeverSeen).await.created);
    assert!(publish(RULES, PublishMode::Differs).await.created);
    let start = publish(ONE, PublishMode::NeverSeen).await;
    assert_eq!(
        (start.created, start.revision),
        (false, 2),
        "this content was a revision before"
    );
    assert!(
        publish(CHANGED, PublishMode::NeverSeen).await.created,
        "this one was not"
    );
    let revert = publish(ONE, PublishMode::Differs).await;
    assert_eq!((revert.created, revert.revision), (true, 4));
}

pub async fn a_callback_key_is_made_once<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let tenant = default_tenant();
    assert_eq!(
        world
            .store
            .make_callback_key(&tenant, [1; 32])
            .await
            .unwrap(),
        [1; 32]
    );
    assert_eq!(
        world
            .store
            .make_callback_key(&tenant, [2; 32])
            .await
            .unwrap(),
        [1; 32]
    );
    assert_eq!(
        world.store.find_callback_key(&tenant).await.unwrap(),
        Some([1; 32])
    );
    assert_eq!(
        world
            .store
            .find_callback_key(&crate::tenant("nobody"))
            .await
            .unwrap(),
        None
    );
    world.store.ping().await.unwrap();
}
