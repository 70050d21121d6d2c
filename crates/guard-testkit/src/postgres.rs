//! Databases of PostgreSQL for tests: one for each test.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::postgres_server::{Durability, Server, VARIABLE};

/// Who the guard comes as: no superuser, so that row-level security holds in every test.
const LOGIN: &str = "guard_test";

/// Makes the login and what it is a member of, which belong to the whole server: another test may be quicker.
const MAKE_LOGIN: &str = "DO $$
DECLARE
    made TEXT;
BEGIN
    FOREACH made IN ARRAY ARRAY['neural_guard_engine NOLOGIN', 'neural_guard_api NOLOGIN',
                                'guard_test LOGIN PASSWORD ''guard_test'''] LOOP
        BEGIN
            EXECUTE 'CREATE ROLE ' || made;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
    IF NOT pg_has_role('guard_test', 'neural_guard_engine', 'USAGE')
        OR NOT pg_has_role('guard_test', 'neural_guard_api', 'USAGE') THEN
        GRANT neural_guard_engine, neural_guard_api TO guard_test;
    END IF;
EXCEPTION WHEN unique_violation THEN NULL;
END
$$";

/// A database that goes when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    server: String,
    name: String,
}

/// The server of this process's tests: the configured one, else one of its own.
fn server() -> &'static str {
    static OWN: OnceLock<(Option<Server>, String)> = OnceLock::new();
    let (_, url) = OWN.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(url) if !url.is_empty() => (None, url),
        _ => match Server::start(Durability::None) {
            Ok(server) => {
                let url = server.url().to_owned();
                (Some(server), url)
            }
            Err(why) => panic!("{why}"),
        },
    });
    url
}

fn unique_name() -> String {
    // Every state hashes by keys of its own.
    let unique = RandomState::new().hash_one(std::process::id());
    format!("guard_test_{unique:016x}")
}

impl TestDatabase {
    /// Makes an empty database.
    pub async fn create() -> Self {
        let server = tokio::task::spawn_blocking(server)
            .await
            .expect("a server")
            .to_owned();
        let name = unique_name();
        let mut connection = PgConnection::connect(&server)
            .await
            .expect("the server of the tests");
        connection.execute(MAKE_LOGIN).await.expect("a login");
        let create = AssertSqlSafe(format!("CREATE DATABASE {name} OWNER {LOGIN}"));
        connection.execute(create).await.expect("a database");
        connection.close().await.expect("closed");
        Self { server, name }
    }

    /// Its URL, as an ordinary user of the server who owns it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_as(LOGIN, LOGIN)
    }

    /// Its URL, as another user.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let options = self.options().username(user).password(password);
        options.to_url_lossy().to_string()
    }

    /// Its URL, as the superuser who made it.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        self.options().to_url_lossy().to_string()
    }

    fn options(&self) -> PgConnectOptions {
        let options: PgConnectOptions = self.server.parse().expect("a URL");
        options.database(&self.name)
    }

    /// A connection to it, as a superuser.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options())
            .await
            .expect("a connection")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop = AssertSqlSafe(format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            self.name
        ));
        let server = self.server.clone();
        // The runtime of the test may be gone, or busy with waiting for this.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&server).await?;
                connection.execute(drop).await
            })
        });
        _ = dropping.join();
    }
}
