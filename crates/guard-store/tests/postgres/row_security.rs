//! The second lock between tenants: row-level security, for whoever goes round the statements of the store.

use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::{
    Actor, Archive, AuditFilter, AuditPosition, Controls, EscalationFilter, EventFilter,
    ExecutionFilter, Outbox, PauseScope, PublishMode, RuleStore,
};
use guard_domain::{RuleId, TenantId};
use guard_store::{OpenError, PostgresAddress, Store, StoreSettings};
use guard_testkit::contract::{RULES, World, page, recorded};
use guard_testkit::{FakeClock, SeededRandom, TestDatabase, event_body, publish_rules, tenant};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use super::instances;

/// A world with an event, an execution, an escalation, records and rules of each of two tenants.
async fn two_tenants(database: &TestDatabase) -> World<Store> {
    let [world] = instances::<1>(database).await;
    for owner in [tenant("acme"), TenantId::default_tenant()] {
        publish_rules(world.store.as_ref(), &owner, RULES, PublishMode::Differs).await;
        for (event_type, context) in [
            ("security_threat", r#"{"host":"a"}"#),
            ("health_check_failed", "{}"),
        ] {
            let body = event_body(event_type, "high", context);
            let intake = world.intake_of(&owner, &body, None).await;
            recorded(&world.commit(&[intake]).await[0]);
        }
    }
    world
}

/// A connection as callers come, for a tenant or for none.
async fn as_caller(database: &TestDatabase, tenant: Option<&str>) -> PgConnection {
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    let named = tenant.map_or(String::new(), |tenant| {
        format!("; SET neural_guard.tenant = '{tenant}'")
    });
    let role = AssertSqlSafe(format!("SET ROLE neural_guard_api{named}"));
    connection.execute(role).await.unwrap();
    connection
}

async fn count(connection: &mut PgConnection, table: &str) -> (i64, i64) {
    let count = AssertSqlSafe(format!(
        "SELECT count(*), count(*) FILTER (WHERE tenant <> 'acme') FROM {table}"
    ));
    let row = sqlx::query(count).fetch_one(connection).await.unwrap();
    (row.get(0), row.get(1))
}

/// What the server says to a statement.
async fn refusal(connection: &mut PgConnection, statement: &'static str) -> String {
    let error = connection.execute(statement).await.unwrap_err();
    error.into_database_error().unwrap().message().to_owned()
}

#[tokio::test]
async fn who_goes_round_the_application_reaches_one_tenant() {
    let database = TestDatabase::create().await;
    let _world = two_tenants(&database).await;
    let mut acme = as_caller(&database, Some("acme")).await;
    let mut nobody = as_caller(&database, None).await;
    let tables = [
        "events",
        "audit_log",
        "rule_executions",
        "escalations",
        "rules",
        "rule_revisions",
        "control",
        "cooldowns",
        "tenants",
    ];
    for table in tables {
        let (all, others) = count(&mut database.connect().await, table).await;
        assert!(others > 0 && all > others, "{table} has rows of both");
        let (seen, others) = count(&mut acme, table).await;
        assert!(
            seen > 0 && others == 0,
            "{table}: {seen} seen, {others} of others"
        );
        assert_eq!(count(&mut nobody, table).await, (0, 0), "{table}");
    }
    let changed = acme
        .execute("UPDATE rule_executions SET state = 'cancelled' WHERE tenant = 'default'")
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 0);
    let said = refusal(
        &mut acme,
        "INSERT INTO tenants (tenant, created_at) VALUES ('other', 0)",
    )
    .await;
    assert!(said.contains("row-level security"), "{said}");
    for forbidden in [
        "DELETE FROM audit_log",
        "UPDATE audit_log SET message = 'never happened'",
        "UPDATE audit_links SET hash = ''",
        "DELETE FROM events",
        "SELECT * FROM event_keys",
    ] {
        let said = refusal(&mut acme, forbidden).await;
        assert!(said.contains("permission denied"), "{forbidden}: {said}");
    }
    let day: String = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass LIMIT 1",
    )
    .fetch_one(&mut database.connect().await)
    .await
    .unwrap();
    let past_the_parent = AssertSqlSafe(format!("SELECT * FROM {day}"));
    let said = acme.execute(past_the_parent).await.unwrap_err().to_string();
    assert!(said.contains("permission denied"), "{said}");
}

#[tokio::test]
async fn every_table_of_tenants_is_under_it() {
    let database = TestDatabase::create().await;
    let [_world] = instances::<1>(&database).await;
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE a.attname = 'tenant' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
             AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!(open, Vec::<String>::new(), "add them to row_security.rs");
}

/// Blinds callers to every row; what still comes out did not go the way of callers.
async fn blind_callers(database: &TestDatabase) {
    let blind = "DO $$ DECLARE t TEXT; BEGIN
        FOR t IN SELECT tablename FROM pg_policies WHERE policyname = 'tenant' LOOP
            EXECUTE format('ALTER POLICY tenant ON %I USING (false) WITH CHECK (true)', t);
        END LOOP; END $$";
    database.connect().await.execute(blind).await.unwrap();
}

#[tokio::test]
async fn what_callers_ask_for_goes_through_it_and_the_server_s_own_work_does_not() {
    let database = TestDatabase::create().await;
    let world = two_tenants(&database).await;
    let (store, tenant) = (world.store.as_ref(), TenantId::default_tenant());
    let executions = ExecutionFilter::default();
    let execution = store
        .executions(&tenant, &executions, page(1))
        .await
        .unwrap()[0]
        .clone();
    let event = store
        .events(&tenant, &EventFilter::default(), page(1))
        .await
        .unwrap()[0]
        .id;
    blind_callers(&database).await;

    assert!(store.event(&tenant, event).await.unwrap().is_none());
    let events = store
        .events(&tenant, &EventFilter::default(), page(9))
        .await;
    assert_eq!(events.unwrap().len(), 0);
    assert!(
        store
            .execution(&tenant, execution.id)
            .await
            .unwrap()
            .is_none()
    );
    let listed = store.executions(&tenant, &executions, page(9)).await;
    assert_eq!(listed.unwrap().len(), 0);
    let escalations = store
        .escalations(&tenant, &EscalationFilter::default(), page(9))
        .await;
    assert_eq!(escalations.unwrap().len(), 0);
    let records = store.audit(&tenant, &AuditFilter::default(), page(9)).await;
    assert_eq!(records.unwrap().len(), 0);
    let walked = store.audit_after(&tenant, &AuditPosition::new(), 9).await;
    assert_eq!(walked.unwrap().0.len(), 0);
    let rule = RuleId::parse("lockdown").unwrap();
    assert!(store.version(&tenant, &rule, 1).await.unwrap().is_none());
    let cancelled = store
        .cancel(&tenant, execution.id, &Actor::system("test"))
        .await
        .unwrap();
    assert!(
        matches!(cancelled, guard_app::ports::CancelOutcome::NotFound),
        "{cancelled:?}"
    );
    let scope = PauseScope::All;
    let actor = Actor::system("test");
    let paused = store.pause(&tenant, &scope, "test", &actor).await;
    assert!(paused.is_err(), "there is a row that it cannot see");

    world.record("backup_failed", "high", "{}").await;
    assert_eq!(world.claim(10, &[]).await.len(), 3);
    let live = store.live_revisions().await.unwrap();
    assert_eq!(live.len(), 2, "{live:?}");
}

/// Makes a login of its own, which owns a database or not; gives its name.
async fn login(database: &TestDatabase, suffix: &str, grants: &str) -> String {
    let name = format!("guard_test_{suffix}_{}", std::process::id());
    let statements = AssertSqlSafe(format!(
        "CREATE ROLE {name} LOGIN PASSWORD '{name}'; {}",
        grants.replace("LOGIN", &name)
    ));
    database.connect().await.execute(statements).await.unwrap();
    name
}

async fn forget(database: &TestDatabase, name: &str) {
    let statements = AssertSqlSafe(format!(
        "REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}"
    ));
    database.connect().await.execute(statements).await.unwrap();
}

async fn open_as(database: &TestDatabase, name: &str) -> Result<World<Store>, OpenError> {
    let address = PostgresAddress::parse(&database.url_as(name, name), None).unwrap();
    let (clock, random) = (Arc::new(FakeClock::new()), Arc::<SeededRandom>::default());
    let settings = StoreSettings {
        timeout: Duration::from_secs(4),
        ..StoreSettings::default()
    };
    let store = Store::open_postgres(&address, clock.clone(), random.clone(), settings).await?;
    Ok(World {
        store: Arc::new(store),
        clock,
        random,
    })
}

#[tokio::test]
async fn without_the_right_to_the_roles_the_server_works_and_the_tables_stay_open() {
    let database = TestDatabase::create().await;
    let name = login(&database, "plain", "GRANT ALL ON SCHEMA public TO LOGIN").await;
    let world = open_as(&database, &name).await.unwrap().with_rules().await;
    world.record("backup_failed", "high", "{}").await;
    let tenant = TenantId::default_tenant();
    let events = world
        .store
        .events(&tenant, &EventFilter::default(), page(9))
        .await;
    assert_eq!(events.unwrap().len(), 1);
    let enclosed: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relforcerowsecurity")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
    assert_eq!(enclosed, 0);
    world.store.close().await;
    forget(&database, &name).await;
}

#[tokio::test]
async fn who_would_see_no_row_is_refused_and_told_the_way_in() {
    let database = TestDatabase::create().await;
    let [_world] = instances::<1>(&database).await;
    let grants =
        "GRANT ALL ON SCHEMA public TO LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO LOGIN";
    let name = login(&database, "outside", grants).await;
    let refused = open_as(&database, &name).await.err().unwrap().to_string();
    assert!(
        refused.contains(&format!(
            "GRANT neural_guard_engine, neural_guard_api TO {name}"
        )),
        "{refused}"
    );
    forget(&database, &name).await;
}

#[tokio::test]
async fn roles_are_made_once_and_lent_once() {
    let database = TestDatabase::create().await;
    let [_world] = instances::<1>(&database).await;
    let name = login(&database, "lent", "").await;
    let role = format!("{name}_role");
    let mut connection = database.connect().await;
    for _ in 0..2 {
        sqlx::query("SELECT guard_lend_role($1, $2)")
            .bind(&role)
            .bind(&name)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let (lent, may_log_in): (bool, bool) = sqlx::query_as(
        "SELECT pg_has_role($1, oid, 'USAGE'), rolcanlogin FROM pg_roles WHERE rolname = $2",
    )
    .bind(&name)
    .bind(&role)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(lent && !may_log_in);
    let drop = AssertSqlSafe(format!("DROP ROLE {role}"));
    connection.execute(drop).await.unwrap();
    forget(&database, &name).await;
}
