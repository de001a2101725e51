/** The sessions that are open, found by tunnel address and by client. */
import type { Lease } from "./lease-pool.ts";

/** What the table needs to know of a session. */
export interface TableEntry {
  readonly id: string;
  readonly lease: Lease;
}

/** The sessions of a client that has none. */
const NONE: ReadonlySet<never> = new Set();

export class SessionTable<S extends TableEntry> {
  readonly #bySlot: (S | undefined)[] = [];
  readonly #byId = new Map<string, S>();
  /** Oldest first. */
  readonly #byClient = new Map<string, Set<S>>();

  get size(): number {
    return this.#byId.size;
  }

  [Symbol.iterator](): IterableIterator<S> {
    return this.#byId.values();
  }

  /** The session that leases this slot. Allocates nothing. */
  at(slot: number): S | undefined {
    return this.#bySlot[slot];
  }

  byId(id: string): S | undefined {
    return this.#byId.get(id);
  }

  /** The client's sessions, oldest first. */
  ofClient(client: string): ReadonlySet<S> {
    return this.#byClient.get(client) ?? NONE;
  }

  add(session: S): void {
    this.#bySlot[session.lease.slot] = session;
    this.#byId.set(session.id, session);
    const siblings = this.#byClient.get(session.lease.client);
    if (siblings === undefined) this.#byClient.set(session.lease.client, new Set([session]));
    else siblings.add(session);
  }

  /** Idempotent. */
  remove(session: S): void {
    if (!this.#byId.delete(session.id)) return;
    if (this.#bySlot[session.lease.slot] === session) this.#bySlot[session.lease.slot] = undefined;
    const { client } = session.lease;
    const siblings = this.#byClient.get(client);
    siblings?.delete(session);
    if (siblings?.size === 0) this.#byClient.delete(client);
  }
}
