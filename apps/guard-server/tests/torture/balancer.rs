//! A balancer of connections in front of the instances, as simple as they come: in turn, among those that are there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How long an instance may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(300);

struct Backends {
    addresses: Vec<Option<SocketAddr>>,
    /// Not asked, although they are there.
    hidden: Vec<bool>,
    next: usize,
}

pub(crate) struct Balancer {
    address: SocketAddr,
    backends: Arc<Mutex<Backends>>,
}

impl Balancer {
    pub(crate) async fn start(instances: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let backends = Arc::new(Mutex::new(Backends {
            addresses: vec![None; instances],
            hidden: vec![false; instances],
            next: 0,
        }));
        tokio::spawn(accept(listener, backends.clone()));
        Self { address, backends }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where an instance is, or that it is away. Connections that are open stay.
    pub(crate) fn set(&self, instance: usize, address: Option<SocketAddr>) {
        self.backends.lock().expect("no panic").addresses[instance] = address;
    }

    /// Leaves an instance out that does not answer.
    pub(crate) fn hide(&self, instance: usize) {
        self.backends.lock().expect("no panic").hidden[instance] = true;
    }

    /// Asks an instance again.
    pub(crate) fn show(&self, instance: usize) {
        self.backends.lock().expect("no panic").hidden[instance] = false;
    }
}

async fn accept(listener: TcpListener, backends: Arc<Mutex<Backends>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(forward(client, backends.clone()));
    }
}

async fn forward(mut client: TcpStream, backends: Arc<Mutex<Backends>>) {
    _ = client.set_nodelay(true);
    let candidates: Vec<SocketAddr> = {
        let mut backends = backends.lock().expect("no panic");
        backends.next += 1;
        let (count, first) = (backends.addresses.len(), backends.next);
        (0..count)
            .map(|step| (first + step) % count)
            .filter(|place| !backends.hidden[*place])
            .filter_map(|place| backends.addresses[place])
            .collect()
    };
    for address in candidates {
        let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(address));
        if let Ok(Ok(mut server)) = connecting.await {
            _ = server.set_nodelay(true);
            _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
