//! What signs the audit trail, and where signatures are kept besides the database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use guard_app::Checkpointer;
use guard_app::ports::{Clock, Witness};
use guard_audit::{SignedCheckpoint, SigningKey};
use guard_store::Store;

use crate::config::Settings;

/// The key that the settings name. One that nobody names is made the first time.
///
/// # Errors
/// A key that is named and not there, a file that is no key, a folder that cannot be written.
pub fn signing_key(settings: &Settings) -> anyhow::Result<SigningKey> {
    let path = settings.signing_key_file();
    let unreadable = || {
        format!(
            "the key `{}` that signs the audit trail cannot be used",
            path.display()
        )
    };
    match fs::read_to_string(&path) {
        Ok(text) => SigningKey::from_pem(&text).with_context(unreadable),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && settings.audit_signing_key.is_none() =>
        {
            make_key(settings).with_context(unreadable)
        }
        Err(error) => Err(error).with_context(unreadable),
    }
}

fn make_key(settings: &Settings) -> anyhow::Result<SigningKey> {
    let key = SigningKey::generate()?;
    fs::create_dir_all(&settings.data_dir)?;
    let path = settings.signing_key_file();
    // Nobody else may read it, from the first moment on; and it is there whole or not at all, whoever begins beside this one.
    let made = path.with_extension(format!("{}.new", settings.instance_id));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&made)?;
    file.write_all(key.to_pem()?.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&made, &path);
    fs::remove_file(&made)?;
    match linked {
        Ok(()) => {
            tracing::info!(path = %path.display(), "a key that signs the audit trail was made");
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(SigningKey::from_pem(&fs::read_to_string(&path)?)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// A file to which each checkpoint is appended as a line.
struct CheckpointFile(PathBuf);

impl Witness for CheckpointFile {
    fn keep(&self, signed: &SignedCheckpoint) -> io::Result<()> {
        // Opened each time, so that it can be moved away.
        let mut file = File::options().create(true).append(true).open(&self.0)?;
        let mut line = serde_json::to_string(signed)?;
        line.push('\n');
        file.write_all(line.as_bytes())
    }
}

pub(super) fn checkpointer(
    settings: &Settings,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<Checkpointer>> {
    let key = signing_key(settings)?;
    tracing::info!(
        public_key = key.public().to_base64(),
        id = key.public().id(),
        "the audit trail is signed"
    );
    Ok(Arc::new(Checkpointer {
        leases: store.clone(),
        checkpoints: store.clone(),
        witness: Arc::new(CheckpointFile(settings.checkpoint_file())),
        clock: clock.clone(),
        key,
        instance: settings.instance_id.clone(),
        every: settings.audit_checkpoint_interval,
        last: Default::default(),
    }))
}
