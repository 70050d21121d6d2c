//! Bytes on a connection, as no client library would send them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::server::Server;

/// How long an answer may take before there is none.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn connect(server: &Server) -> TcpStream {
    let address = server.address.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What came back, and whether the server closed the connection after it.
#[derive(Debug)]
pub(crate) struct Answers {
    text: String,
    pub(crate) closed: bool,
}

impl Answers {
    /// The status of each answer.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let parts = self.text.split("HTTP/1.1 ").skip(1);
        parts.map(|part| part[..3].parse().unwrap()).collect()
    }
}

/// Sends bytes; gives all that is answered until the server closes the connection or has nothing more to say.
pub(crate) async fn exchange(server: &Server, bytes: &[u8]) -> Answers {
    let mut stream = connect(server).await;
    // A server that has refused already may not read the rest.
    let _ = stream.write_all(bytes).await;
    let mut found = Vec::new();
    let read = async { while matches!(stream.read_buf(&mut found).await, Ok(1..)) {} };
    let closed = timeout(PATIENCE, read).await.is_ok();
    Answers {
        text: String::from_utf8_lossy(&found).into_owned(),
        closed,
    }
}
