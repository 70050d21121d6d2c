//! The schema of PostgreSQL: brought up to date, and locked, over a connection of its own past any pooler.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::error::{OpenError, unavailable};
use crate::postgres_address::PostgresAddress;
use crate::row_security::{self, Login, RowSecurity};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

pub(crate) async fn connect(
    address: &PostgresAddress,
    timeout: Duration,
) -> Result<PgPool, OpenError> {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(timeout)
        .connect_with(address.server().clone())
        .await
        .map_err(|error| OpenError::Connect {
            database: address.server_name(),
            source: error.into(),
        })
}

/// Migrations take as long as they take.
pub(crate) async fn migrate(server: &PgPool, address: &PostgresAddress) -> Result<(), OpenError> {
    MIGRATIONS
        .run(server)
        .await
        .map_err(|source| OpenError::Migrate {
            database: address.server_name(),
            source,
        })
}

/// Puts the rows of tenants under row-level security; gives whether callers are to be held by it.
pub(crate) async fn secure_rows(
    server: &PgPool,
    pool: &PgPool,
    address: &PostgresAddress,
) -> Result<bool, OpenError> {
    let prepare = async {
        let login = Login::of(pool).await?;
        let standing = row_security::prepare(server, &login).await?;
        Ok((login, standing))
    };
    let (login, standing) = prepare
        .await
        .map_err(|source: sqlx::Error| OpenError::Prepare {
            database: address.to_string(),
            source: unavailable(source),
        })?;
    match standing {
        RowSecurity::On => Ok(true),
        RowSecurity::Off => Ok(false),
        RowSecurity::LockedOut => Err(OpenError::LockedOut {
            database: address.to_string(),
            way_in: row_security::way_in(&login),
        }),
    }
}
