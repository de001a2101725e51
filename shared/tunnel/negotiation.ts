/**
 * What agent and relay agree on when a session opens (DESIGN section 3), by structured fields on the control
 * stream's request and its answer:
 *
 *   agent                                relay
 *   requestFields(wish) ───request────▶  negotiate(fields, offer) ▸ agreement, or 400 with the reason
 *   readAgreement(fields, wish) ◀──200── answerFields(agreement)
 *
 * Every field is optional. A peer that sends none is a plain RFC 9484 peer: it has no lanes, its packets
 * travel as HTTP Datagrams.
 */
import { ZgateError } from "../errors.ts";
import { fieldValue } from "../http3/fields.ts";
import type { Field, Fields } from "../http3/fields.ts";
import { tunMtu } from "../units.ts";
import type { TunMtu } from "../units.ts";
import { MAX_FRAME_LENGTH, MAX_LANES, MAX_TUN_MTU, MIN_TUN_MTU, ZGATE_VERSION } from "./constants.ts";
import { formatItem, parseItem } from "./structured-field.ts";
import type { StructuredItem } from "./structured-field.ts";

/** `gso`: frames are a `virtio_net_hdr` and a packet of up to 64 KB, as the TUN device gives them. */
export type Offload = "none" | "gso";

/** What the agent would like. */
export interface SessionWish {
  /** 1 to `MAX_LANES`. */
  readonly lanes: number;
  readonly offload: Offload;
}

/** What the relay has. */
export interface SessionOffer {
  /** The most lanes of a session, 1 to `MAX_LANES`. */
  readonly maxLanes: number;
  readonly offload: Offload;
  /** The MTU of the relay's TUN device, which the agent's gets too. */
  readonly mtu: TunMtu;
}

/** What holds for the session. */
export interface SessionAgreement {
  readonly version: typeof ZGATE_VERSION;
  /** 0: a plain RFC 9484 session. */
  readonly lanes: number;
  readonly offload: Offload;
  readonly mtu: TunMtu;
}

/** `reason` is a sentence for the log and for the body of the 400. */
export type NegotiationResult =
  | { readonly ok: true; readonly agreement: SessionAgreement }
  | { readonly ok: false; readonly reason: string };

const LANES = "zgate-lanes";
const OFFLOAD = "zgate-offload";
const VERSION = "zgate-version";
const MTU = "zgate-mtu";
const LANE_OPENING = "zgate-lane-opening";
const ON_DEMAND = "on-demand";

/** The fields of the agent's request. */
export function requestFields(wish: SessionWish): Field[] {
  const fields: Field[] = [integerField(VERSION, ZGATE_VERSION), integerField(LANES, wish.lanes)];
  if (wish.offload !== "none") fields.push(tokenField(OFFLOAD, wish.offload));
  return fields;
}

/**
 * The relay's side: the most that both can do. A token that is not known is an offload of the future, which
 * is not agreed; a version above ours means that ours is spoken, too. Malformed fields are refused.
 */
export function negotiate(fields: Fields, offer: SessionOffer): NegotiationResult {
  try {
    const version = integerOf(fields, VERSION) ?? ZGATE_VERSION;
    if (version < ZGATE_VERSION) throw new FieldError(`${VERSION} is ${version}: expected ${ZGATE_VERSION} or above`);
    const wanted = integerOf(fields, LANES);
    if (wanted !== undefined && wanted < 1) throw new FieldError(`${LANES} is ${wanted}: expected 1 to ${MAX_LANES}`);
    const lanes = Math.min(wanted ?? 0, offer.maxLanes, MAX_LANES);
    const gso = tokenOf(fields, OFFLOAD) === "gso" && offer.offload === "gso" && lanes > 0;
    return { ok: true, agreement: { version: ZGATE_VERSION, lanes, offload: gso ? "gso" : "none", mtu: offer.mtu } };
  } catch (error) {
    if (error instanceof FieldError) return { ok: false, reason: error.message };
    throw error;
  }
}

/** The fields of the relay's 200. A plain RFC 9484 peer gets none. */
export function answerFields(agreement: SessionAgreement): Field[] {
  if (agreement.lanes === 0) return [];
  const fields: Field[] = [integerField(LANES, agreement.lanes), integerField(MTU, agreement.mtu)];
  fields.push(tokenField(LANE_OPENING, ON_DEMAND));
  if (agreement.offload !== "none") fields.push(tokenField(OFFLOAD, agreement.offload));
  return fields;
}

/**
 * The agent's side: what the relay's 200 says. A relay that names no lanes is a plain RFC 9484 proxy; its
 * MTU is then `MIN_TUN_MTU`, the least that RFC 9484 section 7 demands. Throws a `ZgateError`
 * `ZG_NEGOTIATION` when the answer is malformed or more than was asked for.
 */
export function readAgreement(fields: Fields, wish: SessionWish): SessionAgreement {
  try {
    const lanes = integerOf(fields, LANES) ?? 0;
    const offload = tokenOf(fields, OFFLOAD) ?? "none";
    const mtu = integerOf(fields, MTU) ?? MIN_TUN_MTU;
    if (lanes < 0 || lanes > wish.lanes) throw new FieldError(`${LANES} is ${lanes}: ${wish.lanes} were asked for`);
    if (offload !== "none" && (offload !== wish.offload || lanes === 0)) {
      throw new FieldError(`${OFFLOAD} is ${offload}: "${wish.offload}" was asked for, on lanes`);
    }
    if (mtu < MIN_TUN_MTU || mtu > MAX_TUN_MTU) {
      throw new FieldError(`${MTU} is ${mtu}: expected ${MIN_TUN_MTU} to ${MAX_TUN_MTU} bytes`);
    }
    return { version: ZGATE_VERSION, lanes, offload: offload === "gso" ? "gso" : "none", mtu: tunMtu(mtu) };
  } catch (error) {
    if (error instanceof FieldError)
      throw new ZgateError("ZG_NEGOTIATION", `the relay's answer cannot be: ${error.message}`);
    throw error;
  }
}

/** The relay's 200 lets the agent open a lane when it needs it; any other wants all of them before the first frame. */
export function lanesOnDemand(fields: Fields): boolean {
  return fieldValue(fields, LANE_OPENING) === ON_DEMAND;
}

/** The longest frame of a lane, without its length field, in bytes. */
export function maxFrameLength(agreement: SessionAgreement): number {
  return agreement.offload === "gso" ? MAX_FRAME_LENGTH : agreement.mtu;
}

/** A field that is malformed or out of range; it does not leave this file. */
class FieldError extends Error {}

function integerField(name: string, value: number): Field {
  return [name, formatItem({ kind: "integer", value })];
}

function tokenField(name: string, value: string): Field {
  return [name, formatItem({ kind: "token", value })];
}

function integerOf(fields: Fields, name: string): number | undefined {
  const item = itemOf(fields, name);
  if (item === undefined) return undefined;
  if (item.kind !== "integer") throw new FieldError(`${name} is a ${item.kind}: expected an integer`);
  return item.value;
}

function tokenOf(fields: Fields, name: string): string | undefined {
  const item = itemOf(fields, name);
  if (item === undefined) return undefined;
  if (item.kind !== "token") throw new FieldError(`${name} is a ${item.kind}: expected a token`);
  return item.value;
}

function itemOf(fields: Fields, name: string): StructuredItem | undefined {
  const text = fieldValue(fields, name);
  if (text === undefined) return undefined;
  if (fields.filter(([other]) => other === name).length > 1) throw new FieldError(`${name} is there more than once`);
  const item = parseItem(text);
  if (item === undefined) throw new FieldError(`${name} is malformed: expected one structured-field item (RFC 9651)`);
  return item;
}
