//! Identifiers: UUID version 7 (RFC 9562), whose first 48 bits are the milliseconds since the Unix epoch.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A version 7 UUID for a moment and ten random bytes. Moments before 1970 count as 1970.
#[must_use]
pub fn v7(at: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Ten random bytes whose first twelve bits that reach a UUID count: ids of one moment then sort as they were counted, up
/// to 4,095 (RFC 9562, section 6.2, method 1).
#[must_use]
pub fn counted(count: usize, random: [u8; 10]) -> [u8; 10] {
    let [high, low] = u16::try_from(count.min(0x0fff))
        .unwrap_or(0x0fff)
        .to_be_bytes();
    let [_, _, rest @ ..] = random;
    let mut counted = [0; 10];
    for (byte, value) in counted.iter_mut().zip([high, low].into_iter().chain(rest)) {
        *byte = value;
    }
    counted
}

/// The smallest version 7 UUID of a moment: a bound for "everything since then".
#[must_use]
pub fn v7_floor(at: DateTime<Utc>) -> Uuid {
    v7(at, [0; 10])
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID as this kind of id.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new id for a moment and ten random bytes.
            #[must_use]
            pub fn new(at: DateTime<Utc>, random: [u8; 10]) -> Self {
                Self(v7(at, random))
            }

            /// The id as a UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
    };
}

id!(
    /// The id of an event, and of the decision about it.
    EventId
);
id!(
    /// The id of one run of a playbook; also the idempotency key of its deliveries.
    ExecutionId
);
id!(
    /// The id of an escalation.
    EscalationId
);
id!(
    /// The id of an audit record.
    AuditId
);

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn ids_are_version_7_and_sort_by_time() {
        let early = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
        let late = early + chrono::TimeDelta::milliseconds(1);
        assert_eq!(v7(early, [7; 10]).get_version_num(), 7);
        assert!(v7(early, [255; 10]) < v7(late, [0; 10]));
        assert!(v7_floor(late) <= v7(late, [1; 10]));
        let nth = |n| v7(late, counted(n, [255; 10]));
        assert!(nth(0) < nth(1) && nth(1) < nth(256) && nth(256) < nth(4095));
    }
}
