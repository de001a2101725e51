"""One RFC 9484 session as a client sees it: capsules and datagrams on its stream, and pings through it."""

import ipaddress
import struct

from aioquic.buffer import Buffer, BufferReadError, encode_uint_var
from aioquic.h3.events import DataReceived, DatagramReceived

from http3_peer import Http3Peer

# Capsule types (RFC 9297 section 5.4, RFC 9484 section 4.7).
DATAGRAM = 0x00
ADDRESS_ASSIGN = 0x01
ROUTE_ADVERTISEMENT = 0x03
# A type that nobody knows, which has to be skipped (RFC 9297 section 5.4: 0x29 * N + 0x17).
GREASE = 0x17 + 0x29
# RFC 9484 section 6: what follows is an IP packet.
CONTEXT_IP_PACKET = b"\0"

ICMP, ICMPV6 = 1, 58
ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
HEADER_BYTES = {4: 20, 6: 40}
IDENTIFIER = 0x7A67


class ConnectIpSession:
    def __init__(self, peer: Http3Peer, stream_id: int) -> None:
        self.peer = peer
        self.stream_id = stream_id
        self.addresses: dict[int, ipaddress.IPv4Address | ipaddress.IPv6Address] = {}
        self.routes: list[tuple] | None = None
        self._packets: list[bytes] = []
        self._unread = b""
        self._sequence = 0

    async def configured(self) -> None:
        """Waits for the addresses of both families and the routes."""
        while len(self.addresses) < 2 or self.routes is None:
            await self._next_event()

    def describe(self) -> object:
        addresses = [str(address) for address in self.addresses.values()]
        return {"addresses": addresses, "routes": [f"{start}-{end}" for start, end, _ in self.routes]}

    def send_datagram(self, packet: bytes) -> None:
        self.peer.h3.send_datagram(self.stream_id, CONTEXT_IP_PACKET + packet)
        self.peer.transmit()

    def send_capsule(self, packet: bytes) -> None:
        grease = encode_uint_var(GREASE) + encode_uint_var(3) + b"abc"
        value = CONTEXT_IP_PACKET + packet
        capsule = encode_uint_var(DATAGRAM) + encode_uint_var(len(value)) + value
        self.peer.h3.send_data(self.stream_id, grease + capsule, end_stream=False)
        self.peer.transmit()

    def echo_request(self, target: str, size: int) -> bytes:
        """An ICMP echo request from the leased address, with its IP header."""
        destination = ipaddress.ip_address(target)
        version = destination.version
        source = self.addresses[version]
        self._sequence += 1
        ends = source.packed + destination.packed
        body = struct.pack("!HH", IDENTIFIER, self._sequence) + payload(size)
        message = struct.pack("!BBH", ECHO_REQUEST[version], 0, 0) + body
        if version == 4:
            message = message[:2] + checksum(message) + message[4:]
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, ICMP, 0) + ends
            return header[:10] + checksum(header) + header[12:] + message
        pseudo = ends + struct.pack("!II", len(message), ICMPV6)
        message = message[:2] + checksum(pseudo + message) + message[4:]
        return struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, 64) + ends + message

    async def echo_reply(self, target: str, size: int) -> None:
        """Waits for the answer to the last request."""
        version = ipaddress.ip_address(target).version
        expected = struct.pack("!HH", IDENTIFIER, self._sequence) + payload(size)
        while True:
            while not self._packets:
                await self._next_event()
            packet = self._packets.pop(0)
            message = packet[HEADER_BYTES[version] :]
            if packet[0] >> 4 == version and message[0] == ECHO_REPLY[version] and message[4:] == expected:
                return

    async def _next_event(self) -> None:
        event = await self.peer.next_event(self.stream_id)
        if isinstance(event, DatagramReceived):
            assert event.data[:1] == CONTEXT_IP_PACKET, event.data[:1]
            self._packets.append(event.data[1:])
            return
        assert isinstance(event, DataReceived) and not event.stream_ended, event
        self._unread += event.data
        buffer = Buffer(data=self._unread)
        at = 0
        try:
            while True:
                capsule_type = buffer.pull_uint_var()
                value = buffer.pull_bytes(buffer.pull_uint_var())
                at = buffer.tell()
                self._on_capsule(capsule_type, value)
        except BufferReadError:
            self._unread = self._unread[at:]

    def _on_capsule(self, capsule_type: int, value: bytes) -> None:
        buffer = Buffer(data=value)
        if capsule_type == ADDRESS_ASSIGN:
            while not buffer.eof():
                buffer.pull_uint_var()  # Request ID; 0: unasked.
                address = pull_address(buffer, buffer.pull_uint8())
                assert buffer.pull_uint8() == address.max_prefixlen, "one address, not a prefix"
                self.addresses[address.version] = address
        elif capsule_type == ROUTE_ADVERTISEMENT:
            self.routes = []
            while not buffer.eof():
                version = buffer.pull_uint8()
                self.routes.append((pull_address(buffer, version), pull_address(buffer, version), buffer.pull_uint8()))
        elif capsule_type == DATAGRAM:
            assert value[:1] == CONTEXT_IP_PACKET, value[:1]
            self._packets.append(value[1:])


def pull_address(buffer: Buffer, version: int):
    return ipaddress.ip_address(buffer.pull_bytes({4: 4, 6: 16}[version]))


def payload(size: int) -> bytes:
    return bytes(index & 0xFF for index in range(size))


def checksum(data: bytes) -> bytes:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
