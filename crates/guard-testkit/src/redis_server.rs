//! A private Redis on a free port of the loopback interface.
//!
//! The file has no dependency but the standard library: `cargo xtask` compiles it too, to see whether the program is there.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres_server::free_port;

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);
const PROGRAM: &str = "redis-server";

/// Says the server's process, and ends it when nobody can be there any more. `$0` is the port.
const KEEPER: &str = "redis-server --port \"$0\" --bind 127.0.0.1 --save '' --appendonly no >/dev/null 2>&1 & server=$!; \
     echo $server; cat >/dev/null; kill -CONT $server; kill -KILL $server; wait $server";

/// A running server, which keeps nothing; it ends when this is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    running: Option<(Child, String)>,
}

impl RedisServer {
    /// Starts an empty server.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn start() -> Result<Self, String> {
        if !is_there() {
            return Err(
                "Redis is not installed: install it (on Debian `apt-get install redis-server`; `cargo xtask test` does where \
                 it is root)"
                    .to_owned(),
            );
        }
        let mut server = Self {
            port: free_port()?,
            running: None,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some((mut keeper, _)) = self.running.take() {
            drop(keeper.stdin.take());
            _ = keeper.wait();
        }
    }

    /// Starts it again where it was, empty.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.kill();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A Ctrl-C is for the tests.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("Redis cannot be started: {error}"))?;
        let mut process = String::new();
        if let Some(out) = keeper.stdout.take() {
            _ = BufReader::new(out).read_line(&mut process);
        }
        self.running = Some((keeper, process.trim().to_owned()));
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if begun.elapsed() > START {
                return Err(format!("Redis did not start within {START:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Lets it answer nothing: connections stay.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        if let Some((_, process)) = &self.running {
            _ = Command::new("kill").args([name, process]).status();
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether the program is there.
#[must_use]
pub fn is_there() -> bool {
    Command::new(PROGRAM).arg("--version").output().is_ok()
}
