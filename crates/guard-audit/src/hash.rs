//! SHA-256 hashes and their hexadecimal text.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, Serializer, de};
use std::borrow::Cow;

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash before the first link of a chain, and before the first checkpoint.
pub const GENESIS: Hash = [0; 32];

/// The SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> Hash {
    sha256_of([bytes])
}

/// The SHA-256 of parts, one after the other.
#[must_use]
pub fn sha256_of(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part.as_ref());
    }
    let mut hash = GENESIS;
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Bytes in hexadecimal, in small letters.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// The bytes of a hash in hexadecimal.
#[must_use]
pub fn parse_hash(text: &str) -> Option<Hash> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut hash = GENESIS;
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(hash)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// For `#[serde(with)]`.
pub(crate) fn serialize<S: Serializer>(hash: &Hash, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hex(hash))
}

/// For `#[serde(with)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Text(text) = Text::deserialize(from)?;
    parse_hash(&text).ok_or_else(|| de::Error::custom("a hash is 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of FIPS 180-4.
    #[test]
    fn parts_are_hashed_as_the_whole() {
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256("abc")), published);
        assert_eq!(sha256_of(["a", "", "bc"]), sha256("abc"));
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash: Hash = std::array::from_fn(|place| u8::try_from(place * 7).unwrap());
        assert_eq!(parse_hash(&hex(&hash)), Some(hash));
        for wrong in ["", "00", &hex(&hash).to_uppercase(), &"zz".repeat(32)] {
            assert_eq!(parse_hash(wrong), None, "{wrong}");
        }
    }
}
