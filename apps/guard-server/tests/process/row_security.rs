//! What the server says of the login that it comes to PostgreSQL as.

use guard_testkit::TestDatabase;
use sqlx::{AssertSqlSafe, Executor};

use super::server::Server;

/// What a server writes that is started with this address.
async fn log_of(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Server::start_logged(folder.path(), &[("DATABASE_URL", url)], &log);
    drop(server);
    std::fs::read_to_string(log).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_is_warned_of_and_an_ordinary_login_is_not() {
    let database = TestDatabase::create().await;
    let log = log_of(&database.superuser_url()).await;
    assert!(
        log.contains("as a superuser, whom nothing there holds"),
        "{log}"
    );
    // Another one: what a superuser has made belongs to the superuser.
    let log = log_of(&TestDatabase::create().await.url()).await;
    assert!(
        !log.contains("superuser") && !log.contains("row-level security"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_the_roles_is_told_what_to_have_run() {
    let database = TestDatabase::create().await;
    let name = format!("guard_test_log_{}", std::process::id());
    let mut superuser = database.connect().await;
    let make = AssertSqlSafe(format!(
        "CREATE ROLE {name} LOGIN PASSWORD '{name}'; GRANT ALL ON SCHEMA public TO {name}"
    ));
    superuser.execute(make).await.unwrap();
    let log = log_of(&database.url_as(&name, &name)).await;
    let forget = AssertSqlSafe(format!(
        "REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}"
    ));
    superuser.execute(forget).await.unwrap();
    let told = format!("GRANT neural_guard_engine, neural_guard_api TO {name}; then restart");
    assert!(
        log.contains("row-level security is off") && log.contains(&told),
        "{log}"
    );
}
