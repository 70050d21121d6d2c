#![doc = include_str!("../README.md")]

mod checkpoint;
mod export;
mod finding;
mod hash;
mod key;
mod ocsf;
mod record;
mod text;
mod verify;

pub use checkpoint::{Checkpoint, Head, Kept, SignedCheckpoint, heads_digest};
pub use export::{ExportHead, Line, Link, LinkRecord};
pub use finding::{Finding, FindingKind};
pub use hash::{GENESIS, Hash, hex, parse_hash, sha256, sha256_of};
pub use key::{KeyError, PublicKey, SigningKey};
pub use record::{CanonicalRecord, link_hash, record_hash};
pub use text::{ExportText, TextError};
pub use verify::{Verified, Verifier};
