//! Every limit and default of the addon: unit, reason, source.

use std::time::Duration;

// --- UDP socket ---------------------------------------------------------------------------------------

/// Bytes asked for SO_RCVBUF and SO_SNDBUF. 1 Gbit/s for 50 ms is 6.25 MB; wireguard-go asks for 7 MiB.
pub const UDP_SOCKET_BUFFER: libc::c_int = 7 << 20;

// --- QUIC transport, defaults of `TransportOptions` -----------------------------------------------------

/// Idle time after which a connection is gone (RFC 9000 section 10.1).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A PING after this much silence: below the 30 s after which many NATs forget a UDP mapping (RFC 4787 asks for 2 min).
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Time for a whole handshake. A peer that has not finished by then is not going to.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams that the peer may hold open: 64 lanes, control stream, a few requests; RFC 9114 section 6.1.1 asks for 100.
/// With those of the other kind 111 and not one more: quinn's table has a place for each that may come, takes the
/// stream out and puts it back with each read, and doubles in time when it is more than half full: here at 112.
pub const MAX_BIDI_STREAMS: u32 = 100;
/// HTTP/3 needs three (control, QPACK encoder and decoder); a few for extensions.
pub const MAX_UNI_STREAMS: u32 = 11;
/// Bytes of one stream in flight to us: 1 Gbit/s × 100 ms = 12.5 MB. A lane may carry all of a session.
pub const STREAM_RECEIVE_WINDOW: u32 = 12_500_000;
/// Bytes of all streams of a connection in flight to us.
pub const CONNECTION_RECEIVE_WINDOW: u32 = 16 << 20;
/// Most bytes of a connection that are sent and not yet acknowledged, plus what waits to be sent.
pub const SEND_WINDOW: u64 = 16 << 20;
/// The queue between `write` and QUIC, in bytes a stream: two slabs of 64 KB in work, two to come.
pub const STREAM_SEND_QUEUE: u32 = 256 << 10;
/// `onWritable` comes when the queue fell to this fraction of the high water mark.
pub const SEND_LOW_WATER_DIVISOR: usize = 2;
/// Bytes that QUIC takes beyond twice the congestion window: what is sent in the time that a refill needs.
pub const SEND_AHEAD: u64 = 32 << 10;
/// The send queue of a stream is never held below this, in bytes: one slab.
pub const MIN_STREAM_SEND_QUEUE: usize = 64 << 10;
/// The send window and the send queues follow the congestion window this often, a fraction of any round trip, and not
/// before this much was written: a fraction of the smallest window.
pub const SEND_TUNING_INTERVAL: Duration = Duration::from_millis(1);
pub const SEND_TUNING_BYTES: usize = 8 << 10;
/// Received bytes of a stream that wait for `read`. QUIC's flow control holds back the rest.
pub const STREAM_RECEIVE_QUEUE: usize = 256 << 10;
/// Reading from QUIC goes on when the queue fell to this fraction.
pub const RECEIVE_LOW_WATER_DIVISOR: usize = 2;
/// UDP payload that any path must carry (RFC 9000 section 14).
pub const INITIAL_MTU: u16 = 1200;
/// Handshakes in progress beyond which new ones are refused: about 10 KB of state each.
pub const MAX_HANDSHAKES: u32 = 1024;
/// Handshakes in progress above which an Initial is answered with Retry.
pub const RETRY_ABOVE: u32 = 128;
/// Handshakes in progress from the validated addresses of one network, a sixteenth of all: an office behind
/// one address that comes back at once after a power cut has them done in a second.
pub const MAX_HANDSHAKES_PER_PREFIX: u32 = 64;
/// One network, bits: what one customer usually has for free (IPv6: RFC 6177 section 2).
pub const PREFIX_BITS_V4: u32 = 24;
pub const PREFIX_BITS_V6: u32 = 56;
/// Initials that wait to be looked at, and the bytes that wait with each and with all of them: the QUIC
/// thread takes them at once, so more than a burst is a flood.
pub const MAX_INCOMING: usize = 4096;
pub const INCOMING_BYTES: u64 = 16 << 10;
pub const ALL_INCOMING_BYTES: u64 = 16 << 20;

// --- Datagrams (RFC 9221) -------------------------------------------------------------------------------

/// Bytes of received records that wait for `readDatagrams`; beyond, new ones are dropped.
pub const DATAGRAM_RECEIVE_QUEUE: usize = 1 << 20;
/// Records of one read at most: however small they are, a fraction of a millisecond of work for who takes them.
pub const READ_DATAGRAMS: usize = 128;
/// Bytes of datagrams that wait to be sent; beyond, `sendDatagram` returns false.
pub const DATAGRAM_SEND_QUEUE: usize = 1 << 20;

// --- Who drives QUIC ------------------------------------------------------------------------------------

/// Tasks that are polled between two looks at the sockets.
pub const POLLS_PER_LOOK: usize = 64;
/// What is frequent, and what is quiet, is judged over this time: a few packets of a call or of a game fit into it.
pub const SHIFT_WINDOW: Duration = Duration::from_millis(16);
/// Bytes of one turn, or of one window, above which QUIC gets a thread of its own: a dozen packets.
pub const BUSY_BYTES: usize = 16 << 10;
/// Turns of one window above which the event loop hands over, and looks up to which it is handed to: the gap keeps
/// the two from changing all the time.
pub const BUSY_TURNS: u32 = 64;
pub const QUIET_LOOKS: u32 = 16;

/// Datagrams of one size that one system call sends (UDP_MAX_SEGMENTS in linux/udp.h before 6.9).
pub const UDP_SEGMENTS: usize = 64;
/// Bytes that one system call sends over UDP: an IP packet's 65,535 less the headers of IPv6 and UDP.
pub const MAX_UDP_PAYLOAD: usize = 65_535 - 40 - 8;
/// Datagrams that QUIC hands over at a time (MAX_TRANSMIT_SEGMENTS of quinn).
pub const TRANSMIT_SEGMENTS: usize = 10;
/// Datagrams that one system call takes while the event loop drives: one, and room that shows that it was the last.
pub const QUIET_DATAGRAMS: usize = 2;

// --- Work and waiting -----------------------------------------------------------------------------------

/// Chunks that one call takes from a QUIC stream: about 45 KB of MTU-size packets under one lock.
pub const CHUNKS_PER_READ: usize = 32;
/// The most bytes of one `write` or `writev`; `MAX_STREAM_WRITE` in shared/native/quic.ts.
pub const MAX_STREAM_WRITE: usize = 1 << 20;
/// Refusals that wait for the event loop. A flood of bad handshakes must not grow memory.
pub const MAX_WAITING_REFUSALS: usize = 256;
/// Time that `close` gives the peers to be told.
pub const CLOSE_FLUSH: Duration = Duration::from_millis(300);
/// The same when the process is on its way out.
pub const EXIT_FLUSH: Duration = Duration::from_millis(50);

// --- TLS --------------------------------------------------------------------------------------------------

/// Retry integrity key and nonce of QUIC v1 (RFC 9001 section 5.8).
pub const RETRY_KEY: [u8; 16] =
    [0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e];
pub const RETRY_NONCE: [u8; 12] = [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb];
/// Length of the AEAD tag in bytes (RFC 9001 section 5.8).
pub const RETRY_TAG_LENGTH: usize = 16;
/// QUIC version 1 (RFC 9000 section 15).
pub const QUIC_V1: u32 = 1;

// --- Memory -----------------------------------------------------------------------------------------------

/// Bytes of one block of a receive queue: a slab of 64 KB is four copies.
pub const RECEIVE_BLOCK: usize = 16 << 10;
/// Free blocks that an endpoint keeps: 4 MiB.
pub const POOLED_BLOCKS: usize = 256;

// --- TUN ----------------------------------------------------------------------------------------------------

/// `struct virtio_net_hdr` without `num_buffers` (linux/virtio_net.h), in bytes.
pub const VNET_HEADER_LENGTH: usize = 10;
/// The largest frame: its length is 16 bits on the wire and in the slab.
pub const MAX_FRAME: usize = u16::MAX as usize;
/// The largest super-packet that the kernel may hand over: with its header it must fit `MAX_FRAME`. A
/// multiple of common segment sizes is not needed: the kernel rounds down.
pub const MAX_GSO_SIZE: u32 = (MAX_FRAME - VNET_HEADER_LENGTH) as u32;
/// What one queue of a device gives before the next one's turn, in bytes: a dozen packets, or one super-packet. At
/// gigabits a second a turn takes some tens of microseconds.
pub const TURN_BYTES: usize = 16 << 10;
/// Frames of one read at most: however small they are, half a millisecond of work for who takes them.
pub const READ_FRAMES: usize = 128;
/// How long the self-test waits for a packet that it wrote: microseconds are the rule, and another core may be busy.
/// What does not come is taken for lost, and costs the offload.
pub const SELF_TEST_TIMEOUT: Duration = Duration::from_millis(250);
