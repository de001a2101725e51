/** For tests of the relay: a client that sends what the test says, and keeps what it gets. */
import assert from "node:assert/strict";
import { Http3Connection } from "../shared/http3/connection.ts";
import { fieldValue } from "../shared/http3/fields.ts";
import type { Field } from "../shared/http3/fields.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import type { FakeQuicConnection, FakeQuicPair } from "../shared/native/fake-quic.ts";
import type { CloseInfo } from "../shared/native/quic.ts";
import { framed } from "../shared/packet/offload-fixture.ts";
import { CapsuleChannel } from "../shared/tunnel/capsule-channel.ts";
import { MAX_FRAME_LENGTH, SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import { LanePump } from "../shared/tunnel/lane-pump.ts";
import { requestFields } from "../shared/tunnel/negotiation.ts";
import type { SessionWish } from "../shared/tunnel/negotiation.ts";
import { CONNECT_IP_PATH, lanePath } from "../shared/tunnel/request-path.ts";

export interface Capsule {
  readonly type: number;
  readonly value: Uint8Array;
}

export class Client {
  readonly quic: FakeQuicConnection;
  readonly http3: Http3Connection;
  readonly capsules: Capsule[] = [];
  /** The frames of all lanes, without their length, and the payloads of all datagrams. */
  readonly received: Uint8Array[] = [];
  control: Http3Stream | undefined;
  /** Why the connection ended. */
  closed: CloseInfo | undefined;
  readonly #lanes: Http3Stream[] = [];
  readonly #pump = new LanePump();
  #channel: CapsuleChannel | undefined;

  constructor({ client }: FakeQuicPair) {
    this.quic = client;
    this.http3 = new Http3Connection(client, "client");
    void client.closed.then((info) => (this.closed = info));
  }

  request(protocol: string, path: string, fields: readonly Field[] = []): Promise<Http3Stream> {
    return this.http3.request([
      [":method", "CONNECT"],
      [":protocol", protocol],
      [":scheme", "https"],
      [":authority", "relay.example:4433"],
      [":path", path],
      ...fields,
    ]);
  }

  /** A session with lanes, or a plain RFC 9484 one when there is no wish. */
  async openSession(wish?: SessionWish): Promise<Http3Stream> {
    const wished = wish === undefined ? [] : requestFields(wish);
    const control = await this.request("connect-ip", CONNECT_IP_PATH, [["capsule-protocol", "?1"], ...wished]);
    assert.equal(control.status, 200, fieldValue(control.response, "zgate-reason") ?? "refused");
    this.control = control;
    this.#channel = new CapsuleChannel(control, {
      onCapsule: (type, value) => void this.capsules.push({ type, value: Uint8Array.from(value) }),
      onEnd: () => {},
      onFault: (error) => assert.fail(error),
    });
    control.onDatagram = (slab, from, to) => void this.received.push(slab.slice(from, to));
    return control;
  }

  sendCapsule(capsule: Uint8Array): void {
    assert.ok(this.#channel?.send(capsule));
  }

  /** Opens a lane and reads it from now on. */
  async openLane(lane: number): Promise<void> {
    this.readLane(await this.openUnreadLane(lane));
  }

  /** Reads a lane from now on. */
  readLane(stream: Http3Stream): void {
    this.#pump.attach(stream, MAX_FRAME_LENGTH, {
      frames: (slab, _from, reader) => {
        while (reader.next()) this.received.push(slab.slice(reader.from, reader.to));
      },
      ended: () => {},
      broken: (reason) => assert.fail(reason),
    });
  }

  /** Opens a lane that is never read. */
  async openUnreadLane(lane: number): Promise<Http3Stream> {
    const stream = await this.request("zgate-lane", lanePath(lane));
    assert.equal(stream.status, 200, fieldValue(stream.response, "zgate-reason") ?? "refused");
    this.#lanes[lane] = stream;
    return stream;
  }

  /** Sends frames on the first lane, in one write. */
  send(...frames: readonly Uint8Array[]): void {
    this.sendBytes(framed(frames));
  }

  /** Sends bytes on the first lane as they are. */
  sendBytes(bytes: Uint8Array): void {
    const slab = new Uint8Array(SLAB_HEADROOM + bytes.length);
    slab.set(bytes, SLAB_HEADROOM);
    assert.equal(this.#lanes[0]?.writeBody(slab, SLAB_HEADROOM, slab.length), bytes.length);
  }

  /** Sends one HTTP Datagram. */
  sendDatagram(payload: Uint8Array): void {
    const slab = new Uint8Array(SLAB_HEADROOM + payload.length);
    slab.set(payload, SLAB_HEADROOM);
    assert.ok(this.control?.sendDatagram(slab, SLAB_HEADROOM, slab.length));
  }
}
