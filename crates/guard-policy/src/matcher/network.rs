//! Networks in rules.

use std::net::IpAddr;

use guard_domain::Literal;
use ipnet::{IpNet, Ipv4Net};

use super::compile::MatcherError;

/// The networks that a value names; `None` if it is of the wrong kind.
pub(super) fn networks(value: &Literal) -> Result<Option<Vec<IpNet>>, MatcherError> {
    let items = match value {
        Literal::List(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut networks = Vec::new();
    for item in items {
        let Literal::String(text) = item else {
            return Ok(None);
        };
        networks.push(network(text)?);
    }
    Ok(Some(networks))
}

fn network(text: &str) -> Result<IpNet, MatcherError> {
    let wrong = |hint: String| MatcherError::Network {
        text: text.to_owned(),
        hint,
    };
    let (address, length) = match text.split_once('/') {
        None => (text, None),
        Some((address, length)) => (address, Some(length)),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong(String::new()))?;
    let whole = IpNet::from(address).prefix_len();
    let canonical = |digits: &&str| digits.parse().is_ok_and(|n: u8| n.to_string() == *digits);
    let length = match length {
        None => Some(whole),
        Some(digits) => Some(digits)
            .filter(canonical)
            .and_then(|digits| digits.parse().ok()),
    };
    let network = length
        .and_then(|length| IpNet::new(address, length).ok())
        .ok_or_else(|| wrong(String::new()))?;
    if network.trunc() != network {
        return Err(wrong(format!(
            ": it has host bits; did you mean `{}`?",
            network.trunc()
        )));
    }
    Ok(unmapped(network))
}

/// A network of IPv4 addresses written as IPv6 is the IPv4 network it is.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let mapped = v6
        .network()
        .to_ipv4_mapped()
        .zip(v6.prefix_len().checked_sub(96));
    mapped
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}
