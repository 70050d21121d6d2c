//! HTTP/1.1, as much of it as load and stand-in need: nothing is sent twice, and nothing is hidden.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request or an answer as it came.
pub(crate) struct Message {
    /// The first line and the headers; names in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads the next message of a connection; `None` if it ends or is no HTTP.
    pub(crate) async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Self> {
        loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = lower_names(&String::from_utf8_lossy(&buffer[..end]));
                let length = header(&head, "content-length");
                let length: usize = length.map_or(Some(0), |length| length.parse().ok())?;
                let whole = end + 4 + length;
                if buffer.len() >= whole {
                    let body = buffer[end + 4..whole].to_vec();
                    buffer.drain(..whole);
                    return Some(Self { head, body });
                }
            }
            match stream.read_buf(buffer).await {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn lower_names(head: &str) -> String {
    let lines = head.split("\r\n").map(|line| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n")
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What is answered to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: Value,
}

/// A keep-alive connection that is made anew after it broke.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            buffer: Vec::new(),
        }
    }

    /// Hangs up, so that the next request may reach another instance.
    pub(crate) fn close(&mut self) {
        self.stream = None;
        self.buffer.clear();
    }

    /// Posts JSON once. `None`: there was no answer, and nobody knows what became of it.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: &str,
        patience: Duration,
    ) -> Option<Answer> {
        let key = key.map_or(String::new(), |key| format!("idempotency-key: {key}\r\n"));
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: guard\r\nauthorization: Bearer {token}\r\n{key}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answered = tokio::time::timeout(patience, self.send(&request)).await;
        let answer = answered.ok().flatten();
        if answer.is_none() {
            self.close();
        }
        answer
    }

    async fn send(&mut self, request: &str) -> Option<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.address).await.ok()?;
                stream.set_nodelay(true).ok()?;
                none.insert(stream)
            }
        };
        stream.write_all(request.as_bytes()).await.ok()?;
        let message = Message::read(stream, &mut self.buffer).await?;
        let status = message.head.split(' ').nth(1)?.parse().ok()?;
        if message.header("connection") == Some("close") {
            self.close();
        }
        Some(Answer {
            status,
            replayed: message.header("idempotent-replayed").is_some(),
            body: message.json(),
        })
    }
}
