"""aioquic as server that requires a client certificate, for an HTTP/3 client of ours.

    aioquic_server.py CERTIFICATE KEY CA

Prints `port N`, then serves until it is ended. Every answer has the client's common name in `x-client`.
"""

import asyncio
import sys

import aioquic.asyncio.server
from aioquic.asyncio.server import serve
from aioquic.h3.events import DataReceived, DatagramReceived, HeadersReceived
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import HandshakeCompleted, QuicEvent
from aioquic.tls import Epoch
from cryptography import x509

from http3_peer import Http3Peer, configuration

# RFC 9001 section 4.8: 0x100 + the TLS alert; 42 is bad_certificate.
BAD_CERTIFICATE = 0x100 + 42
H3_REQUEST_CANCELLED = 0x10C
# RFC 8446 section 4.6.3: update_not_requested.
KEY_UPDATE = bytes.fromhex("1800000100")


class MutualTlsConnection(QuicConnection):
    """Asks the client for its certificate; aioquic can, but has no public switch for it."""

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._request_client_certificate = True


class Server(Http3Peer):
    trusted: x509.Certificate

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted) and not self.client_is_trusted():
            self._quic.close(error_code=BAD_CERTIFICATE, frame_type=6, reason_phrase="client certificate")
            self.transmit()
            return
        super().quic_event_received(event)

    def client_is_trusted(self) -> bool:
        """aioquic leaves a client's chain to its caller: each certificate is signed by the next, the last by the root."""
        leaf = self._quic.tls._peer_certificate
        if leaf is None:
            return False
        chain = [leaf, *self._quic.tls._peer_certificate_chain, self.trusted]
        try:
            for certificate, issuer in zip(chain, chain[1:]):
                certificate.verify_directly_issued_by(issuer)
        except Exception:
            return False
        return True

    def client_name(self) -> str:
        return self._quic.tls._peer_certificate.subject.rfc4514_string()

    def on_event(self, stream_id: int, event) -> None:
        if isinstance(event, HeadersReceived):
            self.answer(stream_id, dict(event.headers))
        elif isinstance(event, DataReceived):
            self.h3.send_data(stream_id, event.data, end_stream=event.stream_ended)
        elif isinstance(event, DatagramReceived):
            self.h3.send_datagram(stream_id, event.data)
        self.transmit()

    def answer(self, stream_id: int, headers: dict[bytes, bytes]) -> None:
        client = (b"x-client", self.client_name().encode())
        match headers[b":method"], headers[b":path"]:
            case b"CONNECT", b"/lane/0" if headers[b":protocol"] == b"zgate-lane":
                self.h3.send_headers(stream_id, [(b":status", b"200"), client])
            case b"GET", b"/hello":
                # An interim response first: a client has to pass over it.
                self.h3.send_headers(stream_id, [(b":status", b"103"), (b"link", b"</style.css>")])
                fields = [(b":status", b"200"), (b"content-length", b"6"), client]
                self.h3.send_headers(stream_id, fields)
                self.h3.send_data(stream_id, b"hello\n", end_stream=True)
            case b"GET", b"/headers":
                fields = [(f"x-large-{index}".encode(), b"aeiou012" * 125) for index in range(12)]
                self.h3.send_headers(stream_id, [(b":status", b"200"), client, *fields], end_stream=True)
            case b"GET", b"/trailers":
                self.h3.send_headers(stream_id, [(b":status", b"200"), client])
                self.h3.send_data(stream_id, b"body", end_stream=False)
                self.h3.send_headers(stream_id, [(b"checksum", b"abc")], end_stream=True)
            case b"GET", b"/goaway":
                self.h3.send_goaway(stream_id + 4)
                self.h3.send_headers(stream_id, [(b":status", b"204"), client], end_stream=True)
            case b"GET", b"/key-update":
                # RFC 9001 section 6: QUIC has keys of its own, and none of TLS's messages for them.
                self._quic._crypto_streams[Epoch.ONE_RTT].sender.write(KEY_UPDATE)
            case b"GET", b"/reset":
                self._quic.reset_stream(stream_id, H3_REQUEST_CANCELLED)
            case _:
                self.h3.send_headers(stream_id, [(b":status", b"404"), client], end_stream=True)


async def main(certificate: str, key: str, ca: str) -> None:
    with open(ca, "rb") as file:
        Server.trusted = x509.load_pem_x509_certificate(file.read())
    aioquic.asyncio.server.QuicConnection = MutualTlsConnection
    made = configuration(is_client=False, ca=ca)
    made.load_cert_chain(certificate, key)
    server = await serve("127.0.0.1", 0, configuration=made, create_protocol=Server)
    print(f"port {server._transport.get_extra_info('sockname')[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
