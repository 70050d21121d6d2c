//! A server in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

pub(crate) const API_KEY: &str = "sentinel-key-of-the-tests";
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// The binary, with an environment that holds nothing of this machine's.
pub(crate) fn guard_server(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guard-server"));
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// A running server; it is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// What it printed before it listened.
    pub(crate) greeting: Vec<String>,
    pub(crate) client: Client,
}

impl Server {
    /// A server in a folder, with both keys, on a free port.
    pub(crate) fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let keys = [
            ("NEURAL_GUARD_API_KEY", API_KEY),
            ("NEURAL_GUARD_ADMIN_KEY", ADMIN_KEY),
        ];
        Self::start_with(folder, &[&keys, environment].concat())
    }

    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::spawn(guard_server(folder), folder, environment)
    }

    /// A server whose log goes to the end of a file.
    pub(crate) fn start_logged(folder: &Path, environment: &[(&str, &str)], log: &Path) -> Self {
        let keys = [
            ("NEURAL_GUARD_API_KEY", API_KEY),
            ("NEURAL_GUARD_ADMIN_KEY", ADMIN_KEY),
        ];
        let mut command = guard_server(folder);
        let log = std::fs::File::options().create(true).append(true).open(log);
        command.stderr(log.unwrap());
        Self::spawn(command, folder, &[&keys, environment].concat())
    }

    /// A server whose writes beyond a limit fail instead of ending it; see [`Server::limit_files`].
    pub(crate) fn start_limited(folder: &Path) -> Self {
        let mut command = Command::new("sh");
        let ignoring = format!(
            "trap '' XFSZ; exec '{}'",
            env!("CARGO_BIN_EXE_guard-server")
        );
        command
            .env_clear()
            .current_dir(folder)
            .stdin(Stdio::null())
            .args(["-c", &ignoring]);
        let keys = [
            ("NEURAL_GUARD_API_KEY", API_KEY),
            ("NEURAL_GUARD_ADMIN_KEY", ADMIN_KEY),
        ];
        Self::spawn(command, folder, &keys)
    }

    fn spawn(mut command: Command, folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = command
            .env("NEURAL_GUARD__SERVER__LISTEN", "127.0.0.1:0")
            .env("NEURAL_GUARD__DATA_DIR", folder.join("data"))
            .env("RUST_LOG", "warn")
            // Tests send more than a source may.
            .env("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "0")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = Vec::new();
        let address = loop {
            let line = lines
                .next()
                .expect("the server said where it listens")
                .unwrap();
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.to_owned();
            }
            greeting.push(line);
        };
        let client = Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            child,
            address,
            greeting,
            client,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self
            .client
            .get(self.url(path))
            .bearer_auth(ADMIN_KEY)
            .send()
            .await
            .unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        response.json().await.unwrap()
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit=500{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Lets no file of the server grow beyond so many bytes, as a full disk would; `None` lifts the limit.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let status = Command::new("prlimit")
            .args([
                "--pid",
                &self.pid().to_string(),
                &format!("--fsize={limit}:"),
            ])
            .status()
            .expect("`prlimit` is needed; it is part of util-linux");
        assert!(status.success());
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself; gives its exit code.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        for _ in 0..300 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it does not end")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An event as of now, as Sentinel writes it.
pub(crate) fn event_now(event_type: &str, context: &str) -> String {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::UNIX_EPOCH + since_epoch());
    let now = now.format("%Y-%m-%dT%H:%M:%S%.6f");
    format!(
        r#"{{"event_type":"{event_type}","severity":"high","context":{context},"source":"sentinel","timestamp":"{now}"}}"#
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test stands outside the server, as Sentinel does"
)]
pub(crate) fn since_epoch() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
}

/// Runs a command to its end: exit code, standard output, standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut error = String::new();
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        stderr.read_to_string(&mut error).unwrap();
        error
    });
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (code, out, reader.join().unwrap())
}
