//! The commands about the audit trail.

mod export;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use guard_app::ports::Random;
use guard_store::Store;

use crate::config::{DatabaseUrl, Settings};
use crate::system::SystemRandom;
use crate::wiring::{clock, open_store, signing_key};
pub(crate) use export::Export;
pub(crate) use verify::Verify;

/// Shows the public key, in PEM and as `verify` takes it, too.
pub(crate) fn show_key(settings: &Settings) -> anyhow::Result<ExitCode> {
    let key = signing_key(settings)?;
    print!("{}", key.public().to_pem());
    println!("base64 {}", key.public().to_base64());
    println!("id     {}", key.public().id());
    Ok(ExitCode::SUCCESS)
}

/// Opens a database that is there.
async fn open(settings: &Settings) -> anyhow::Result<Arc<Store>> {
    if let DatabaseUrl::Sqlite(path) = &settings.database
        && !path.exists()
    {
        bail!("the database `{}` is not there", path.display());
    }
    let (clock, _) = clock(settings).await?;
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    Ok(Arc::new(open_store(settings, &clock, &random).await?))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
