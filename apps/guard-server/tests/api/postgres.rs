//! A database of a test: one of the server of the tests.

use std::path::Path;

use guard_testkit::TestDatabase;
use sqlx::PgConnection;

/// The database of one test.
pub(crate) struct Database(TestDatabase);

impl Database {
    pub(crate) async fn create(_folder: &Path) -> Self {
        Self(TestDatabase::create().await)
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Holds everybody else off until what is given is dropped.
    pub(crate) async fn block(&self) -> PgConnection {
        let mut connection = self.0.connect().await;
        sqlx::raw_sql("BEGIN; LOCK TABLE control, events IN ACCESS EXCLUSIVE MODE")
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, statement: &'static str) {
        let mut connection = self.0.connect().await;
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
}
