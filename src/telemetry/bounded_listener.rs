//! A listener that cannot be worn out: a bound on open connections, and on how long one of
//! them may say nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Accepts at most `connections` at a time; further ones wait in the backlog of the kernel.
#[derive(Debug)]
pub struct BoundedListener<L> {
    listener: L,
    free: Arc<Semaphore>,
    idle: Duration,
}

impl<L: Listener> BoundedListener<L> {
    /// Wraps a listener; a connection on which nothing moves for `idle` is closed.
    pub fn new(listener: L, connections: usize, idle: Duration) -> Self {
        Self { listener, free: Arc::new(Semaphore::new(connections)), idle }
    }
}

impl<L: Listener> Listener for BoundedListener<L> {
    type Io = BoundedStream<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (BoundedStream<L::Io>, L::Addr) {
        let permit =
            Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let deadline = Box::pin(tokio::time::sleep(self.idle));
        (BoundedStream { stream, idle: self.idle, deadline, _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that ends itself when nothing moved for the idle time.
#[derive(Debug)]
pub struct BoundedStream<S> {
    stream: S,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl<S> BoundedStream<S> {
    /// Returns the connection itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Fails once the idle time is over; called where the stream itself has nothing to offer.
    fn poll_idle<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn moved(&mut self) {
        self.deadline.as_mut().reset(Instant::now() + self.idle);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                self.moved();
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_idle(context),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(result) => {
                self.moved();
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_idle(context),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
