/** How often one source prefix may ask: a token bucket each, for a bounded number of prefixes. Pure. */
import { isIPv4, SocketAddress } from "node:net";
import { MAX_SOURCES, SOURCE_BURST, SOURCE_REQUESTS_PER_MINUTE } from "./constants.ts";
import type { MonotonicMs } from "../units.ts";

interface Bucket {
  tokens: number;
  at: MonotonicMs;
}

export class SourceLimit {
  /** In the order of their last request. */
  readonly #buckets = new Map<string, Bucket>();

  /** Whether a request of the address may pass now. */
  take(address: string, now: MonotonicMs): boolean {
    const prefix = sourcePrefix(address);
    const bucket = this.#buckets.get(prefix) ?? { tokens: SOURCE_BURST, at: now };
    this.#buckets.delete(prefix);
    this.#buckets.set(prefix, bucket);
    if (this.#buckets.size > MAX_SOURCES) this.#forgetOldest();
    bucket.tokens = Math.min(SOURCE_BURST, bucket.tokens + ((now - bucket.at) / 60_000) * SOURCE_REQUESTS_PER_MINUTE);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  #forgetOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

/** IPv4 /24, IPv6 /56: what one user may easily have many addresses of. */
export function sourcePrefix(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
  if (isIPv4(mapped)) return mapped.slice(0, mapped.lastIndexOf("."));
  const { address: canonical } = new SocketAddress({ address: mapped.replace(/%.*$/, ""), family: "ipv6" });
  const [head = "", tail] = canonical.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: missing }, () => "0"), ...right];
  const [a = "0", b = "0", c = "0", d = "0"] = groups;
  return [a, b, c, d.padStart(4, "0").slice(0, 2)].join(":");
}
