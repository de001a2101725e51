/** Quantities that must not be mixed up get types of their own. */
declare const unit: unique symbol;
type Branded<Name extends string> = number & { readonly [unit]: Name };

/** The MTU of the TUN device: the largest inner IP packet, in bytes. */
export type TunMtu = Branded<"TunMtu">;
/** A monotonic time in milliseconds, as `performance.now()` gives it. */
export type MonotonicMs = Branded<"MonotonicMs">;
/** Wall-clock time in milliseconds since 1970-01-01T00:00:00Z. */
export type UnixMs = Branded<"UnixMs">;

/** A length of time in milliseconds. */
export type DurationMs = Branded<"DurationMs">;

export const tunMtu = (bytes: number): TunMtu => bytes as TunMtu;
export const monotonicMs = (milliseconds: number): MonotonicMs => milliseconds as MonotonicMs;
export const unixMs = (milliseconds: number): UnixMs => milliseconds as UnixMs;
export const durationMs = (milliseconds: number): DurationMs => milliseconds as DurationMs;
