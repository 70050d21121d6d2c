//! How many connections there may be.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bits of an IPv6 address that name a network: a client has the rest to choose from.
const NETWORK: u128 = !0 << 64;

/// The limits, of all and of each address.
pub(super) struct ConnectionLimits {
    all: Arc<Semaphore>,
    per_address: Arc<PerAddress>,
}

struct PerAddress {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// Room for a connection of anybody.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    per_address: Arc<PerAddress>,
}

/// Room that a connection has; it is given back when this is dropped.
pub(super) struct Taken {
    _permit: Option<OwnedSemaphorePermit>,
    address: IpAddr,
    per_address: Arc<PerAddress>,
}

impl ConnectionLimits {
    /// So many at once, and of each address so many; 0 of these is no limit.
    pub(super) fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            per_address: Arc::new(PerAddress {
                max: max_per_address,
                open: Mutex::default(),
            }),
        }
    }

    /// Waits for room.
    pub(super) async fn place(&self) -> Place {
        Place {
            // Nobody closes it.
            permit: self.all.clone().acquire_owned().await.ok(),
            per_address: self.per_address.clone(),
        }
    }
}

impl Place {
    /// Takes it for an address, unless that has too many.
    pub(super) fn of(self, address: IpAddr) -> Option<Taken> {
        let address = network(address);
        if self.per_address.max > 0 {
            let mut open = self.per_address.open();
            let count = open.entry(address).or_default();
            if *count >= self.per_address.max {
                return None;
            }
            *count += 1;
        }
        Some(Taken {
            _permit: self.permit,
            address,
            per_address: self.per_address,
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut open = self.per_address.open();
        if let Entry::Occupied(mut count) = open.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl PerAddress {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose connections are counted together.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_so_many_connections_and_gets_room_back() {
        let limits = ConnectionLimits::new(9, 2);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = limits.place().await.of(one).unwrap();
        let _second = limits.place().await.of(one).unwrap();
        assert!(limits.place().await.of(one).is_none());
        let third = limits.place().await.of(other).unwrap();
        drop(first);
        drop(third);
        assert_eq!(
            limits.per_address.open().len(),
            1,
            "who has none is forgotten"
        );
        assert!(limits.place().await.of(one).is_some());
    }

    #[tokio::test]
    async fn without_a_limit_nothing_is_counted() {
        let limits = ConnectionLimits::new(3, 0);
        let address = "192.0.2.1".parse().unwrap();
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(limits.place().await.of(address).unwrap());
        }
        assert!(limits.per_address.open().is_empty());
        assert_eq!(limits.all.available_permits(), 0);
        taken.clear();
        assert_eq!(limits.all.available_permits(), 3);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
