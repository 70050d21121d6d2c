//! Copying what was committed from the write-ahead log of an SQLite file into the file, beside the writer.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::{Mutex, Notify};
use tokio::task::AbortHandle;

/// How long after a commit its pages are copied, with those of the commits until then.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection that copies what others commit.
///
/// SQLite has whoever commits do it when the log is long enough: some milliseconds in which nobody can commit, of which most are
/// waiting for the disk. The writer still does it when the log is several times as long, and finds little left to do: only when nothing is
/// left does the log begin anew.
pub(super) struct LogCopier {
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    committed: Arc<Notify>,
    task: AbortHandle,
}

impl LogCopier {
    /// Begins to copy over a connection of its own.
    pub(super) fn start(connection: SqliteConnection) -> Self {
        let connection = Arc::new(Mutex::new(Some(connection)));
        let committed = Arc::new(Notify::new());
        let task = tokio::spawn(copy(connection.clone(), committed.clone()));
        Self {
            connection,
            committed,
            task: task.abort_handle(),
        }
    }

    /// There may be something to copy.
    pub(super) fn wake(&self) {
        self.committed.notify_one();
    }

    /// Closes the connection, once what is being copied is copied.
    pub(super) async fn close(&self) -> Result<(), sqlx::Error> {
        match self.connection.lock().await.take() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }
}

impl Drop for LogCopier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn copy(connection: Arc<Mutex<Option<SqliteConnection>>>, committed: Arc<Notify>) {
    loop {
        committed.notified().await;
        tokio::time::sleep(PAUSE).await;
        let mut slot = connection.lock().await;
        let Some(connection) = slot.as_mut() else {
            return;
        };
        // Nobody waits for it, and it waits for nobody.
        let copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").await;
        if let Err(error) = copied {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the log of the database is not copied into its file");
        }
    }
}
