//! A private PostgreSQL server on a free port of the loopback interface, for as long as this process runs.
//!
//! The file has no dependency but the standard library: `cargo xtask` compiles it too, to start one server for all tests.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the server of the tests is, if one is configured: `postgres://user:password@host:port/database`. Its user must
/// be allowed to create databases.
pub const VARIABLE: &str = "NEURAL_GUARD_TEST_POSTGRES";

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);

/// What the server says when it is ready, and when it is down.
const READY: &str = "ready to accept connections";
const DOWN: &str = "database system is shut down";

/// Serves, does as it is told, and cleans up when nobody can tell it anything any more. `$0` is the folder, the rest the
/// command of the server.
const KEEPER: &str = r#"
serve() { "$@" >>"$0/log" 2>&1 & server=$!; }
serve "$@"
while read -r order; do
    case $order in
        break) kill -QUIT $server; wait $server ;;
        serve) serve "$@" ;;
    esac
done
kill -INT $server; wait $server; rm -rf "$0"
"#;

/// Whether a server waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// No: for tests, which lose nothing with the power.
    None,
    /// Yes: for measurements.
    Full,
}

impl Durability {
    const fn setting(self) -> &'static str {
        match self {
            Self::None => "fsync=off",
            Self::Full => "fsync=on",
        }
    }
}

/// A running server. It stops, and its files go, when this is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct Server {
    url: String,
    /// The keeper stops the server when this is closed.
    alive: Option<ChildStdin>,
    keeper: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts a server with an empty data folder.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn start(durability: Durability) -> Result<Self, String> {
        let programs = find_programs().ok_or_else(|| {
            format!(
                "PostgreSQL is not installed: install it (on Debian `apt-get install postgresql`), or set {VARIABLE} to the \
                 URL of a server whose user may create databases"
            )
        })?;
        let folder = make_folder()?;
        let account = Account::find(&folder)?;
        let data = folder.join("data");
        let made = account
            .command(&programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .arg("--pgdata")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("initdb cannot be run: {error}"))?;
        if !made.status.success() {
            return Err(format!(
                "initdb failed: {}",
                String::from_utf8_lossy(&made.stderr)
            ));
        }
        let port = free_port()?;
        // The keeper outlives this process by as long as it takes to stop the server.
        let mut keeper = account
            .command(Path::new("sh"))
            .arg("-c")
            .arg(KEEPER)
            .arg(&folder)
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-p")
            .arg(port.to_string())
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=400", "-c", durability.setting()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C is for the tests.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("PostgreSQL cannot be started: {error}"))?;
        let alive = keeper.stdin.take();
        let server = Self {
            url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            alive,
            keeper,
            folder,
        };
        server.wait(READY, 1)?;
        Ok(server)
    }

    /// The URL of its database `postgres`, of which the user may do everything.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the server as a crash would: sessions are cut, nothing is written out, the next start recovers.
    ///
    /// # Errors
    /// A sentence that says what went wrong.
    pub fn break_off(&mut self) -> Result<(), String> {
        let before = self.count(DOWN);
        self.order("break")?;
        self.wait(DOWN, before + 1)
    }

    /// Starts the server again, at the same address and with the same data.
    ///
    /// # Errors
    /// A sentence that says what went wrong.
    pub fn start_again(&mut self) -> Result<(), String> {
        let before = self.count(READY);
        self.order("serve")?;
        self.wait(READY, before + 1)
    }

    fn order(&mut self, order: &str) -> Result<(), String> {
        let keeper = self.alive.as_mut().ok_or("the server is stopped")?;
        writeln!(keeper, "{order}").map_err(|error| format!("PostgreSQL's keeper is gone: {error}"))
    }

    fn log(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn count(&self, sentence: &str) -> usize {
        self.log().matches(sentence).count()
    }

    /// Waits until the server has said a sentence so many times.
    fn wait(&self, sentence: &str, times: usize) -> Result<(), String> {
        let begun = Instant::now();
        while self.count(sentence) < times {
            if begun.elapsed() > START {
                let log = self.log();
                return Err(format!(
                    "PostgreSQL did not say `{sentence}` within {START:?}: {log}"
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut alive) = self.alive.take() {
            _ = alive.flush();
        }
        _ = self.keeper.wait();
    }
}

/// The folder of the server programs, which Debian keeps out of the path.
#[must_use]
pub fn find_programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        let mut found: Vec<_> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path().join("bin"))
            .collect();
        found.sort();
        folders.extend(found.into_iter().rev());
    }
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

fn make_folder() -> Result<PathBuf, String> {
    let made = Command::new("mktemp")
        .args(["-d", "/tmp/guard-postgres.XXXXXX"])
        .output()
        .map_err(|error| format!("mktemp cannot be run: {error}"))?;
    let name = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    if name.is_empty() {
        return Err("a temporary folder cannot be made".to_owned());
    }
    Ok(PathBuf::from(name))
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no port is free: {error}"))
}

/// Whom the server runs as: PostgreSQL refuses to run as root.
struct Account(Option<(u32, u32)>);

impl Account {
    /// Another account if this is root; the folder is given to it.
    fn find(folder: &Path) -> Result<Self, String> {
        if id(&["-u"]) != Some(0) {
            return Ok(Self(None));
        }
        for name in ["postgres", "nobody"] {
            if let (Some(user), Some(group)) = (id(&["-u", name]), id(&["-g", name])) {
                std::os::unix::fs::chown(folder, Some(user), Some(group)).map_err(|error| {
                    format!("`{}` cannot be given away: {error}", folder.display())
                })?;
                return Ok(Self(Some((user, group))));
            }
        }
        Err("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`".to_owned())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C");
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let asked = Command::new("id")
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8_lossy(&asked.stdout).trim().parse().ok()
}
