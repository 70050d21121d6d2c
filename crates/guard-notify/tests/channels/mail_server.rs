//! A mail server that speaks as much SMTP as a client needs (RFC 5321, RFC 4954), over a socket of this machine.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server says to commands that begin so, in place of what it would say.
pub(crate) type Replies = &'static [(&'static str, &'static str)];

/// A mail that was taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mail {
    pub(crate) login: Option<String>,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and body, as they came.
    pub(crate) data: String,
}

pub(crate) struct MailServer {
    pub(crate) address: String,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    /// A server that takes everything but what `replies` says otherwise to. `DONE` stands for the end of the data.
    pub(crate) async fn start(replies: Replies) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let taken = mails.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, replies, taken.clone()));
            }
        });
        Self { address, mails }
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

async fn converse(socket: TcpStream, replies: Replies, mails: Arc<Mutex<Vec<Mail>>>) {
    let mut socket = BufReader::new(socket);
    let scripted = |command: &str| {
        let found = replies.iter().find(|(begin, _)| command.starts_with(begin));
        found.map(|(_, reply)| (*reply).to_owned())
    };
    let greeting = scripted("").filter(|_| replies.iter().any(|(begin, _)| begin.is_empty()));
    let mut mail = Mail::default();
    let mut reply = greeting.unwrap_or_else(|| "220 mail.test ESMTP".to_owned());
    loop {
        let text = format!("{reply}\r\n");
        if socket.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        let usual = match line.get(..4).unwrap_or_default() {
            "EHLO" => "250-mail.test\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" => {
                mail.login = line.rsplit(' ').next().map(str::to_owned);
                "235 welcome"
            }
            "MAIL" => {
                mail.from = line.to_owned();
                "250 ok"
            }
            "RCPT" => {
                mail.to.push(line.to_owned());
                "250 ok"
            }
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        reply = scripted(line).unwrap_or_else(|| usual.to_owned());
        if line == "DATA" && reply.starts_with("354") {
            socket.get_mut().write_all(b"354 go on\r\n").await.unwrap();
            mail.data = data(&mut socket).await;
            reply = scripted("DONE").unwrap_or_else(|| "250 queued as 1".to_owned());
            if reply.starts_with("250") {
                mails.lock().unwrap().push(std::mem::take(&mut mail));
            }
        }
    }
}

/// Lines up to the one that is a dot.
async fn data(socket: &mut BufReader<TcpStream>) -> String {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 || line == ".\r\n" {
            return data;
        }
        data.push_str(&line);
    }
}
