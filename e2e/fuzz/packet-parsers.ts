/** Packets and frames of packets, with and without a `virtio_net_hdr`. */
import assert from "node:assert/strict";
import type { AddressWords } from "../../shared/packet/address.ts";
import { Coalescer } from "../../shared/packet/coalesce.ts";
import { ICMP_PROHIBITED, ICMP_TOO_BIG, MAX_ICMP_ERROR, writeIcmpError } from "../../shared/packet/icmp.ts";
import { checkOffload } from "../../shared/packet/offload.ts";
import { QuotedPacket } from "../../shared/packet/quoted.ts";
import { segment, segmentedSize } from "../../shared/packet/segment.ts";
import { writeTcpReset, writeTcpResetOnward } from "../../shared/packet/tcp-reset.ts";
import { PacketView } from "../../shared/packet/view.ts";
import { VNET_HEADER, VnetHeader } from "../../shared/packet/vnet-header.ts";
import { FRAME_HEADER, MAX_FRAME_LENGTH, MAX_TUN_MTU } from "../../shared/tunnel/constants.ts";
import { FrameReader } from "../../shared/tunnel/frame.ts";
import type { Parser } from "./parser.ts";

const view = new PacketView();
const answerView = new PacketView();
const quoted = new QuotedPacket();
const header = new VnetHeader();
const coalescer = new Coalescer({ tso4: true, tso6: true, uso: true });
const answer = new Uint8Array(MAX_ICMP_ERROR);

const SOURCE: AddressWords = [0, 0, 0, 0x0a4d_0001];

export const PACKET_PARSERS: readonly Parser[] = [
  { name: "packet", parse: readPacket },
  { name: "frames", parse: readFrames },
  { name: "offload", parse: readOffloaded },
  { name: "coalesce", parse: coalesceAndSegment },
];

/** Whatever is taken lies within its bytes, and what is written in answer to it is taken too. */
function readPacket(bytes: Uint8Array): void {
  if (!view.parse(bytes, 0, bytes.length)) return;
  assert.equal(view.totalLength, bytes.length);
  assert.ok(view.headerLength + view.transportHeaderLength <= bytes.length, "headers within the packet");
  assert.equal(view.transportOffset, view.offset + view.headerLength);
  quoted.parse(bytes, view);
  checkAnswer(writeIcmpError(ICMP_PROHIBITED, 0, view, bytes, SOURCE, answer, 0));
  checkAnswer(writeIcmpError(ICMP_TOO_BIG, 1280, view, bytes, SOURCE, answer, 0));
  checkAnswer(writeTcpReset(view, bytes, answer, 0));
  checkAnswer(writeTcpResetOnward(view, bytes, answer, 0));
}

function checkAnswer(length: number): void {
  if (length > 0) assert.ok(answerView.parse(answer, 0, length), `an answer is refused: fault ${answerView.fault}`);
}

/** A lane's bytes in two pieces, and byte by byte, give the frames that they give as a whole. */
function readFrames(bytes: Uint8Array): void {
  const whole = framesOf(bytes, [bytes.length]);
  assert.deepEqual(framesOf(bytes, [bytes.length >>> 1, bytes.length]), whole);
  const each = Array.from(bytes, (_, at) => at + 1);
  assert.deepEqual(framesOf(bytes, each), whole);
}

/** The frames, the fault and the bytes of an unfinished frame, of bytes that come up to each of `ends`. */
function framesOf(bytes: Uint8Array, ends: readonly number[]): unknown {
  const reader = new FrameReader(MAX_FRAME_LENGTH);
  const slab = new Uint8Array(bytes.length);
  const frames: string[] = [];
  let from = 0;
  for (const to of ends) {
    const at = reader.load(slab, 0);
    slab.set(bytes.subarray(from, to), at);
    reader.scan(at + to - from);
    while (reader.next()) frames.push(Buffer.from(slab.subarray(reader.from, reader.to)).toString("hex"));
    reader.keep();
    if (reader.fault !== undefined) return { frames, fault: reader.fault };
    from = to;
  }
  return { frames, pending: reader.pending };
}

/** A frame with offload that is admitted is cut into packets that are taken, in just the bytes that were foretold. */
function readOffloaded(bytes: Uint8Array): void {
  if (bytes.length < VNET_HEADER || !view.parse(bytes, VNET_HEADER, bytes.length)) return;
  header.read(bytes, 0);
  if (checkOffload(header, view, MAX_TUN_MTU) !== undefined) return;
  const out = new Uint8Array(segmentedSize(header, view));
  assert.equal(segment(header, view, bytes, out, 0), out.length);
  for (const packet of packetsOf(out)) {
    assert.ok(answerView.parse(packet, 0, packet.length), `a segment is refused: fault ${answerView.fault}`);
  }
}

/** Plain frames come out of the coalescer and the segmenter as they went in. */
function coalesceAndSegment(bytes: Uint8Array): void {
  const frames = wholeFrames(bytes);
  const out = new Uint8Array(frames.length + (packetsOf(frames).length + 1) * VNET_HEADER);
  const end = coalescer.run(frames, 0, frames.length, out, 0);
  assert.equal(coalescer.next, frames.length);
  const again: Uint8Array[] = [];
  for (const framed of packetsOf(out.subarray(0, end))) {
    if (!view.parse(framed, VNET_HEADER, framed.length)) {
      again.push(framed.subarray(VNET_HEADER));
      continue;
    }
    header.read(framed, 0);
    assert.equal(checkOffload(header, view, MAX_TUN_MTU), undefined);
    const segments = new Uint8Array(segmentedSize(header, view));
    segment(header, view, framed, segments, 0);
    again.push(...packetsOf(segments));
  }
  assert.deepEqual(again.map(hexOf), packetsOf(frames).map(hexOf));
}

/** The bytes up to the last whole frame, those left out that would not fit with a header. */
function wholeFrames(bytes: Uint8Array): Uint8Array {
  const reader = new FrameReader(MAX_FRAME_LENGTH - VNET_HEADER);
  const slab = new Uint8Array(bytes);
  reader.load(slab, 0);
  reader.scan(slab.length);
  return slab.subarray(0, reader.skip());
}

function packetsOf(frames: Uint8Array): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let at = 0; at < frames.length;) {
    const end = at + FRAME_HEADER + frames[at]! * 256 + frames[at + 1]!;
    packets.push(frames.subarray(at + FRAME_HEADER, end));
    at = end;
  }
  return packets;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
