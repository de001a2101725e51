/**
 * A session as an agent opens it, in the hands of a peer that may send what it likes on its control stream and
 * its lanes.
 *
 *   SETTINGS ▸ connect-ip ▸ 200 ▸ ADDRESS_ASSIGN ▸ lanes ▸ whatever the attack does
 */
import { DATA_HEADROOM } from "../../shared/http3/constants.ts";
import { Http3Connection } from "../../shared/http3/connection.ts";
import type { Field } from "../../shared/http3/fields.ts";
import type { Http3Stream } from "../../shared/http3/stream.ts";
import type { QuicConnection } from "../../shared/native/quic.ts";
import { formatAddress } from "../../shared/packet/address.ts";
import { PROTO_UDP } from "../../shared/packet/constants.ts";
import { PacketView } from "../../shared/packet/view.ts";
import { VNET_HEADER } from "../../shared/packet/vnet-header.ts";
import { decodeAddressAssign } from "../../shared/tunnel/address-capsule.ts";
import { CapsuleReader } from "../../shared/tunnel/capsule.ts";
import { CAPSULE_ADDRESS_ASSIGN, FRAME_HEADER, SLAB_HEADROOM } from "../../shared/tunnel/constants.ts";
import { FrameReader, putFrameLength } from "../../shared/tunnel/frame.ts";
import { maxFrameLength, readAgreement, requestFields } from "../../shared/tunnel/negotiation.ts";
import type { Offload, SessionAgreement } from "../../shared/tunnel/negotiation.ts";
import { CONNECT_IP_PATH, lanePath } from "../../shared/tunnel/request-path.ts";
import { newSlab } from "../../shared/tunnel/slab.ts";
import type { Peer } from "./peer.ts";
import { writePieces } from "./raw-stream.ts";

export interface SessionOptions {
  readonly lanes?: number;
  readonly offload?: Offload;
  /** Nothing that the relay sends is read, from the 200 on. */
  readonly deaf?: boolean;
}

export class HostileSession {
  readonly http3: Http3Connection;
  readonly control: Http3Stream;
  readonly agreement: SessionAgreement;
  /** The tunnel addresses; empty when the session is deaf. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly #peer: Peer;

  constructor(peer: Peer, parts: Pick<HostileSession, "http3" | "control" | "agreement" | "ipv4" | "ipv6">) {
    this.#peer = peer;
    this.http3 = parts.http3;
    this.control = parts.control;
    this.agreement = parts.agreement;
    this.ipv4 = parts.ipv4;
    this.ipv6 = parts.ipv6;
  }

  /** Asks for a lane, or for anything; the status is noted. */
  async ask(path: string, protocol = "zgate-lane"): Promise<Http3Stream> {
    const stream = await this.http3.request(connectFields(protocol, path));
    this.#peer.statuses.push(stream.status);
    return stream;
  }

  /** A lane whose received frames are read, and UDP packets among them counted as echoes. */
  async lane(index = 0): Promise<Http3Stream> {
    const stream = await this.http3.request(connectFields("zgate-lane", lanePath(index)));
    const reader = new FrameReader(maxFrameLength(this.agreement));
    const slab = newSlab();
    const view = new PacketView();
    const skip = this.agreement.offload === "gso" ? VNET_HEADER : 0;
    const read = (): void => {
      for (;;) {
        const from = reader.load(slab, SLAB_HEADROOM);
        const got = stream.readBody(slab, from, slab.length);
        reader.scan(from + Math.max(0, got));
        while (reader.next()) {
          if (view.parse(slab, reader.from + skip, reader.to) && view.protocol === PROTO_UDP) this.#peer.echoes++;
        }
        reader.keep();
        if (got <= 0) return;
      }
    };
    stream.onReadable = read;
    read();
    return stream;
  }

  /** A frame with this packet, and with `vnet` before it where offload is agreed. */
  frame(packet: Uint8Array, vnet: Uint8Array = new Uint8Array(VNET_HEADER)): Uint8Array {
    const header = this.agreement.offload === "gso" ? vnet : new Uint8Array(0);
    const length = header.length + packet.length;
    const frame = new Uint8Array(FRAME_HEADER + length);
    putFrameLength(frame, 0, length);
    frame.set(header, FRAME_HEADER);
    frame.set(packet, FRAME_HEADER + header.length);
    return frame;
  }
}

export async function openSession(
  connection: QuicConnection,
  peer: Peer,
  { lanes = 1, offload = "none", deaf = false }: SessionOptions,
): Promise<HostileSession> {
  const http3 = new Http3Connection(connection, "client");
  await http3.peerSettings;
  const wish = { lanes, offload } as const;
  const fields: Field[] = [["capsule-protocol", "?1"], ...requestFields(wish)];
  const control = await http3.request([...connectFields("connect-ip", CONNECT_IP_PATH), ...fields]);
  if (control.status !== 200) throw new Error(`the relay answered ${control.status}`);
  const agreement = readAgreement(control.response, wish);
  const [ipv4 = "", ipv6 = ""] = deaf ? [] : await assignedAddresses(control);
  return new HostileSession(peer, { http3, control, agreement, ipv4, ipv6 });
}

/** Sends bytes as the body of DATA frames; false when the relay wants no more of them. */
export function sendBody(stream: Http3Stream, bytes: Uint8Array): Promise<boolean> {
  const padded = new Uint8Array(DATA_HEADROOM + bytes.length);
  const body = {
    write: (slab: Uint8Array, from: number, to: number): number => {
      padded.set(slab.subarray(from, to), DATA_HEADROOM);
      return stream.writeBody(padded, DATA_HEADROOM, DATA_HEADROOM + to - from);
    },
    get onWritable() {
      return stream.onWritable;
    },
    set onWritable(handler) {
      stream.onWritable = handler;
    },
  };
  return writePieces(body, bytes);
}

export function connectFields(protocol: string, path: string): Field[] {
  return [
    [":method", "CONNECT"],
    [":protocol", protocol],
    [":scheme", "https"],
    [":authority", "relay.example"],
    [":path", path],
  ];
}

/** Reads the control stream, from now on, and resolves with the first addresses of each family. */
function assignedAddresses(control: Http3Stream): Promise<string[]> {
  return new Promise((resolve) => {
    const capsules = new CapsuleReader((type, value) => {
      if (type !== CAPSULE_ADDRESS_ASSIGN) return;
      const texts = decodeAddressAssign(value).map(({ prefix }) => formatAddress(prefix.version, ...prefix.words));
      resolve([texts.find((text) => !text.includes(":")) ?? "", texts.find((text) => text.includes(":")) ?? ""]);
    });
    const slab = new Uint8Array(64 * 1024);
    const read = (): void => {
      for (let got = 1; got > 0;) {
        got = control.readBody(slab, 0, slab.length);
        if (got > 0) capsules.push(slab, 0, got);
      }
    };
    control.onReadable = read;
    read();
  });
}
