/** The SETTINGS frame (RFC 9114 section 7.2.4): pairs of varints, identifier and value. */
import { encodeVarint, VarintReader, varintSize } from "../wire/varint.ts";
import { connectionFault } from "./fault.ts";
import { FRAME, HTTP2_SETTINGS, SETTING } from "./spec.ts";

/** What a peer told of itself; the defaults are those of the RFCs for a setting that was not sent. */
export interface Http3Settings {
  /** In bytes as RFC 9114 section 4.2.2 counts them; Infinity: no limit. */
  readonly maxFieldSectionSize: number;
  readonly qpackMaxTableCapacity: number;
  readonly qpackBlockedStreams: number;
  /** Extended CONNECT (RFC 9220). */
  readonly enableConnectProtocol: boolean;
  /** HTTP Datagrams (RFC 9297). */
  readonly h3Datagram: boolean;
}

/** Reads the payload of SETTINGS. Throws H3_FRAME_ERROR and H3_SETTINGS_ERROR; unknown settings are ignored. */
export function parseSettings(payload: Uint8Array): Http3Settings {
  const seen = new Map<number, number>();
  for (let at = 0; at < payload.length;) {
    const identifier = varintAt(payload, at);
    const value = varintAt(payload, varint.next);
    at = varint.next;
    if (HTTP2_SETTINGS.has(identifier)) throw wrong(identifier, "is a setting of HTTP/2 (RFC 9114 section 7.2.4.1)");
    if (!KNOWN.has(identifier)) continue;
    if (seen.has(identifier)) throw wrong(identifier, "was sent twice");
    if (FLAGS.has(identifier) && value > 1) throw wrong(identifier, `is ${value}, expected 0 or 1`);
    seen.set(identifier, value);
  }
  return {
    maxFieldSectionSize: seen.get(SETTING.MAX_FIELD_SECTION_SIZE) ?? Infinity,
    qpackMaxTableCapacity: seen.get(SETTING.QPACK_MAX_TABLE_CAPACITY) ?? 0,
    qpackBlockedStreams: seen.get(SETTING.QPACK_BLOCKED_STREAMS) ?? 0,
    enableConnectProtocol: seen.get(SETTING.ENABLE_CONNECT_PROTOCOL) === 1,
    h3Datagram: seen.get(SETTING.H3_DATAGRAM) === 1,
  };
}

/** The whole SETTINGS frame, type and length included. An infinite field section size is left out. */
export function encodeSettings(settings: Http3Settings): Uint8Array {
  const pairs: [number, number][] = [
    [SETTING.QPACK_MAX_TABLE_CAPACITY, settings.qpackMaxTableCapacity],
    [SETTING.QPACK_BLOCKED_STREAMS, settings.qpackBlockedStreams],
    [SETTING.ENABLE_CONNECT_PROTOCOL, settings.enableConnectProtocol ? 1 : 0],
    [SETTING.H3_DATAGRAM, settings.h3Datagram ? 1 : 0],
  ];
  if (settings.maxFieldSectionSize !== Infinity) {
    pairs.push([SETTING.MAX_FIELD_SECTION_SIZE, settings.maxFieldSectionSize]);
  }
  const length = pairs.flat().reduce((sum, value) => sum + varintSize(value), 0);
  const frame = new Uint8Array(varintSize(FRAME.SETTINGS) + varintSize(length) + length);
  let at = 0;
  for (const value of [FRAME.SETTINGS, length, ...pairs.flat()]) at += encodeVarint(value, frame, at);
  return frame;
}

const KNOWN: ReadonlySet<number> = new Set(Object.values(SETTING));
const FLAGS: ReadonlySet<number> = new Set([SETTING.ENABLE_CONNECT_PROTOCOL, SETTING.H3_DATAGRAM]);

const varint = new VarintReader();

function varintAt(payload: Uint8Array, at: number): number {
  if (!varint.read(payload, at, payload.length)) {
    throw connectionFault("H3_FRAME_ERROR", "a SETTINGS frame ends inside a setting");
  }
  return varint.value;
}

function wrong(identifier: number, what: string): Error {
  return connectionFault("H3_SETTINGS_ERROR", `setting 0x${identifier.toString(16)} ${what}`);
}
