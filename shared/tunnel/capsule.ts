/**
 * Capsules on the control stream (RFC 9297 section 3.2): varint type, varint length, value.
 *
 *   bytes ▸ type and length ▸ known: value collected, bounded ▸ handed over
 *                            ▸ unknown: value skipped, however long
 */
import { ZgateError } from "../errors.ts";
import { encodeVarint, MAX_VARINT_SIZE, VarintReader, varintSize } from "../wire/varint.ts";
import {
  CAPSULE_ADDRESS_ASSIGN,
  CAPSULE_ADDRESS_REQUEST,
  CAPSULE_DATAGRAM,
  CAPSULE_ROUTE_ADVERTISEMENT,
  MAX_CAPSULE_VALUE,
} from "./constants.ts";

/** Takes one capsule; `value` is valid during the call only. */
export type CapsuleHandler = (type: number, value: Uint8Array) => void;

/** Cuts a stream of bytes into the capsules of the types that connect-ip knows. */
export class CapsuleReader {
  readonly #onCapsule: CapsuleHandler;
  readonly #header = new Uint8Array(2 * MAX_VARINT_SIZE);
  #headerLength = 0;
  readonly #varint = new VarintReader();
  #type = -1;
  /** Bytes of the value that are still to come; -1 in the header. */
  #rest = -1;
  /** The value's part so far; `undefined` while an unknown capsule is skipped. */
  #value: Uint8Array | undefined;

  constructor(onCapsule: CapsuleHandler) {
    this.#onCapsule = onCapsule;
  }

  /** The stream may end here. If not, a capsule was cut off, which is an error (RFC 9297 section 3.3). */
  get atBoundary(): boolean {
    return this.#rest < 0 && this.#headerLength === 0;
  }

  /**
   * Reads the stream's next bytes, `bytes[from, to)`. Throws a `ZgateError` `ZG_CAPSULE` for a known capsule
   * whose value is longer than `MAX_CAPSULE_VALUE`; what the handler throws goes through. The stream is of
   * no use after that.
   */
  push(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (this.#rest < 0) {
        this.#pushHeader(bytes[at]!);
        at++;
      } else {
        const end = Math.min(to, at + this.#rest);
        this.#value?.set(bytes.subarray(at, end), this.#value.length - this.#rest);
        this.#rest -= end - at;
        at = end;
      }
      if (this.#rest === 0) this.#finish();
    }
  }

  #pushHeader(byte: number): void {
    this.#header[this.#headerLength++] = byte;
    if (!this.#varint.read(this.#header, 0, this.#headerLength)) return;
    const type = this.#varint.value;
    if (!this.#varint.read(this.#header, this.#varint.next, this.#headerLength)) return;
    const length = this.#varint.value;
    const known = isKnown(type);
    if (known && length > MAX_CAPSULE_VALUE) {
      throw new ZgateError(
        "ZG_CAPSULE",
        `capsule type ${type} has a value of ${length} bytes: at most ${MAX_CAPSULE_VALUE} are read`,
      );
    }
    this.#type = type;
    this.#rest = length;
    this.#value = known ? new Uint8Array(length) : undefined;
    this.#headerLength = 0;
  }

  #finish(): void {
    const value = this.#value;
    this.#rest = -1;
    this.#value = undefined;
    if (value !== undefined) this.#onCapsule(this.#type, value);
  }
}

/** One capsule, ready to send. */
export function encodeCapsule(type: number, value: Uint8Array): Uint8Array {
  const capsule = new Uint8Array(varintSize(type) + varintSize(value.length) + value.length);
  let at = encodeVarint(type, capsule, 0);
  at += encodeVarint(value.length, capsule, at);
  capsule.set(value, at);
  return capsule;
}

function isKnown(type: number): boolean {
  switch (type) {
    case CAPSULE_DATAGRAM:
    case CAPSULE_ADDRESS_ASSIGN:
    case CAPSULE_ADDRESS_REQUEST:
    case CAPSULE_ROUTE_ADVERTISEMENT:
      return true;
    default:
      return false;
  }
}
