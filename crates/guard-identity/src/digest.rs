//! What is kept of a key instead of the key.

use aws_lc_rs::digest;

/// The SHA-256 of a key.
pub(crate) fn sha256(key: &str) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
    sha256
}
