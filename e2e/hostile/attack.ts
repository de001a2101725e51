/**
 * What an attack is: what it sends, and what the relay must do about it. The tables of attacks are in
 * `http3-attacks.ts`, `tunnel-attacks.ts`, `packet-attacks.ts` and `flood-attacks.ts`.
 */
import type { Peer } from "./peer.ts";

export interface Attack {
  readonly name: string;
  /** Runs in a process of its own, `peer.ts`. Resolves when all that it has to send was sent. */
  readonly run: (peer: Peer) => Promise<void>;
  /** The code that the connection is closed with. Absent: the connection stays open. */
  readonly closes?: number;
  /** The statuses of the answers that `Peer.ask` got, in order. */
  readonly statuses?: readonly number[];
  /** Counters of the relay, as they stand in /metrics, and how much they have to grow at least. */
  readonly counts?: Readonly<Record<string, number>>;
  /** UDP packets that came back through the tunnel, at least 1 or none. */
  readonly echoes?: "some" | "none";
}

/** What the process of an attack prints, as one line of JSON. */
export interface AttackReport {
  /** How the connection that was attacked ended; null when it is open. */
  readonly closed: { readonly source: string; readonly code: number; readonly reason: string } | null;
  readonly statuses: readonly number[];
  readonly echoes: number;
}
