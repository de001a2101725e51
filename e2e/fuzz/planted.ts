/**
 * A parser with a fault that was put in on purpose, behind four bytes that are checked one after the other: one in 2^32
 * blind inputs comes to it, or one in some thousands that are guided. Imported as `planted.ts?KIND`.
 */
import { ZgateError } from "../../shared/errors.ts";
import type { Parser } from "./parser.ts";

const kind = new URL(import.meta.url).search.slice(1);
const hoard: number[][] = [];

function parse(bytes: Uint8Array): void {
  if (bytes[0] !== 0x7a) throw refusal(0);
  if (bytes[1] !== 0x67) throw refusal(1);
  if (bytes[2] !== 0x61) throw refusal(2);
  if (bytes[3] !== 0x74) throw refusal(3);
  if (kind === "throw") throw new RangeError("planted");
  if (kind === "hang") for (;;);
  // At once, by the engine: made one by one they take seconds, which is a fault of its own.
  if (kind === "memory") for (;;) hoard.push(Array<number>(1_000_000).fill(hoard.length));
}

function refusal(at: number): ZgateError {
  return new ZgateError("ZG_CONFIG_INVALID", `byte ${at} is another`);
}

export const PARSERS: readonly Parser[] = [{ name: "planted", parse }];
