//! The floor: an axum handler that reads the event and inserts it, with group commit, and does nothing else.

use std::sync::OnceLock;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use guard_domain::{Event, EventId, EventTypes};
use guard_testkit::SeededRandom;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use tokio::sync::{mpsc, oneshot};

type Job = (EventId, Event, oneshot::Sender<()>);

const TABLE: &str = "CREATE TABLE floor (event_id {id} PRIMARY KEY, source TEXT NOT NULL, severity TEXT NOT NULL, body TEXT NOT NULL)";

/// How many rows one statement of SQLite takes at most: through sqlx each statement goes to another thread and back.
const MANY: usize = 64;

/// The statement of SQLite for a number of rows.
fn many(rows: usize) -> &'static str {
    static TEXTS: [OnceLock<String>; MANY] = [const { OnceLock::new() }; MANY];
    let row = "(?, ?, ?, ?)";
    TEXTS[rows - 1].get_or_init(|| {
        format!(
            "INSERT OR FAIL INTO floor VALUES {}",
            vec![row; rows].join(",")
        )
    })
}

enum Database {
    Sqlite(SqlitePool),
    /// SQLite as the server writes it: see [`DIRECT`].
    Direct(rusqlite::Connection),
    Postgres(PgPool),
}

/// What the URL of an SQLite file begins with that is written on the committer's own thread, row by row, as the server writes.
pub(crate) const DIRECT: &str = "direct:";

/// Serves until it is killed.
pub(crate) fn serve(url: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (sender, jobs) = mpsc::channel(8192);
        let committing = commit(Database::open(url).await, jobs);
        let handle = tokio::runtime::Handle::current();
        if url.starts_with(DIRECT) {
            std::thread::spawn(move || handle.block_on(committing));
        } else {
            tokio::spawn(committing);
        }
        let router = Router::new()
            .route("/events", post(take))
            .with_state(sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!(
            "listening on http://{}",
            listener.local_addr().expect("an address")
        );
        axum::serve(listener, router).await.expect("served");
    });
}

async fn take(State(sender): State<mpsc::Sender<Job>>, body: Bytes) -> (StatusCode, String) {
    let now = SystemTime::now().into();
    let Ok(event) = Event::parse(&body, &EventTypes::default(), now) else {
        return (StatusCode::UNPROCESSABLE_ENTITY, String::new());
    };
    let random = guard_app::ports::random_tail(&SeededRandom::default());
    let id = EventId::new(now, unique(random));
    let (done, wait) = oneshot::channel();
    if sender.send((id, event, done)).await.is_err() || wait.await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    (
        StatusCode::OK,
        format!("{{\"status\":\"processed\",\"event_id\":\"{id}\"}}"),
    )
}

/// Ids that differ within this process.
fn unique(mut tail: [u8; 10]) -> [u8; 10] {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    tail[2..].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    tail
}

async fn commit(mut database: Database, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::new();
    while jobs.recv_many(&mut batch, 512).await > 0 {
        database.insert(&batch).await.expect("inserted");
        for (_, _, done) in batch.drain(..) {
            _ = done.send(());
        }
    }
}

impl Database {
    async fn open(url: &str) -> Self {
        if url.starts_with("postgres") {
            let pool = PgPool::connect(url).await.expect("a connection");
            let table = sqlx::AssertSqlSafe(TABLE.replace("{id}", "UUID"));
            sqlx::query(table).execute(&pool).await.expect("a table");
            return Self::Postgres(pool);
        }
        if let Some(path) = url.strip_prefix(DIRECT) {
            let connection = rusqlite::Connection::open(path).expect("a file");
            connection
                .pragma_update(None, "journal_mode", "WAL")
                .expect("a log");
            let table = TABLE.replace("{id}", "BLOB");
            connection.execute_batch(&table).expect("a table");
            return Self::Direct(connection);
        }
        let options: SqliteConnectOptions = url.parse().expect("a URL");
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePool::connect_with(options).await.expect("a file");
        let table = sqlx::AssertSqlSafe(TABLE.replace("{id}", "BLOB"));
        sqlx::query(table).execute(&pool).await.expect("a table");
        Self::Sqlite(pool)
    }

    async fn insert(&mut self, batch: &[Job]) -> Result<(), sqlx::Error> {
        match self {
            Self::Direct(connection) => {
                let transaction = connection.transaction().expect("a transaction");
                let mut statement = transaction
                    .prepare_cached("INSERT INTO floor VALUES (?, ?, ?, ?)")
                    .expect("a statement");
                for (id, event, _) in batch {
                    let (source, severity) = (event.source().as_str(), event.severity().as_str());
                    let id = id.as_uuid();
                    statement
                        .execute((id.as_bytes(), source, severity, event.body()))
                        .expect("a row");
                }
                drop(statement);
                transaction.commit().expect("a commit");
                Ok(())
            }
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                for batch in batch.chunks(MANY) {
                    let mut query = sqlx::query(many(batch.len()));
                    for (id, event, _) in batch {
                        query = query
                            .bind(id.as_uuid())
                            .bind(event.source().as_str())
                            .bind(event.severity().as_str())
                            .bind(event.body());
                    }
                    query.execute(&mut *transaction).await?;
                }
                transaction.commit().await
            }
            Self::Postgres(pool) => {
                let text = |text: fn(&Event) -> &str| -> Vec<String> {
                    batch
                        .iter()
                        .map(|(_, event, _)| text(event).to_owned())
                        .collect()
                };
                let ids: Vec<_> = batch.iter().map(|(id, ..)| id.as_uuid()).collect();
                sqlx::query("INSERT INTO floor SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[])")
                    .bind(ids)
                    .bind(text(|event| event.source().as_str()))
                    .bind(text(|event| event.severity().as_str()))
                    .bind(text(Event::body))
                    .execute(&*pool)
                    .await
                    .map(drop)
            }
        }
    }
}
