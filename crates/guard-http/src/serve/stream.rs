//! A stream that does not wait for ever.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use guard_app::metric;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;

/// The pace at which a client must read what is too much to be sent at once, in bytes a second.
const MIN_PACE: u64 = 16 * 1024;

/// A stream that tells of what comes in, and breaks when nobody reads what goes out.
pub(super) struct WatchedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    write_timeout: Duration,
    /// When the client must have read what waits; there is none while nothing waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> WatchedStream<S> {
    /// Lets a client be behind for `write_timeout`, and then for as long as the least pace takes.
    pub(super) fn new(stream: S, activity: Arc<Activity>, write_timeout: Duration) -> Self {
        Self {
            stream,
            activity,
            write_timeout,
            deadline: None,
        }
    }

    /// What becomes of an attempt to write so many bytes.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<Result<usize>>,
        offered: usize,
    ) -> Poll<Result<usize>> {
        if let Poll::Ready(Ok(taken)) = outcome {
            self.activity.sent(taken);
        }
        if matches!(outcome, Poll::Ready(Ok(taken)) if taken == offered) {
            self.deadline = None;
            return outcome;
        }
        let write_timeout = self.write_timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        match outcome {
            Poll::Ready(Ok(taken)) => {
                let taken = u64::try_from(taken).unwrap_or(u64::MAX);
                let earned = Duration::from_millis(taken.saturating_mul(1000) / MIN_PACE);
                let later = deadline.deadline() + earned;
                deadline.as_mut().reset(later);
                outcome
            }
            Poll::Ready(Err(_)) => outcome,
            Poll::Pending => {
                ready!(deadline.as_mut().poll(context));
                counter!(metric::CONNECTIONS_CLOSED, "reason" => "unread").increment(1);
                let why = "the client does not read what it is sent";
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, why)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, outcome, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        let offered = parts.iter().map(|part| part.len()).sum();
        self.written(context, outcome, offered)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_given_up() {
        let (near, _far) = duplex(1024);
        let mut near = WatchedStream::new(near, Arc::new(Activity::new()), TIMEOUT);
        let begun = Instant::now();
        near.write_all(&[0; 1024]).await.unwrap();
        let error = near.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_too_slowly_is_given_up_and_who_keeps_the_pace_is_not() {
        for (pause, fine) in [
            (Duration::from_millis(500), true),
            (Duration::from_secs(2), false),
        ] {
            let (near, mut far) = duplex(16 * 1024);
            let mut near = WatchedStream::new(near, Arc::new(Activity::new()), TIMEOUT);
            let reader = tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                while far.read_exact(&mut buffer).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            });
            let sent = near.write_all(&vec![0; 4 * 1024 * 1024]).await;
            assert_eq!(sent.is_ok(), fine, "{pause:?}");
            drop(near);
            reader.await.unwrap();
        }
    }
}
