//! Where an attack takes place: a server of its own on a database of its own.

use std::process::Command;
use std::time::Duration;

use guard_testkit::TestDatabase;
use reqwest::StatusCode;

use super::server::{ADMIN_KEY, API_KEY, Server, event_now, guard_server};

/// The same attacks on both databases.
macro_rules! on_both_databases {
    ($($name:ident),+) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::place::Place::sqlite()).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::place::Place::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

pub(crate) struct Place {
    folder: tempfile::TempDir,
    database: Option<TestDatabase>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: None,
        }
    }

    pub(crate) async fn postgres() -> Self {
        Self {
            database: Some(TestDatabase::create().await),
            ..Self::sqlite()
        }
    }

    fn url(&self) -> Option<String> {
        self.database.as_ref().map(TestDatabase::url)
    }

    pub(crate) fn start(&self, environment: &[(&str, &str)]) -> Server {
        let url = self.url();
        let database = url.as_deref().map(|url| ("DATABASE_URL", url));
        let environment: Vec<_> = database.iter().chain(environment).copied().collect();
        Server::start(self.folder.path(), &environment)
    }

    /// A command of the binary on the same database.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = guard_server(self.folder.path());
        command
            .env("NEURAL_GUARD__DATA_DIR", self.folder.path().join("data"))
            .envs(self.url().map(|url| ("DATABASE_URL", url)))
            .args(arguments);
        command
    }
}

/// The resident memory of a server, in bytes.
pub(crate) fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// The value of a metric; 0 if it has not been counted yet.
pub(crate) async fn metric(server: &Server, name: &str) -> f64 {
    let answer = server.client.get(server.url("/metrics")).send().await;
    let text = answer.unwrap().text().await.unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let values = lines.filter(|(found, _)| found.split('{').next() == Some(name));
    values.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// Posts an event as an honest client does.
pub(crate) async fn honest(server: &Server) -> StatusCode {
    let request = server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY)
        .header("content-type", "application/json")
        .timeout(Duration::from_secs(15))
        .body(event_now("anomaly_detected", "{}"));
    request.send().await.expect("an answer").status()
}

/// That an honest client is served, and that nothing broke on the way.
pub(crate) async fn goes_on(server: &Server) {
    assert_eq!(honest(server).await, 200);
    let events = server.get("/v1/events?limit=1").await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let admin = server
        .client
        .get(server.url("/v1/audit"))
        .bearer_auth(ADMIN_KEY);
    assert_eq!(admin.send().await.unwrap().status(), 200);
}
