//! A database of a test: a file.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

/// The database of one test.
pub(crate) struct Database {
    url: String,
}

impl Database {
    pub(crate) async fn create(folder: &Path) -> Self {
        let url = format!("sqlite://{}", folder.join("neural-guard.db").display());
        Self { url }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Holds everybody else off until what is given is dropped.
    pub(crate) async fn block(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE")
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, statement: &'static str) {
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
}
