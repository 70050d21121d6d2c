//! Where a PostgreSQL database is.

use sqlx::postgres::PgConnectOptions;

/// Where a PostgreSQL database is.
#[derive(Clone)]
pub struct PostgresAddress {
    pub(crate) options: PgConnectOptions,
    /// Past the pooler.
    pub(crate) direct: Option<PgConnectOptions>,
}

impl PostgresAddress {
    /// Reads a URL such as `postgres://user:password@host:5432/database?sslmode=require`. If `direct` is given, `url` is
    /// that of a pooler in transaction mode, and the schema is brought up to date past it.
    ///
    /// # Errors
    /// What is wrong with a URL, without its password.
    pub fn parse(url: &str, direct: Option<&str>) -> Result<Self, String> {
        let read = |url: &str| {
            let options: PgConnectOptions = url.parse().map_err(|error| match error {
                sqlx::Error::Configuration(why) => why.to_string(),
                _ => "it cannot be read".to_owned(),
            })?;
            Ok::<_, String>(
                options
                    .application_name("neural-guard")
                    // Poolers refuse what they do not know.
                    .extra_float_digits(None),
            )
        };
        Ok(Self {
            options: read(url)?,
            direct: direct.map(read).transpose()?,
        })
    }
}

impl PostgresAddress {
    /// The server itself, past a pooler.
    pub(crate) fn server(&self) -> &PgConnectOptions {
        self.direct.as_ref().unwrap_or(&self.options)
    }

    /// What the server itself is called in messages.
    pub(crate) fn server_name(&self) -> String {
        name_of(self.server())
    }
}

impl std::fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name_of(&self.options))
    }
}

impl std::fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn name_of(options: &PgConnectOptions) -> String {
    format!(
        "postgres://{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options
            .get_database()
            .unwrap_or_else(|| options.get_username())
    )
}
