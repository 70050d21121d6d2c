//! Databases of PostgreSQL for tests: one for each test.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::postgres_server::{Durability, Server, VARIABLE};

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
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.expect("a database");
        connection.close().await.expect("closed");
        Self { server, name }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        let (before, after) = self
            .server
            .split_at(self.server.rfind('/').expect("a database"));
        let options = after
            .split_once('?')
            .map_or(String::new(), |(_, options)| format!("?{options}"));
        format!("{before}/{}{options}", self.name)
    }

    /// A connection to it.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url())
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
