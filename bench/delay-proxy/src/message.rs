//! Messages of nfnetlink_queue, to and from bytes. Pure. Layouts: linux/netlink.h, linux/netfilter/nfnetlink.h
//! and linux/netfilter/nfnetlink_queue.h; header fields are in host order, payloads in network order.

/// NFNL_SUBSYS_QUEUE, the subsystem in the upper byte of a message type.
const SUBSYSTEM: u16 = 3 << 8;
const NFQNL_MSG_PACKET: u16 = 0;
const NFQNL_MSG_CONFIG: u16 = 2;
const NFQNL_MSG_VERDICT_BATCH: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;

const NFQA_PACKET_HDR: u16 = 1;
const NFQA_VERDICT_HDR: u16 = 2;
const NFQA_CFG_CMD: u16 = 1;
const NFQA_CFG_PARAMS: u16 = 2;
const NFQA_CFG_QUEUE_MAXLEN: u16 = 3;
const NFQNL_CFG_CMD_BIND: u8 = 1;
/// Announce a packet without its bytes.
const NFQNL_COPY_META: u8 = 1;
const NF_ACCEPT: u32 = 1;

/// struct nlmsghdr and struct nfgenmsg.
const HEADERS_LEN: usize = 16 + 4;
/// struct nlattr.
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// All of a message that `parse` looks at, in bytes.
pub const HEAD_LEN: usize = HEADERS_LEN + ATTRIBUTE_HEADER_LEN + 4;

/// Takes queue 0, without the packets' bytes, holding at most `max_packets`; the kernel acknowledges it.
pub fn bind_request(max_packets: u32) -> Vec<u8> {
    let mut parameters = [0; 5];
    parameters[4] = NFQNL_COPY_META;
    let attributes: [(u16, &[u8]); 3] = [
        (NFQA_CFG_CMD, &[NFQNL_CFG_CMD_BIND, 0, 0, 0]),
        (NFQA_CFG_PARAMS, &parameters),
        (NFQA_CFG_QUEUE_MAXLEN, &max_packets.to_be_bytes()),
    ];
    message(NFQNL_MSG_CONFIG, NLM_F_REQUEST | NLM_F_ACK, &attributes)
}

/// Lets go every packet of queue 0 up to this number.
pub fn accept_request(last_packet: u32) -> Vec<u8> {
    let mut verdict = [0; 8];
    verdict[..4].copy_from_slice(&NF_ACCEPT.to_be_bytes());
    verdict[4..].copy_from_slice(&last_packet.to_be_bytes());
    message(NFQNL_MSG_VERDICT_BATCH, NLM_F_REQUEST, &[(NFQA_VERDICT_HDR, &verdict)])
}

/// What a message from the kernel says.
#[derive(Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A packet waits under this number; numbers rise by one, and wrap.
    Packet(u32),
    /// The answer to a request: 0, or a negative errno.
    Answer(i32),
    /// Something else, or something cut short.
    Other,
}

pub fn parse(bytes: &[u8]) -> Announcement {
    let Some(kind) = bytes.get(4..6).and_then(|field| field.try_into().ok()).map(u16::from_ne_bytes) else {
        return Announcement::Other;
    };
    if kind == NLMSG_ERROR {
        let code = bytes.get(16..20).and_then(|field| field.try_into().ok()).map(i32::from_ne_bytes);
        return code.map_or(Announcement::Other, Announcement::Answer);
    }
    // The kernel writes NFQA_PACKET_HDR first.
    let attribute = bytes.get(HEADERS_LEN + 2..HEADERS_LEN + 4);
    if kind != SUBSYSTEM | NFQNL_MSG_PACKET || attribute != Some(&NFQA_PACKET_HDR.to_ne_bytes()) {
        return Announcement::Other;
    }
    let at = HEADERS_LEN + ATTRIBUTE_HEADER_LEN;
    let number = bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map(u32::from_be_bytes);
    number.map_or(Announcement::Other, Announcement::Packet)
}

fn message(kind: u16, flags: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; HEADERS_LEN]; // Sequence, sender, address family, version and queue stay 0.
    for (name, value) in attributes {
        bytes.extend(((ATTRIBUTE_HEADER_LEN + value.len()) as u16).to_ne_bytes());
        bytes.extend(name.to_ne_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = bytes.len() as u32;
    bytes[0..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&(SUBSYSTEM | kind).to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(number: u32) -> Vec<u8> {
        let mut value = number.to_be_bytes().to_vec();
        value.extend([0x08, 0x00, 2]); // IPv4, the forward hook
        message(NFQNL_MSG_PACKET, 0, &[(NFQA_PACKET_HDR, &value)])
    }

    #[test]
    fn requests_have_the_kernels_layout() {
        assert_eq!(accept_request(0x0102_0304)[16..], [0, 0, 0, 0, 12, 0, 2, 0, 0, 0, 0, 1, 1, 2, 3, 4]);
        let bind = bind_request(256);
        assert_eq!(bind.len() as u32, u32::from_ne_bytes([bind[0], bind[1], bind[2], bind[3]]));
        assert_eq!(bind[20..28], [8, 0, 1, 0, 1, 0, 0, 0]);
        assert_eq!(bind[28..40], [9, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bind[40..48], [8, 0, 3, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn announcements_give_their_number() {
        assert_eq!(parse(&announcement(u32::MAX)), Announcement::Packet(u32::MAX));
    }

    #[test]
    fn answers_give_their_code() {
        let mut answer = vec![0; 36];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        answer[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(parse(&answer), Announcement::Answer(-1));
    }

    #[test]
    fn every_truncation_is_something_else() {
        let whole = announcement(7);
        for length in 0..HEAD_LEN {
            assert_eq!(parse(&whole[..length]), Announcement::Other, "{length} bytes");
        }
    }
}
