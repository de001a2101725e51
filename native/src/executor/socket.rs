//! The UDP socket as QUIC uses it.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::constants::QUIET_DATAGRAMS;
use crate::executor::Executor;
use crate::executor::reactor::Interest;
use crate::quic::lib_alias::{AsyncUdpSocket, UdpPoller, udp};

pub struct Socket {
    socket: UdpSocket,
    state: udp::UdpSocketState,
    interest: Arc<Interest>,
    executor: Arc<Executor>,
}

impl Socket {
    pub fn new(socket: UdpSocket, executor: &Arc<Executor>) -> io::Result<Socket> {
        let state = udp::UdpSocketState::new((&socket).into())?;
        let interest = executor.reactor.add(socket.as_raw_fd())?;
        Ok(Socket { socket, state, interest, executor: Arc::clone(executor) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.executor.reactor.remove(&self.interest);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(formatter)
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable(self))
    }

    fn try_send(&self, transmit: &udp::Transmit<'_>) -> io::Result<()> {
        self.executor.worked(transmit.contents.len());
        let sent = self.state.send((&self.socket).into(), transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.executor.reactor.wait_writable(&self.interest)?;
        }
        sent
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
        while self.interest.is_readable() {
            match self.state.recv((&self.socket).into(), buffers, meta) {
                Ok(count) => {
                    // Fewer than asked for: that was all, or epoll tells.
                    if count < buffers.len() {
                        self.interest.drained();
                    }
                    self.executor.worked(meta[..count].iter().map(|message| message.len).sum());
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.interest.drained(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.interest.wait_readable(context);
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        if self.executor.is_sparing() { 1 } else { self.state.max_gso_segments() }
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

/// One task's way to wait for room in the socket's buffer.
#[derive(Debug)]
struct Writable(Arc<Socket>);

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.interest.poll_writable(context).map(Ok)
    }
}
