//! What is measured: a server in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server of this build.
pub(crate) const GUARD: &str = env!("CARGO_BIN_EXE_guard-server");
pub(crate) const API_KEY: &str = "sentinel-key-of-the-benchmark";

/// A running server; it is killed when it is dropped.
pub(crate) struct Subject {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Subject {
    pub(crate) fn floor(url: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--floor", url]);
        Self::spawn(command, tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn guard(url: &str, n8n: SocketAddr, environment: &[(&str, &str)]) -> Self {
        Self::guard_of(Path::new(GUARD), url, n8n, environment)
    }

    /// The server of another build.
    pub(crate) fn guard_of(
        binary: &Path,
        url: &str,
        n8n: SocketAddr,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("rules.yaml");
        std::fs::write(&rules, super::rules::yaml()).expect("rules");
        let mut command = Command::new(binary);
        command
            .env_clear()
            .current_dir(folder.path())
            .env("DATABASE_URL", url)
            .env("NEURAL_GUARD__SERVER__LISTEN", "127.0.0.1:0")
            .env("NEURAL_GUARD__DATA_DIR", folder.path())
            .env("NEURAL_GUARD__RULES__PATH", rules)
            .env("NEURAL_GUARD_API_KEY", API_KEY)
            .env("N8N_BASE_URL", format!("http://{n8n}"))
            .env("RUST_LOG", "error")
            // As much as can be counted: the counting is measured too.
            .env("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "60000000")
            .envs(environment.iter().copied());
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: tempfile::TempDir) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://")?.parse().ok())
            .expect("the server says where it listens");
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The processor time it has used.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split(' ')
            .collect();
        // User and system time, in ticks of 10 ms.
        let ticks: u64 = [12, 13]
            .iter()
            .map(|place| fields[*place].parse().unwrap_or(0))
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Its resident memory in MB.
    pub(crate) fn memory(&self) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) * 1024.0 / 1e6
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    pub(crate) async fn print_idle(&self, database: &str) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (before, idle) = (self.cpu(), Duration::from_secs(10));
        tokio::time::sleep(idle).await;
        let cores = (self.cpu() - before).as_secs_f64() / idle.as_secs_f64();
        println!(
            "| guard on {database} | idle | 0 | | | | | {cores:.3} | {:.0} |",
            self.memory()
        );
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
