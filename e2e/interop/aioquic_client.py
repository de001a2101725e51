"""aioquic as client, with a client certificate, against an HTTP/3 server of ours.

    aioquic_client.py SCENARIO[=ARGUMENT] HOST:PORT SERVER_NAME CA [CERTIFICATE KEY]

Exits with 0 when the server did as the scenario says; prints what it saw as one line of JSON.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

from aioquic.asyncio.client import connect
from aioquic.h3.connection import Setting
from aioquic.quic.events import StreamReset
from aioquic.tls import Epoch

from connect_ip import ConnectIpSession
from http3_peer import Headers, Http3Peer, PATIENCE, configuration

Scenario = Callable[..., Awaitable[object]]

# Bytes echoed through one CONNECT stream: many flow-control windows of either side.
ECHO_BYTES = 3_000_000
# Bytes written at once.
PIECE_BYTES = 50_000
H3_MESSAGE_ERROR = 0x10E


def request(method: str, path: str, *extra: tuple[str, str]) -> Headers:
    fields = [(":method", method), (":scheme", "https"), (":authority", "interop.test"), (":path", path), *extra]
    # Pseudo-header fields come first.
    fields.sort(key=lambda field: not field[0].startswith(":"))
    return [(name.encode(), value.encode()) for name, value in fields]


def send_request(peer: Http3Peer, headers: Headers, *, end: bool) -> int:
    stream_id = peer._quic.get_next_available_stream_id()
    peer.h3.send_headers(stream_id, headers, end_stream=end)
    peer.transmit()
    return stream_id


async def open_lane(peer: Http3Peer) -> int:
    stream_id = send_request(peer, request("CONNECT", "/lane/0", (":protocol", "zgate-lane")), end=False)
    headers = await peer.headers(stream_id)
    assert headers[":status"] == "200", headers
    return stream_id


async def settings(peer: Http3Peer) -> object:
    seen = await asyncio.wait_for(peer.h3.settings, PATIENCE)
    assert seen[Setting.ENABLE_CONNECT_PROTOCOL] == 1, seen
    assert seen[Setting.H3_DATAGRAM] == 1, seen
    assert seen[Setting.QPACK_MAX_TABLE_CAPACITY] == 0, seen
    assert seen[Setting.QPACK_BLOCKED_STREAMS] == 0, seen
    return {f"0x{identifier:x}": value for identifier, value in seen.items()}


async def get(peer: Http3Peer) -> object:
    stream_id = send_request(peer, request("GET", "/hello"), end=True)
    headers = await peer.headers(stream_id)
    body = await peer.body(stream_id)
    assert headers[":status"] == "200", headers
    assert body == b"hello\n", body
    return headers


async def post(peer: Http3Peer) -> object:
    stream_id = send_request(peer, request("POST", "/echo", ("content-length", "11")), end=False)
    peer.h3.send_data(stream_id, b"hello ", end_stream=False)
    peer.h3.send_data(stream_id, b"world", end_stream=True)
    peer.transmit()
    headers = await peer.headers(stream_id)
    body = await peer.body(stream_id)
    assert body == b"hello world", body
    return headers


async def not_found(peer: Http3Peer) -> object:
    stream_id = send_request(peer, request("GET", "/nowhere"), end=True)
    headers = await peer.headers(stream_id)
    assert headers[":status"] == "404", headers
    return headers


async def large_headers(peer: Http3Peer) -> object:
    """Names and values that Huffman shortens and others that it does not, near the 16 KiB that the server takes."""
    values = {f"x-large-{index}": ("~\\^" * 300 if index % 2 else "aeiou012" * 125) for index in range(12)}
    stream_id = send_request(peer, request("GET", "/headers", *values.items()), end=True)
    headers = await peer.headers(stream_id)
    assert headers[":status"] == "200", headers
    for name, value in values.items():
        assert headers[f"echo-{name}"] == value, name
    return {"fields": len(headers)}


async def too_large_headers(peer: Http3Peer) -> object:
    stream_id = send_request(peer, request("GET", "/headers", ("x-large", "a" * 20_000)), end=True)
    headers = await peer.headers(stream_id)
    assert headers[":status"] == "431", headers
    return await get(peer)


async def connect_echo(peer: Http3Peer) -> object:
    stream_id = await open_lane(peer)
    sent = bytes((index * 31 + (index >> 8)) & 0xFF for index in range(ECHO_BYTES))
    for at in range(0, ECHO_BYTES, PIECE_BYTES):
        peer.h3.send_data(stream_id, sent[at : at + PIECE_BYTES], end_stream=False)
    peer.h3.send_data(stream_id, b"", end_stream=True)
    peer.transmit()
    received = await peer.body(stream_id)
    assert received == sent, f"{len(received)} bytes came back, not those that were sent"
    return {"bytes": len(received)}


async def datagrams(peer: Http3Peer) -> object:
    stream_ids = [await open_lane(peer), await open_lane(peer)]
    for stream_id in stream_ids:
        for size in (1, 50, 1000):
            peer.h3.send_datagram(stream_id, bytes([stream_id]) * size)
            peer.transmit()
            echoed = await peer.datagram(stream_id)
            assert echoed == bytes([stream_id]) * size, (stream_id, size, len(echoed))
    return {"streams": stream_ids}


async def goaway(peer: Http3Peer) -> object:
    lane = await open_lane(peer)
    send_request(peer, request("GET", "/goaway"), end=True)
    last = await asyncio.wait_for(peer.h3.goaway, PATIENCE)
    refused = send_request(peer, request("GET", "/hello"), end=True)
    event = await peer.next_event(refused)
    assert isinstance(event, StreamReset) and event.error_code == 0x10B, event
    peer.h3.send_data(lane, b"still here", end_stream=False)
    peer.transmit()
    assert await peer.body(lane, 10) == b"still here"
    return {"goaway": last}


async def malformed(peer: Http3Peer) -> object:
    """A request that our server must refuse alone: the next one is served."""
    bad = request("GET", "/hello", ("connection", "close"))
    stream_id = send_request(peer, bad, end=True)
    event = await peer.next_event(stream_id)
    assert isinstance(event, StreamReset) and event.error_code == H3_MESSAGE_ERROR, event
    return await get(peer)


async def refused(peer: Http3Peer) -> object:
    """The handshake succeeds for a TLS 1.3 client before the server has judged its certificate."""
    peer.transmit()
    ended = await asyncio.wait_for(peer.terminated, PATIENCE)
    return ended.error_code


async def late_tls(peer: Http3Peer, message: str) -> object:
    """TLS after the handshake, which QUIC forbids a client: what is sent, and how the server ends the connection."""
    await get(peer)
    peer._quic._crypto_streams[Epoch.ONE_RTT].sender.write(bytes.fromhex(message))
    peer.transmit()
    ended = await asyncio.wait_for(peer.terminated, PATIENCE)
    return {"code": ended.error_code, "reason": ended.reason_phrase}


async def identity(peer: Http3Peer) -> object:
    """The server says whom the client certificate names."""
    stream_id = send_request(peer, request("GET", "/identity"), end=True)
    await peer.headers(stream_id)
    return (await peer.body(stream_id)).decode()


async def connect_ip(peer: Http3Peer, target: str) -> object:
    """RFC 9484 with packets in QUIC datagrams."""
    session = await open_connect_ip(peer)
    for size in (0, 56, 1000):
        session.send_datagram(session.echo_request(target, size))
        await session.echo_reply(target, size)
    return session.describe()


async def connect_ip_capsules(peer: Http3Peer, target: str) -> object:
    """RFC 9484 with packets in capsules on the stream, by a client without QUIC datagrams."""
    session = await open_connect_ip(peer)
    for size in (0, 56, 1000):
        session.send_capsule(session.echo_request(target, size))
        await session.echo_reply(target, size)
    return session.describe()


async def open_connect_ip(peer: Http3Peer) -> ConnectIpSession:
    fields = ((":protocol", "connect-ip"), ("capsule-protocol", "?1"))
    stream_id = send_request(peer, request("CONNECT", "/.well-known/masque/ip/*/*/", *fields), end=False)
    headers = await peer.headers(stream_id)
    assert headers[":status"] == "200", headers
    assert headers["capsule-protocol"] == "?1", headers
    session = ConnectIpSession(peer, stream_id)
    await session.configured()
    return session


SCENARIOS: dict[str, Scenario] = {
    made.__name__: made
    for made in (
        settings,
        get,
        post,
        not_found,
        large_headers,
        too_large_headers,
        connect_echo,
        datagrams,
        goaway,
        malformed,
        identity,
        refused,
        late_tls,
        connect_ip,
        connect_ip_capsules,
    )
}


async def main(scenario: str, address: str, server_name: str, ca: str, *certificate_and_key: str) -> None:
    name, *arguments = scenario.split("=")
    host, port = address.rsplit(":", 1)
    made = configuration(is_client=True, ca=ca, datagrams=name != "connect_ip_capsules")
    if certificate_and_key:
        made.load_cert_chain(*certificate_and_key)
    made.server_name = server_name
    async with connect(
        host, int(port), configuration=made, create_protocol=Http3Peer, wait_connected=name != "refused"
    ) as peer:
        print(json.dumps(await SCENARIOS[name](peer, *arguments)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
