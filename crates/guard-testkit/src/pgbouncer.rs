//! A private PgBouncer in transaction mode on a free port of the loopback interface.
//!
//! The file has no dependency but the standard library: `cargo xtask` compiles it too, to see whether the program is there.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres_server::{Account, free_port, make_folder};

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// A running pooler; it ends, and its files go, when this is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct PgBouncer {
    url: String,
    listen: u16,
    folder: PathBuf,
    /// It ends when its standard input does.
    keeper: Child,
}

impl PgBouncer {
    /// Starts a pooler in front of the database of a URL (`postgres://user:password@host:port/database`), with so many
    /// connections to it.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn start(database: &str, connections: usize) -> Result<Self, String> {
        let program = find().ok_or(
            "PgBouncer is not installed: install it (on Debian `apt-get install pgbouncer`; `cargo xtask test` does where it \
             is root)",
        )?;
        let (user, place, name) = parts(database)
            .ok_or_else(|| format!("`{database}` is not postgres://user@host:port/database"))?;
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "5432"));
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, format!(" password='{password}'")),
            None => (user, String::new()),
        };
        let folder = make_folder()?;
        let listen = free_port()?;
        // Whoever comes is let in as this user: what is tried here is not the authentication.
        let configuration = format!(
            "[databases]\n{name} = host={host} port={port} user={user}{password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 200\n"
        );
        let path = folder.join("pgbouncer.ini");
        std::fs::write(&path, configuration)
            .map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
        let account = Account::find(&folder)?;
        // It has nothing to write out: what it stops with does not matter.
        let script = "\"$@\" >\"$0/log\" 2>&1 & pooler=$!; cat >/dev/null; kill -KILL $pooler; wait $pooler; rm -rf \"$0\"";
        let keeper = account
            .command(Path::new("sh"))
            .arg("-c")
            .arg(script)
            .arg(&folder)
            .arg(program)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C is for the tests.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("PgBouncer cannot be started: {error}"))?;
        let pooler = Self {
            url: format!("postgres://{user}@127.0.0.1:{listen}/{name}"),
            listen,
            folder,
            keeper,
        };
        pooler.wait()?;
        Ok(pooler)
    }

    /// The URL of the database through it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn wait(&self) -> Result<(), String> {
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.listen)).is_err() {
            if begun.elapsed() > START {
                return Err(format!(
                    "PgBouncer did not start within {START:?}: {}",
                    self.log()
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        _ = self.keeper.wait();
    }
}

/// Who, where, and which database.
fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = url.split_once("://")?;
    let (user, rest) = rest.rsplit_once('@')?;
    let (place, rest) = rest.split_once('/')?;
    Some((user, place, rest.split('?').next()?))
}

/// The program, which Debian keeps out of the path of users.
#[must_use]
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let mut programs = folders.into_iter().map(|folder| folder.join("pgbouncer"));
    programs.find(|program| Command::new(program).arg("--version").output().is_ok())
}
