/** Packets of whole flows for the tests of offload: segments, super-packets, frames. */
import { sumPseudoHeader } from "./checksum.ts";
import { ipv4, ipv6, tcp, udp, withChecksum } from "./fixture.ts";
import { VnetHeader } from "./vnet-header.ts";

/** Bytes that differ from each other and from page to page. */
export const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);

export interface Flow {
  readonly name: string;
  readonly version: 4 | 6;
  readonly protocol: 6 | 17;
  readonly options: readonly number[];
  readonly src?: string;
  readonly dst?: string;
}

/** One right packet of a flow, checksums included. */
export function packetOf(
  flow: Flow,
  spec: { id: number; seq: number; flags: number; data: ArrayLike<number> },
): Uint8Array {
  const { version, protocol, options } = flow;
  const addresses = { ...(flow.src && { src: flow.src }), ...(flow.dst && { dst: flow.dst }) };
  const payload = protocol === 6 ? tcp({ ...spec, options, ack: 77 }) : udp(40_000, 443, spec.data);
  const packet =
    version === 4
      ? ipv4({ ...addresses, protocol, payload, id: spec.id & 0xffff, flagsAndOffset: 0x4000, tos: 2 })
      : ipv6({ ...addresses, protocol, payload, trafficClass: 2, flowLabel: 0x12345 });
  return withZeroAsOnes(withChecksum(packet, version === 4 ? 20 : 40, protocol, protocol === 6 ? 16 : 6), flow);
}

function withZeroAsOnes(packet: Uint8Array, { version, protocol }: Flow): Uint8Array {
  const field = (version === 4 ? 20 : 40) + 6;
  return protocol === 17 && packet[field] === 0 && packet[field + 1] === 0
    ? packet.fill(0xff, field, field + 2)
    : packet;
}

/** The packet with its checksum left open, as a kernel with offload hands it over. */
export function opened(packet: Uint8Array, flow: Flow): Uint8Array {
  const header = flow.version === 4 ? 20 : 40;
  const sum = sumPseudoHeader(packet, 0, flow.protocol, packet.length - header);
  const result = packet.slice();
  result.set([sum >>> 8, sum & 255], header + (flow.protocol === 6 ? 16 : 6));
  return result;
}

/** What the frames in `bytes` hold, without the first `skip` bytes of each. */
export function framesIn(bytes: Uint8Array, skip = 0): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 2 + bytes[at]! * 256 + bytes[at + 1]!;
    frames.push(bytes.slice(at + 2 + skip, end));
    at = end;
  }
  return frames;
}

/** The packets, each behind its length. */
export function framed(packets: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(
    Buffer.concat(
      packets.map((packet) => Buffer.concat([Buffer.from([packet.length >> 8, packet.length & 255]), packet])),
    ),
  );
}

export const flows: readonly Flow[] = [
  { name: "TCP over IPv4", version: 4, protocol: 6, options: [] },
  { name: "TCP over IPv4 with timestamps", version: 4, protocol: 6, options: [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8] },
  { name: "TCP over IPv6", version: 6, protocol: 6, options: [] },
  { name: "UDP over IPv4", version: 4, protocol: 17, options: [] },
  { name: "UDP over IPv6", version: 6, protocol: 17, options: [] },
];

/** The header that a kernel gives with a super-packet, hdr_len wrong as on forwarded ones. */
export function gsoHeader(flow: Flow, gsoSize: number): VnetHeader {
  const tcpType = flow.version === 4 ? 1 : 4;
  return Object.assign(new VnetHeader(), {
    ...{ flags: 1, gsoType: flow.protocol === 6 ? tcpType : 5, gsoSize, hdrLen: 12_345 },
    ...{ csumStart: flow.version === 4 ? 20 : 40, csumOffset: flow.protocol === 6 ? 16 : 6 },
  });
}
