//! A connection whose reader may be slow, but not without end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Ends writing with an error once the other side has taken less than so many bytes a second for too long. Time counts
/// only while something waits to be taken; what is taken earns time back.
pub(crate) struct Paced<S> {
    stream: S,
    /// The most that can be saved up.
    patience: Duration,
    slowest: f64,
    /// How much longer the reader may keep us waiting.
    credit: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Paced<S> {
    /// A connection whose reader takes at least `slowest` bytes a second, but for `patience`.
    pub(crate) fn new(stream: S, patience: Duration, slowest: u64) -> Self {
        let slowest = slowest.max(1) as f64;
        Self { stream, patience, slowest, credit: patience, waiting: None }
    }

    /// What came of an attempt to write; `taken` says how many bytes of it went.
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
        taken: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Ok(value)) => {
                if let Some((since, _)) = self.waiting.take() {
                    self.credit = self.credit.saturating_sub(since.elapsed());
                }
                let earned = Duration::from_secs_f64(taken(&value) as f64 / self.slowest);
                self.credit = (self.credit + earned).min(self.patience);
                Poll::Ready(Ok(value))
            }
            Poll::Pending => {
                let credit = self.credit;
                let (_, alarm) =
                    self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(credit))));
                alarm.as_mut().poll(cx).map(|()| {
                    Err(io::Error::new(io::ErrorKind::TimedOut, "the reader is too slow"))
                })
            }
            failed => failed,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, result, |count| *count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, result, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    /// Writes 100,000 bytes to a reader who takes `piece` bytes every second; how long that went on, and how it ended.
    async fn write_to_one_who_takes(piece: usize) -> (Duration, io::Result<()>) {
        let (near, mut far) = duplex(4_000);
        let mut near = Paced::new(near, Duration::from_secs(30), 1_000);
        let began = Instant::now();
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; piece];
            while far.read_exact(&mut buffer).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let result = near.write_all(&[7; 100_000]).await;
        reader.abort();
        (began.elapsed(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for_and_a_slower_one_is_not() {
        let (took, result) = write_to_one_who_takes(1_250).await;
        assert!(result.is_ok() && took > Duration::from_secs(75), "{took:?}");
        for piece in [1, 10, 100] {
            let (took, result) = write_to_one_who_takes(piece).await;
            let kind = result.expect_err("an end").kind();
            assert_eq!(kind, io::ErrorKind::TimedOut, "{piece}");
            assert!(took < Duration::from_secs(45), "{piece}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_only_while_something_waits_to_be_taken() {
        let (near, mut far) = duplex(100);
        let mut near = Paced::new(near, Duration::from_secs(30), 1_000);
        for _ in 0..10 {
            sleep(Duration::from_secs(100)).await;
            near.write_all(&[7; 100]).await.expect("room");
            far.read_exact(&mut [0; 100]).await.expect("bytes");
        }
        let (result, ()) = tokio::join!(near.write_all(&[7; 300]), async {
            for _ in 0..3 {
                sleep(Duration::from_secs(9)).await;
                far.read_exact(&mut [0; 100]).await.expect("bytes");
            }
        });
        result.expect("within the patience");
        // And that was nearly all of it.
        let (result, _) = tokio::join!(near.write_all(&[7; 300]), async {
            sleep(Duration::from_secs(60)).await;
            far.read_exact(&mut [0; 100]).await
        });
        assert!(result.is_err());
    }
}
