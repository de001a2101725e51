"""What the aioquic client and the aioquic server share: one HTTP/3 connection whose events wait to be read."""

import asyncio
from collections import defaultdict

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import Buffer, BufferReadError, encode_uint_var
from aioquic.h3.connection import FrameType, H3Connection, encode_frame, parse_settings
from aioquic.h3.events import DataReceived, DatagramReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamDataReceived, StreamReset

# Bytes; what a QUIC DATAGRAM may carry at most.
MAX_DATAGRAM_FRAME_SIZE = 65_536
# Seconds that a test waits for what must come.
PATIENCE = 10

Headers = list[tuple[bytes, bytes]]


def configuration(*, is_client: bool, ca: str, datagrams: bool = True) -> QuicConfiguration:
    made = QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["h3"],
        max_datagram_frame_size=MAX_DATAGRAM_FRAME_SIZE if datagrams else None,
    )
    made.load_verify_locations(cafile=ca)
    return made


class ControlAwareH3(H3Connection):
    """aioquic skips GOAWAY and says nothing of SETTINGS; a test has to see both, and to send the former."""

    def __init__(self, quic) -> None:
        # aioquic sends SETTINGS_H3_DATAGRAM with WebTransport only.
        super().__init__(quic, enable_webtransport=quic.configuration.max_datagram_frame_size is not None)
        self.settings: asyncio.Future[dict[int, int]] = asyncio.get_running_loop().create_future()
        self.goaway: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._control = b""

    def handle_event(self, event: QuicEvent) -> list[H3Event]:
        events = super().handle_event(event)
        if isinstance(event, StreamDataReceived) and event.stream_id == self._peer_control_stream_id:
            self._control += event.data
            self._read_control()
        return events

    def send_goaway(self, stream_id: int) -> None:
        frame = encode_frame(FrameType.GOAWAY, encode_uint_var(stream_id))
        self._quic.send_stream_data(self._local_control_stream_id, frame)

    def _read_control(self) -> None:
        buffer = Buffer(data=self._control)
        try:
            buffer.pull_uint_var()  # The stream's type.
            while True:
                frame_type = buffer.pull_uint_var()
                payload = buffer.pull_bytes(buffer.pull_uint_var())
                if frame_type == FrameType.SETTINGS and not self.settings.done():
                    self.settings.set_result(parse_settings(payload))
                elif frame_type == FrameType.GOAWAY and not self.goaway.done():
                    self.goaway.set_result(Buffer(data=payload).pull_uint_var())
        except BufferReadError:
            pass  # The rest is still to come.


class Http3Peer(QuicConnectionProtocol):
    """One connection. `events(stream_id)` are its HTTP/3 events and resets, in order."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.h3 = ControlAwareH3(self._quic)
        self.terminated: asyncio.Future[ConnectionTerminated] = asyncio.get_running_loop().create_future()
        self._queues: dict[int, asyncio.Queue] = defaultdict(asyncio.Queue)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamReset):
            self.on_event(event.stream_id, event)
        elif isinstance(event, ConnectionTerminated) and not self.terminated.done():
            self.terminated.set_result(event)
        for http_event in self.h3.handle_event(event):
            self.on_event(http_event.stream_id, http_event)

    def on_event(self, stream_id: int, event) -> None:
        self._queues[stream_id].put_nowait(event)

    async def next_event(self, stream_id: int):
        """The next event of a stream; an error when the connection ends before it."""
        waiting = asyncio.ensure_future(self._queues[stream_id].get())
        await asyncio.wait({waiting, self.terminated}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        if self.terminated.done():
            raise ConnectionError(f"the connection ended: {self.terminated.result()}")
        raise TimeoutError(f"nothing came on stream {stream_id} within {PATIENCE} s")

    async def headers(self, stream_id: int) -> dict[str, str]:
        """The fields of the next event, which must be HEADERS."""
        event = await self.next_event(stream_id)
        assert isinstance(event, HeadersReceived), event
        return {name.decode(): value.decode() for name, value in event.headers}

    async def body(self, stream_id: int, size: int | None = None) -> bytes:
        """`size` bytes of body, or all until the stream ends."""
        received = b""
        while size is None or len(received) < size:
            event = await self.next_event(stream_id)
            assert isinstance(event, DataReceived), event
            received += event.data
            if event.stream_ended:
                break
        assert size is None or len(received) == size, f"{len(received)} bytes of {size}"
        return received

    async def datagram(self, stream_id: int) -> bytes:
        event = await self.next_event(stream_id)
        assert isinstance(event, DatagramReceived), event
        return event.data
