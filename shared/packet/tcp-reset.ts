/**
 * The reset that answers a TCP segment of a connection that is not to be (RFC 9293 section 3.10.7.1), so
 * that the program behind it fails at once.
 */
import type { AddressWords } from "./address.ts";
import { putU16, putU32, u32At } from "./bytes.ts";
import { checksumOf, sumBytes, sumPseudoHeader } from "./checksum.ts";
import { PROTO_TCP, TCP_ACK, TCP_FIN, TCP_HEADER, TCP_RST, TCP_SYN } from "./constants.ts";
import { ipHeaderLength, putIpHeader } from "./ip-header.ts";
import { isMartian } from "./martian.ts";
import type { PacketView } from "./view.ts";

/**
 * Writes the reset for the segment that `view` was parsed from (`slab` still holds it) at `out[at…]`, back to
 * its source. Returns the bytes written; 0 when there is none: no TCP, a fragment, or a reset itself.
 */
export function writeTcpReset(view: PacketView, slab: Uint8Array, out: Uint8Array, at: number): number {
  if (view.protocol !== PROTO_TCP || view.isFragment || (view.tcpFlags & TCP_RST) !== 0) return 0;
  if (isMartian(view.version, view.src0, view.src1, view.src2, view.src3)) return 0;
  const source: AddressWords = [view.dst0, view.dst1, view.dst2, view.dst3];
  const target: AddressWords = [view.src0, view.src1, view.src2, view.src3];
  const segment = view.transportOffset;
  const acknowledged = (view.tcpFlags & TCP_ACK) !== 0;
  return putReset(
    {
      version: view.version,
      source,
      target,
      sourcePort: view.dstPort,
      targetPort: view.srcPort,
      sequence: acknowledged ? u32At(slab, segment + 8) : 0,
      acknowledgment: acknowledged ? 0 : (u32At(slab, segment + 4) + segmentLength(view)) >>> 0,
      flags: acknowledged ? TCP_RST : TCP_RST | TCP_ACK,
    },
    out,
    at,
  );
}

/**
 * Writes a reset that goes where the segment in `view` was going, in its place: its receiver takes it, because
 * it has the sequence number that comes next (RFC 9293 section 3.10.7.4). Returns as `writeTcpReset` does.
 */
export function writeTcpResetOnward(view: PacketView, slab: Uint8Array, out: Uint8Array, at: number): number {
  if (view.protocol !== PROTO_TCP || view.isFragment || (view.tcpFlags & TCP_RST) !== 0) return 0;
  const segment = view.transportOffset;
  return putReset(
    {
      version: view.version,
      source: [view.src0, view.src1, view.src2, view.src3],
      target: [view.dst0, view.dst1, view.dst2, view.dst3],
      sourcePort: view.srcPort,
      targetPort: view.dstPort,
      sequence: u32At(slab, segment + 4),
      acknowledgment: u32At(slab, segment + 8),
      flags: view.tcpFlags & TCP_ACK ? TCP_RST | TCP_ACK : TCP_RST,
    },
    out,
    at,
  );
}

interface Reset {
  readonly version: 4 | 6;
  readonly source: AddressWords;
  readonly target: AddressWords;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
}

function putReset(reset: Reset, out: Uint8Array, at: number): number {
  const { version, source, target } = reset;
  const length = ipHeaderLength(version) + TCP_HEADER;
  if (at + length > out.length)
    throw new RangeError(`a TCP reset of ${length} bytes does not fit at ${at} of ${out.length} bytes`);
  const tcp = putIpHeader(version, PROTO_TCP, source, target, TCP_HEADER, out, at);
  putU16(out, tcp, reset.sourcePort);
  putU16(out, tcp + 2, reset.targetPort);
  putU32(out, tcp + 4, reset.sequence);
  putU32(out, tcp + 8, reset.acknowledgment);
  out[tcp + 12] = (TCP_HEADER >>> 2) << 4;
  out[tcp + 13] = reset.flags;
  putU32(out, tcp + 14, 0);
  putU16(out, tcp + 18, 0);
  putU16(
    out,
    tcp + 16,
    checksumOf(sumBytes(out, tcp, tcp + TCP_HEADER, sumPseudoHeader(out, at, PROTO_TCP, TCP_HEADER))),
  );
  return length;
}

/** SEG.LEN: data bytes, and one each for SYN and FIN. */
function segmentLength(view: PacketView): number {
  const data = view.totalLength - view.headerLength - view.transportHeaderLength;
  return data + ((view.tcpFlags & TCP_SYN) !== 0 ? 1 : 0) + ((view.tcpFlags & TCP_FIN) !== 0 ? 1 : 0);
}
