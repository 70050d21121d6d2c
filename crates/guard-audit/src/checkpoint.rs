//! Checkpoints: what the heads of all chains were at a moment, signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hash::{Hash, sha256, sha256_of};
use crate::key::{PublicKey, SigningKey};

/// The version of the format, which begins every checkpoint.
const FORMAT: u32 = 1;

/// A link of a chain, by which all before it are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The chain.
    pub chain: Uuid,
    /// The number of the link.
    pub link: u64,
    /// Its hash.
    #[serde(with = "crate::hash")]
    pub hash: Hash,
    /// When it was written, in microseconds since the Unix epoch.
    pub at: i64,
}

/// What retention has let go of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Links written before this may be gone, in microseconds since the Unix epoch.
    pub floor: i64,
    /// The checkpoints before this one may be gone.
    pub first_checkpoint: u64,
    /// Of each chain that began before the floor the last link of which records may be gone. The next follows from its hash.
    pub roots: Vec<Head>,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The version of this format: 1.
    #[serde(rename = "neural_guard_checkpoint")]
    pub format: u32,
    /// Counted from 1.
    pub number: u64,
    /// In microseconds since the Unix epoch.
    pub time: i64,
    /// The hash of the checkpoint before; [`crate::GENESIS`] before the first.
    #[serde(with = "crate::hash")]
    pub previous: Hash,
    /// The [id](PublicKey::id) of the key that signs it.
    pub key: String,
    /// Whether `heads` are those of all chains that there are.
    pub full: bool,
    /// The heads of the chains that have grown since the checkpoint before.
    pub heads: Vec<Head>,
    /// The [digest](heads_digest) of the heads of all chains that there are.
    #[serde(with = "crate::hash")]
    pub digest: Hash,
    /// What retention is about to let go of.
    pub retention: Option<Kept>,
}

impl Checkpoint {
    /// Follows a checkpoint.
    #[must_use]
    pub fn after(before: Option<(u64, Hash)>, time: i64) -> Self {
        let (number, previous) = before.unwrap_or_default();
        Self {
            format: FORMAT,
            number: number + 1,
            time,
            previous,
            key: String::new(),
            full: false,
            heads: Vec::new(),
            digest: crate::GENESIS,
            retention: None,
        }
    }

    /// Signs it.
    #[must_use]
    pub fn sign(mut self, key: &SigningKey) -> SignedCheckpoint {
        self.key = key.public().id();
        // Nothing in it can fail to serialise.
        let body = serde_json::to_string(&self).unwrap_or_default();
        let signature = STANDARD.encode(key.sign(body.as_bytes()));
        SignedCheckpoint { body, signature }
    }
}

/// A checkpoint as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// The [`Checkpoint`] as JSON: exactly the bytes that were signed.
    pub body: String,
    /// The Ed25519 signature of the body, in base64.
    pub signature: String,
}

impl SignedCheckpoint {
    /// The hash by which the next checkpoint follows from it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(&self.body)
    }

    /// What it says.
    ///
    /// # Errors
    /// A body that is no checkpoint of this format.
    pub fn read(&self) -> Result<Checkpoint, serde_json::Error> {
        let checkpoint: Checkpoint = serde_json::from_str(&self.body)?;
        if checkpoint.format != FORMAT {
            return Err(serde::de::Error::custom("this is of another format"));
        }
        Ok(checkpoint)
    }

    /// Whether one of these keys signed it.
    #[must_use]
    pub fn is_signed_by(&self, keys: &[PublicKey]) -> bool {
        STANDARD.decode(&self.signature).is_ok_and(|signature| {
            keys.iter()
                .any(|key| key.verifies(self.body.as_bytes(), &signature))
        })
    }
}

/// The SHA-256 of chain (16 bytes), link (8 bytes, the highest first) and hash of each head, in the order of the chains.
#[must_use]
pub fn heads_digest<'a>(heads: impl IntoIterator<Item = &'a Head>) -> Hash {
    let parts = |head: &Head| {
        let chain = head.chain.as_bytes();
        [&chain[..], &head.link.to_be_bytes(), &head.hash].concat()
    };
    sha256_of(heads.into_iter().map(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hex;

    #[test]
    fn heads_are_hashed_as_ever() {
        let head = Head {
            chain: Uuid::from_bytes([7; 16]),
            link: 5,
            hash: [9; 32],
            at: 0,
        };
        assert_eq!(
            hex(&heads_digest([&head])),
            "a1d6639261c9223ca2a86fbad3f7852d7a2226b6fdcff6faf7eccc199a566861"
        );
    }
}
