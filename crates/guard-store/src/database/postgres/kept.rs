//! Connections that keep their plans, which the pool's do not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A connection that was used within this time is taken to be good; another one is asked first.
const FRESH: Duration = Duration::from_secs(1);

/// A few connections for statements that are run over and over.
pub(crate) struct Kept {
    /// Those that nobody uses, and when each was used last.
    idle: Mutex<Vec<(PoolConnection<Postgres>, Instant)>>,
    /// One for each that may be in use.
    places: Arc<Semaphore>,
    /// What makes a connection of the pool one of these.
    pub(super) settings: String,
}

/// The right to use one of the kept connections, which goes back to them.
pub(super) struct Place {
    kept: Arc<Kept>,
    _permit: OwnedSemaphorePermit,
}

/// What there is for a place.
pub(super) enum Found {
    Fresh(PoolConnection<Postgres>),
    Stale(PoolConnection<Postgres>),
    Nothing,
}

impl Kept {
    /// For so many statements at once, each of which the server ends after a time if there is one.
    pub(crate) fn new(places: usize, statement_timeout: Option<Duration>) -> Arc<Self> {
        let timeout = statement_timeout.map_or(0, |timeout| timeout.as_millis());
        Arc::new(Self {
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
            settings: format!(
                "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET statement_timeout = {timeout}"
            ),
        })
    }

    /// A place, unless all are in use.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(Place {
            kept: self.clone(),
            _permit: permit,
        })
    }

    /// Lets all connections go; nobody gets a place any more.
    pub(super) fn close(&self) {
        self.places.close();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }
}

impl Place {
    /// The connection that was used last.
    pub(super) fn take(&self) -> Found {
        let mut idle = self
            .kept
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match idle.pop() {
            Some((connection, used)) if used.elapsed() < FRESH => Found::Fresh(connection),
            Some((connection, _)) => Found::Stale(connection),
            None => Found::Nothing,
        }
    }

    /// Gives its connection back.
    pub(super) fn put(self, connection: PoolConnection<Postgres>) {
        let mut idle = self
            .kept
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // After the end the pool closes it.
        if !self.kept.places.is_closed() {
            idle.push((connection, Instant::now()));
        }
    }
}
