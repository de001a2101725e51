/**
 * The values of ADDRESS_ASSIGN and ADDRESS_REQUEST (RFC 9484 sections 4.7.1 and 4.7.2): entries of
 * `request id (varint), IP version (8), address (32 or 128), prefix length (8)`.
 */
import { addressBits, compareWords, formatPrefix, maskWords } from "../packet/address.ts";
import type { Prefix } from "../packet/address.ts";
import { ZgateError } from "../errors.ts";
import { encodeVarint, MAX_VARINT, VarintReader, varintSize } from "../wire/varint.ts";
import { addressSize, putAddress, readAddress, readVersion } from "./capsule-address.ts";
import { CAPSULE_ADDRESS_ASSIGN, CAPSULE_ADDRESS_REQUEST, MAX_CAPSULE_ADDRESSES } from "./constants.ts";
import { encodeCapsule } from "./capsule.ts";

/** An assigned or requested address or prefix. */
export interface AddressEntry {
  /** The request that it answers, at most `MAX_VARINT`; 0 in an ADDRESS_ASSIGN that answers none. */
  readonly requestId: number;
  readonly prefix: Prefix;
}

/** A whole ADDRESS_ASSIGN capsule. */
export function encodeAddressAssign(entries: readonly AddressEntry[]): Uint8Array {
  return encodeCapsule(CAPSULE_ADDRESS_ASSIGN, encodeEntries(entries));
}

/** A whole ADDRESS_REQUEST capsule. All zeros in an address mean that any will do. */
export function encodeAddressRequest(entries: readonly AddressEntry[]): Uint8Array {
  return encodeCapsule(CAPSULE_ADDRESS_REQUEST, encodeEntries(entries));
}

/** Reads the value of an ADDRESS_ASSIGN: the full list, which may be empty. Throws a `ZgateError` `ZG_CAPSULE`. */
export function decodeAddressAssign(value: Uint8Array): AddressEntry[] {
  return decodeEntries("ADDRESS_ASSIGN", value);
}

/**
 * Reads the value of an ADDRESS_REQUEST. Throws a `ZgateError` `ZG_CAPSULE`, also when it is empty or has a
 * request id that is 0 or used twice.
 */
export function decodeAddressRequest(value: Uint8Array): AddressEntry[] {
  const entries = decodeEntries("ADDRESS_REQUEST", value);
  if (entries.length === 0) throw new ZgateError("ZG_CAPSULE", "ADDRESS_REQUEST asks for no address");
  const ids = new Set<number>();
  for (const { requestId } of entries) {
    if (requestId === 0) throw new ZgateError("ZG_CAPSULE", "ADDRESS_REQUEST has the request id 0");
    if (ids.has(requestId)) throw new ZgateError("ZG_CAPSULE", `ADDRESS_REQUEST has the request id ${requestId} twice`);
    ids.add(requestId);
  }
  return entries;
}

function encodeEntries(entries: readonly AddressEntry[]): Uint8Array {
  let size = 0;
  for (const { requestId, prefix } of entries) size += varintSize(requestId) + 1 + addressSize(prefix.version) + 1;
  const value = new Uint8Array(size);
  let at = 0;
  for (const { requestId, prefix } of entries) {
    at += encodeVarint(requestId, value, at);
    value[at] = prefix.version;
    at = putAddress(prefix.version, prefix.words, value, at + 1);
    value[at++] = prefix.length;
  }
  return value;
}

function decodeEntries(name: string, value: Uint8Array): AddressEntry[] {
  const entries: AddressEntry[] = [];
  const varint = new VarintReader();
  for (let at = 0; at < value.length;) {
    if (entries.length === MAX_CAPSULE_ADDRESSES) {
      throw new ZgateError("ZG_CAPSULE", `${name} has more than ${MAX_CAPSULE_ADDRESSES} addresses`);
    }
    if (!varint.read(value, at, value.length)) throw cutOff(name, at);
    const requestId = varint.value;
    // The answer repeats it, so it has to be known exactly.
    if (requestId > MAX_VARINT) throw new ZgateError("ZG_CAPSULE", `${name} has a request id above ${MAX_VARINT}`);
    const version = readVersion(name, value, varint.next);
    at = varint.next + 1 + addressSize(version) + 1;
    if (at > value.length) throw cutOff(name, varint.next);
    const words = readAddress(version, value, varint.next + 1);
    const length = value[at - 1]!;
    if (length > addressBits(version)) {
      throw new ZgateError(
        "ZG_CAPSULE",
        `${name} has an IPv${version} prefix of ${length} bits: at most ${addressBits(version)} are possible`,
      );
    }
    if (compareWords(words, maskWords(version, words, length)) !== 0) {
      const prefix = formatPrefix({ version, words, length });
      throw new ZgateError("ZG_CAPSULE", `${name} has bits set behind the prefix length of ${prefix}`);
    }
    entries.push({ requestId, prefix: { version, words, length } });
  }
  return entries;
}

function cutOff(name: string, at: number): ZgateError {
  return new ZgateError("ZG_CAPSULE", `${name} ends inside the address at byte ${at}`);
}
