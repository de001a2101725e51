//! The UDP socket as QUIC uses it.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use crate::constants::{QUIET_DATAGRAMS, UDP_SEGMENTS};
use crate::executor::Executor;
use crate::executor::outbox::Outbox;
use crate::executor::reactor::Interest;
use crate::lock::lock;
use crate::quic::lib_alias::{AsyncUdpSocket, UdpPoller, udp};

/// What sends: the executor calls it as well, after the tasks.
pub struct Outgoing {
    socket: UdpSocket,
    state: udp::UdpSocketState,
    interest: Arc<Interest>,
    outbox: Mutex<Outbox>,
}

impl Outgoing {
    /// Sends what waits, unless the socket's buffer is full: then the executor comes again when there is room.
    pub fn flush(&self, executor: &Executor) {
        if self.interest.is_writable() {
            // What failed is lost, as in the network; a full buffer keeps it.
            let _ = self.empty(&mut lock(&self.outbox), executor);
        }
    }

    fn empty(&self, outbox: &mut Outbox, executor: &Executor) -> io::Result<()> {
        if let Some(transmit) = outbox.transmit() {
            self.send(&transmit, executor)?;
            outbox.clear();
        }
        Ok(())
    }

    fn send(&self, transmit: &udp::Transmit<'_>, executor: &Executor) -> io::Result<()> {
        let sent = self.state.send((&self.socket).into(), transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            executor.reactor.wait_writable(&self.interest)?;
        }
        sent
    }
}

pub struct Socket {
    out: Arc<Outgoing>,
    executor: Arc<Executor>,
}

impl Socket {
    pub fn new(socket: UdpSocket, executor: &Arc<Executor>) -> io::Result<Socket> {
        let state = udp::UdpSocketState::new((&socket).into())?;
        let interest = executor.reactor.add(socket.as_raw_fd())?;
        let out = Arc::new(Outgoing { socket, state, interest, outbox: Mutex::default() });
        executor.add_outgoing(&out);
        Ok(Socket { out, executor: Arc::clone(executor) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.executor.remove_outgoing(&self.out);
        self.executor.reactor.remove(&self.out.interest);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.out.socket.fmt(formatter)
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable(self))
    }

    fn try_send(&self, transmit: &udp::Transmit<'_>) -> io::Result<()> {
        let Socket { out, executor } = self;
        executor.worked(transmit.contents.len());
        let mut outbox = lock(&out.outbox);
        if outbox.is_empty() && (executor.is_quiet() || self.max_transmit_segments() < UDP_SEGMENTS) {
            return out.send(transmit, executor);
        }
        if !outbox.take(transmit) {
            out.empty(&mut outbox, executor)?;
            if !outbox.take(transmit) {
                return out.send(transmit, executor);
            }
        }
        if outbox.is_full() && out.interest.is_writable() {
            // A full buffer is told with the next datagrams.
            let _ = out.empty(&mut outbox, executor);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [udp::RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // A quiet tunnel has one datagram at a time, and each buffer costs the caches its headers.
        let most = if self.executor.is_quiet() { QUIET_DATAGRAMS } else { buffers.len() };
        let buffers = &mut buffers[..most];
        while self.out.interest.is_readable() {
            match self.out.state.recv((&self.out.socket).into(), buffers, meta) {
                Ok(count) => {
                    // Fewer than asked for: that was all, or epoll tells.
                    if count < buffers.len() {
                        self.out.interest.drained();
                    }
                    self.executor.worked(meta[..count].iter().map(|message| message.len).sum());
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.out.interest.drained(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.out.interest.wait_readable(context);
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.out.socket.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.out.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        if self.executor.is_sparing() { 1 } else { self.out.state.max_gso_segments() }
    }

    fn max_receive_segments(&self) -> usize {
        self.out.state.gro_segments()
    }
}

/// One task's way to wait for room in the socket's buffer.
#[derive(Debug)]
struct Writable(Arc<Socket>);

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.out.interest.poll_writable(context).map(Ok)
    }
}
