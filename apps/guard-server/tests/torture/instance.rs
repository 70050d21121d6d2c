//! Instances: processes that start until they are up, and end in every way there is.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long an instance may take to be up, a database that is away and comes back included.
const START: Duration = Duration::from_secs(60);
/// How long to wait before it is started again after it gave up.
const AGAIN: Duration = Duration::from_millis(100);

/// An instance: the process changes, the name stays.
pub(crate) struct Instance {
    pub(crate) name: String,
    environment: Vec<(&'static str, String)>,
    folder: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Instance {
    pub(crate) fn new(
        name: String,
        mut environment: Vec<(&'static str, String)>,
        folder: PathBuf,
    ) -> Self {
        environment.push(("NEURAL_GUARD__INSTANCE__ID", name.clone()));
        Self {
            name,
            environment,
            folder,
            child: Mutex::new(None),
        }
    }

    /// Starts it, again and again until it is up: it may be killed meanwhile, or its database be away.
    pub(crate) fn start(&self) -> Result<SocketAddr, String> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            self.wait();
            if let Some(address) = self.try_start()? {
                return Ok(address);
            }
            std::thread::sleep(AGAIN);
        }
        Err(format!(
            "{} did not start within {START:?}; its last words are in {}",
            self.name,
            self.log().display()
        ))
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn try_start(&self) -> Result<Option<SocketAddr>, String> {
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|error| format!("`{}`: {error}", self.log().display()))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_guard-server"))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("the server cannot be started: {error}"))?;
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        *self.child.lock().expect("no panic") = Some(child);
        let mut lines = lines.map_while(Result::ok);
        Ok(lines.find_map(|line| line.strip_prefix("listening on http://")?.parse().ok()))
    }

    /// Sends a signal; whether there was a process to get it.
    pub(crate) fn signal(&self, name: &str) -> bool {
        let child = self.child.lock().expect("no panic");
        let Some(child) = &*child else { return false };
        let sent = Command::new("kill")
            .args([format!("-{name}"), child.id().to_string()])
            .stderr(Stdio::null())
            .status();
        sent.is_ok_and(|status| status.success())
    }

    /// Waits for its end. Until then it keeps its place among the processes, so that no signal meets another.
    pub(crate) fn wait(&self) {
        while !self.has_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn has_ended(&self) -> bool {
        let mut child = self.child.lock().expect("no panic");
        let running = child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !running {
            *child = None;
        }
        !running
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Ok(Some(child)) = self.child.get_mut() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}
