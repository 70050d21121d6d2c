//! Where a PostgreSQL database is.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

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
    /// A URL that does not say `sslmode` means TLS if the server offers it, but none on this machine.
    ///
    /// # Errors
    /// What is wrong with a URL, without its password.
    pub fn parse(url: &str, direct: Option<&str>) -> Result<Self, String> {
        let read = |url: &str| {
            let options: PgConnectOptions = url.parse().map_err(|error| match error {
                sqlx::Error::Configuration(why) => why.to_string(),
                _ => "it cannot be read".to_owned(),
            })?;
            let options = options
                .application_name("neural-guard")
                // Poolers refuse what they do not know.
                .extra_float_digits(None);
            // Records of TLS would wait for each other there: sqlx 0.9.0 does not set `TCP_NODELAY`.
            let plain = matches!(options.get_ssl_mode(), PgSslMode::Prefer)
                && is_this_machine(&options)
                && !names_tls(url);
            Ok::<_, String>(if plain {
                options.ssl_mode(PgSslMode::Disable)
            } else {
                options
            })
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

fn names_tls(url: &str) -> bool {
    url.contains("sslmode=") || url.contains("ssl-mode=")
}

fn is_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn uses_tls(url: &str) -> bool {
        let address = PostgresAddress::parse(url, None).unwrap();
        !matches!(address.options.get_ssl_mode(), PgSslMode::Disable)
    }

    #[test]
    fn tls_on_this_machine_is_for_those_who_ask_for_it() {
        for here in ["127.0.0.1", "127.1.2.3:5433", "localhost", "[::1]:5432"] {
            let url = format!("postgres://guard@{here}/guard");
            assert!(!uses_tls(&url), "{url}");
            for mode in ["prefer", "require", "verify-full"] {
                assert!(uses_tls(&format!("{url}?sslmode={mode}")), "{url} {mode}");
            }
        }
        for there in ["10.0.0.1", "db.example", "[2001:db8::1]"] {
            assert!(uses_tls(&format!("postgres://guard@{there}/guard")));
        }
    }

    #[test]
    fn tls_of_the_server_itself_does_not_hang_on_the_poolers() {
        let pooler = "postgres://guard@127.0.0.1:6432/guard";
        let direct = "postgres://guard@db.example/guard";
        let address = PostgresAddress::parse(pooler, Some(direct)).unwrap();
        assert!(matches!(address.options.get_ssl_mode(), PgSslMode::Disable));
        assert!(matches!(address.server().get_ssl_mode(), PgSslMode::Prefer));
    }
}
