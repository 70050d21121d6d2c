//! Row-level security of PostgreSQL: the second lock between tenants, should a statement ever forget the first.
//!
//! What a caller asks for runs as a role that sees the rows of one tenant, which the transaction names. Everything else, the
//! server's own work, is a member of a role that sees all of them. Both roles belong to the database server, whatever the
//! number of databases.

use guard_domain::TenantId;
use sqlx::Row as _;
use sqlx::postgres::PgPool;

use crate::error::is_forbidden;

/// Who sees every row.
const ENGINE: &str = "neural_guard_engine";
/// Who sees the rows of one tenant.
const API: &str = "neural_guard_api";

/// A table, and what callers may do to it.
struct Table {
    name: &'static str,
    /// Whether its rows belong to tenants.
    of_tenants: bool,
    allowed: &'static [&'static str],
}

const fn of_tenants(name: &'static str, allowed: &'static [&'static str]) -> Table {
    Table {
        name,
        of_tenants: true,
        allowed,
    }
}

const fn of_all(name: &'static str, allowed: &'static [&'static str]) -> Table {
    Table {
        name,
        of_tenants: false,
        allowed,
    }
}

/// Nothing that callers do removes or changes an event or a record.
const TABLES: [Table; 17] = [
    of_tenants("tenants", &["SELECT", "INSERT", "UPDATE"]),
    of_tenants("api_keys", &["SELECT", "INSERT", "UPDATE"]),
    of_tenants("control", &["SELECT", "INSERT", "UPDATE"]),
    of_tenants("rules", &["SELECT", "INSERT"]),
    of_tenants("rule_revisions", &["SELECT", "INSERT"]),
    of_tenants("events", &["SELECT", "INSERT"]),
    of_tenants("event_spans", &["SELECT", "INSERT"]),
    of_tenants("event_keys", &[]),
    of_tenants("audit_log", &["SELECT", "INSERT"]),
    of_tenants("rule_executions", &["SELECT", "INSERT", "UPDATE"]),
    of_tenants("execution_attempts", &["SELECT", "UPDATE"]),
    of_tenants("escalations", &["SELECT", "INSERT"]),
    of_tenants("notifications", &["SELECT", "INSERT", "UPDATE"]),
    of_tenants("cooldowns", &["SELECT", "DELETE"]),
    of_tenants("windows", &[]),
    of_all("audit_links", &["SELECT", "INSERT"]),
    of_all("audit_checkpoints", &["SELECT"]),
];

/// Who the server comes as.
pub(crate) struct Login {
    /// The name as it is written in a statement.
    quoted: String,
    name: String,
    /// Row-level security does not hold them: a superuser, or one who may bypass it.
    is_above: bool,
    is_superuser: bool,
}

impl Login {
    pub(crate) async fn of(pool: &PgPool) -> Result<Self, sqlx::Error> {
        // In one message: a pooler may be between.
        let row = sqlx::raw_sql(
            "SELECT quote_ident(rolname::text), rolname::text, rolsuper OR rolbypassrls, rolsuper FROM pg_roles WHERE rolname = current_user",
        )
        .fetch_one(pool)
        .await?;
        Ok(Self {
            quoted: row.try_get(0)?,
            name: row.try_get(1)?,
            is_above: row.try_get(2)?,
            is_superuser: row.try_get(3)?,
        })
    }
}

/// What holds callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowSecurity {
    /// Their transactions run as a role that sees one tenant.
    On,
    /// The statements alone: the server may not make the roles, and nobody has.
    Off,
    /// The tables are under it, and the server is not a member of the role that sees all rows.
    LockedOut,
}

/// Puts the tables under row-level security, as far as whoever `server` comes as may.
pub(crate) async fn prepare(server: &PgPool, login: &Login) -> Result<RowSecurity, sqlx::Error> {
    match enclose(server, login).await {
        Ok(()) => {}
        Err(error) if is_forbidden(&error) => {
            tracing::debug!(%error, "row-level security cannot be set up");
        }
        Err(error) => return Err(error),
    }
    let standing = look(server, login).await?;
    match standing {
        RowSecurity::On if login.is_superuser => tracing::warn!(
            role = login.name,
            "the server comes to PostgreSQL as a superuser, whom nothing there holds; give it a role of its own \
             (docs/security.md, \"Row-level security\")"
        ),
        RowSecurity::Off => tracing::warn!(
            "row-level security is off: {} may not make its roles. As a superuser: CREATE ROLE {ENGINE} NOLOGIN; \
             CREATE ROLE {API} NOLOGIN; GRANT {ENGINE}, {API} TO {}; then restart the server",
            login.quoted,
            login.quoted,
        ),
        RowSecurity::On | RowSecurity::LockedOut => {}
    }
    Ok(standing)
}

/// One table at a time, so that nothing is waited for with a lock in hand; and one instance at a time.
async fn enclose(server: &PgPool, login: &Login) -> Result<(), sqlx::Error> {
    for role in [ENGINE, API] {
        sqlx::query("SELECT guard_lend_role($1, $2)")
            .bind(role)
            .bind(&login.name)
            .execute(server)
            .await?;
    }
    for table in &TABLES {
        let mut transaction = server.begin().await?;
        sqlx::query(
            "SELECT pg_advisory_xact_lock(20039, 4), set_config('lock_timeout', '10s', true)",
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query("SELECT guard_allow_api($1, $2)")
            .bind(table.name)
            .bind(table.allowed)
            .execute(&mut *transaction)
            .await?;
        if table.of_tenants {
            sqlx::query("SELECT guard_enclose($1)")
                .bind(table.name)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

async fn look(server: &PgPool, login: &Login) -> Result<RowSecurity, sqlx::Error> {
    let names: Vec<&str> = TABLES
        .iter()
        .filter(|table| table.of_tenants)
        .map(|table| table.name)
        .collect();
    let row = sqlx::query(
        "SELECT count(*) FILTER (WHERE relforcerowsecurity),
             coalesce((SELECT pg_has_role($2, oid, 'USAGE') FROM pg_roles WHERE rolname = $3), false),
             coalesce((SELECT pg_has_role($2, oid, 'MEMBER') FROM pg_roles WHERE rolname = $4), false)
         FROM pg_class WHERE oid = ANY($1::regclass[])",
    )
    .bind(&names)
    .bind(&login.name)
    .bind(ENGINE)
    .bind(API)
    .fetch_one(server)
    .await?;
    let enclosed: i64 = row.try_get(0)?;
    let (sees_all, may_be_caller): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
    Ok(if enclosed > 0 && !sees_all && !login.is_above {
        RowSecurity::LockedOut
    } else if usize::try_from(enclosed) == Ok(names.len()) && may_be_caller {
        RowSecurity::On
    } else {
        RowSecurity::Off
    })
}

/// What a transaction of callers of a tenant begins with.
pub(crate) fn begin_statement(tenant: &TenantId, writes: bool) -> String {
    let mode = if writes { "READ WRITE" } else { "READ ONLY" };
    // A tenant's name is a slug: it has no quote to end the text with.
    format!("BEGIN {mode}; SET LOCAL ROLE {API}; SET LOCAL neural_guard.tenant = '{tenant}'")
}

/// What to say to whoever gave the server a login that is locked out.
pub(crate) fn way_in(login: &Login) -> String {
    format!("GRANT {ENGINE}, {API} TO {}", login.quoted)
}
