//! Stopping, part by part.

use tokio_util::sync::CancellationToken;

/// When which part of a server stops.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    /// The load balancer is given time to go elsewhere: connections are not kept.
    pub leaving: CancellationToken,
    /// Requests: no new connections, nobody is kept waiting for an acknowledgement.
    pub requests: CancellationToken,
    /// The committer, once no request can come.
    pub committer: CancellationToken,
    /// Everything else.
    pub background: CancellationToken,
}
