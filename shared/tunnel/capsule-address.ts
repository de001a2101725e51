/** The parts that all address capsules share: the IP version and an address of that family (RFC 9484 section 4.7). */
import { ZgateError } from "../errors.ts";
import type { AddressWords, IpVersion } from "../packet/address.ts";
import { putU32, u32At } from "../packet/bytes.ts";

/** Bytes of an address. */
export function addressSize(version: IpVersion): 4 | 16 {
  return version === 4 ? 4 : 16;
}

/** Reads the version byte at `value[at]`. Throws a `ZgateError` `ZG_CAPSULE`; `name` is the capsule's. */
export function readVersion(name: string, value: Uint8Array, at: number): IpVersion {
  const version = value[at];
  if (version === 4 || version === 6) return version;
  if (version === undefined) throw new ZgateError("ZG_CAPSULE", `${name} ends before the IP version at byte ${at}`);
  throw new ZgateError("ZG_CAPSULE", `${name} has the IP version ${version} at byte ${at}: expected 4 or 6`);
}

/** Reads the address at `value[at]`; the caller has checked that it is all there. */
export function readAddress(version: IpVersion, value: Uint8Array, at: number): AddressWords {
  if (version === 4) return [0, 0, 0, u32At(value, at)];
  return [u32At(value, at), u32At(value, at + 4), u32At(value, at + 8), u32At(value, at + 12)];
}

/** Writes an address and returns the offset behind it. */
export function putAddress(version: IpVersion, words: AddressWords, out: Uint8Array, at: number): number {
  if (version === 4) {
    putU32(out, at, words[3]);
    return at + 4;
  }
  for (const [i, word] of words.entries()) putU32(out, at + 4 * i, word);
  return at + 16;
}
