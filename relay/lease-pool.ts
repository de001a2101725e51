/**
 * The tunnel addresses of the sessions.
 *
 *   lease(client) ─▶ a slot that this client had ─▶ else the slot that was free for longest ─▶ else ZG_POOL_EMPTY
 *   release(slot) ─▶ free again, remembered for its client until someone else needs it
 *
 * A slot is one IPv4 and one IPv6 address with the same host number: network (0) and relay (1) come before
 * slot 0, the IPv4 broadcast address after the last. The slot number is dense, so that the relay can route
 * return packets by an array instead of a hash.
 *
 * An address is four big-endian 32-bit words; an IPv4 address stands in word 3 (`shared/packet/flow.ts`).
 */
import { z } from "zod";
import { ZgateError } from "../shared/errors.ts";
import type { AddressWords, Prefix } from "../shared/packet/address.ts";
import { MAX_LEASE_SLOTS, MAX_POOL_LENGTH_V4, MAX_POOL_LENGTH_V6 } from "./constants.ts";

export interface Lease {
  /** 0 to `capacity - 1`; what `release` and `slotOf` speak of. */
  readonly slot: number;
  readonly client: string;
  readonly ipv4: AddressWords;
  readonly ipv6: AddressWords;
}

/** What `snapshot` gives and `restore` takes, after a JSON round trip. */
export interface LeaseSnapshot {
  readonly version: 1;
  /** The pools that the slots belong to: words and length, as in `Prefix`. */
  readonly pools: readonly (readonly number[])[];
  /** Client and slot, the least recently used first. */
  readonly leases: readonly (readonly [client: string, slot: number])[];
}

const snapshotSchema: z.ZodType<LeaseSnapshot> = z.strictObject({
  version: z.literal(1),
  pools: z.array(z.array(z.number())),
  leases: z.array(z.tuple([z.string(), z.int().nonnegative()])).max(MAX_LEASE_SLOTS),
});

/** The host number of slot 0: after the network and the relay's own address. */
const FIRST_HOST = 2;
const RELAY_HOST = 1;
/** End of a linked list, or a slot that is in none. */
const NONE = -1;

/** The slots of one client. */
interface Holder {
  active: number;
  /** Free slots that it had, the one released last at the end. */
  readonly remembered: number[];
}

export class LeasePool {
  /** How many sessions can have addresses at once. */
  readonly capacity: number;
  readonly relayIpv4: AddressWords;
  readonly relayIpv6: AddressWords;

  readonly #pool4: Prefix;
  readonly #pool6: Prefix;
  /** Who holds or last held each slot. */
  readonly #owners: (string | undefined)[];
  /** The lease that is in force for each slot. */
  readonly #leases: (Lease | undefined)[];
  /** The free slots as a doubly linked list, the one that was free for longest first. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #first = NONE;
  #last = NONE;
  readonly #holders = new Map<string, Holder>();
  #active = 0;

  /** Throws `ZG_CONFIG_INVALID` when a prefix is of the wrong family, too long, or has host bits set. */
  constructor(pool4: Prefix, pool6: Prefix) {
    checkPool(pool4, 4, MAX_POOL_LENGTH_V4);
    checkPool(pool6, 6, MAX_POOL_LENGTH_V6);
    this.#pool4 = pool4;
    this.#pool6 = pool6;
    const slots4 = 2 ** (32 - pool4.length) - FIRST_HOST - 1;
    const slots6 = 2 ** (128 - pool6.length) - FIRST_HOST;
    this.capacity = Math.min(slots4, slots6, MAX_LEASE_SLOTS);
    this.relayIpv4 = addressAt(pool4, RELAY_HOST);
    this.relayIpv6 = addressAt(pool6, RELAY_HOST);
    this.#owners = Array.from({ length: this.capacity });
    this.#leases = Array.from({ length: this.capacity });
    this.#next = new Int32Array(this.capacity).fill(NONE);
    this.#previous = new Int32Array(this.capacity).fill(NONE);
    for (let slot = 0; slot < this.capacity; slot++) this.#append(slot);
  }

  /** Leases in use. */
  get active(): number {
    return this.#active;
  }

  /** Sessions that the client has now. */
  activeOf(client: string): number {
    return this.#holders.get(client)?.active ?? 0;
  }

  /**
   * Leases a pair of addresses for one more session of `client`, which may have `limit` of them at once.
   * Throws `ZG_SESSION_REFUSED` at that limit, and `ZG_POOL_EMPTY` when every slot is in use.
   */
  lease(client: string, limit: number): Lease {
    const holder = this.#holders.get(client);
    if (holder !== undefined && holder.active >= limit) {
      throw new ZgateError(
        "ZG_SESSION_REFUSED",
        `client ${client} has ${holder.active} of at most ${limit} sessions; end one of them first`,
      );
    }
    const slot = holder?.remembered.pop() ?? this.#takeOldest();
    this.#unlink(slot);
    const host = slot + FIRST_HOST;
    const lease = { slot, client, ipv4: addressAt(this.#pool4, host), ipv6: addressAt(this.#pool6, host) };
    this.#leases[slot] = lease;
    this.#owners[slot] = client;
    this.#active++;
    this.#holderOf(client).active++;
    return lease;
  }

  /** Ends a lease; its client gets the slot again unless another one needs it before. Idempotent. */
  release(lease: Lease): void {
    const { slot, client } = lease;
    if (this.#leases[slot] !== lease) return;
    this.#leases[slot] = undefined;
    this.#active--;
    this.#holderOf(client).active--;
    this.#remember(client, slot);
  }

  /** The slot whose tunnel address this is, leased or not; -1 when it is none. Allocates nothing. */
  slotOf(version: 4 | 6, word0: number, word1: number, word2: number, word3: number): number {
    const pool = version === 4 ? this.#pool4 : this.#pool6;
    const [base0, base1, base2, base3] = pool.words;
    if (word0 !== base0 || word1 !== base1 || word2 !== base2) return NONE;
    const slot = word3 - base3 - FIRST_HOST;
    return slot >= 0 && slot < this.capacity ? slot : NONE;
  }

  /** What to keep so that clients get their addresses again after a restart. */
  snapshot(): LeaseSnapshot {
    const leases: [string, number][] = [];
    for (let slot = this.#first; slot !== NONE; slot = this.#next[slot] ?? NONE) {
      const owner = this.#owners[slot];
      if (owner !== undefined) leases.push([owner, slot]);
    }
    for (let slot = 0; slot < this.capacity; slot++) {
      const lease = this.#leases[slot];
      if (lease !== undefined) leases.push([lease.client, slot]);
    }
    return { version: 1, pools: [poolKey(this.#pool4), poolKey(this.#pool6)], leases };
  }

  /**
   * Remembers the leases of a snapshot, as far as their slots are free and nobody's. Returns how many; 0 when
   * it is of other pools or no snapshot at all, which is no error: clients then get other addresses.
   */
  restore(snapshot: unknown): number {
    const parsed = snapshotSchema.safeParse(snapshot);
    if (!parsed.success) return 0;
    const pools = JSON.stringify([poolKey(this.#pool4), poolKey(this.#pool6)]);
    if (JSON.stringify(parsed.data.pools) !== pools) return 0;
    let restored = 0;
    for (const [client, slot] of parsed.data.leases) {
      if (slot >= this.capacity || this.#owners[slot] !== undefined) continue;
      this.#unlink(slot);
      this.#owners[slot] = client;
      this.#remember(client, slot);
      restored++;
    }
    return restored;
  }

  #remember(client: string, slot: number): void {
    this.#holderOf(client).remembered.push(slot);
    this.#append(slot);
  }

  /** The slot that was free for longest; its former owner loses it. */
  #takeOldest(): number {
    const slot = this.#first;
    if (slot === NONE) {
      throw new ZgateError(
        "ZG_POOL_EMPTY",
        `all ${this.capacity} tunnel addresses are leased; use a larger pool (pool4, pool6)`,
      );
    }
    const owner = this.#owners[slot];
    if (owner !== undefined) {
      // Slots are remembered in the order of the free list, so the owner's oldest is this one.
      const holder = this.#holderOf(owner);
      holder.remembered.shift();
      if (holder.active === 0 && holder.remembered.length === 0) this.#holders.delete(owner);
    }
    return slot;
  }

  #holderOf(client: string): Holder {
    let holder = this.#holders.get(client);
    if (holder === undefined) {
      holder = { active: 0, remembered: [] };
      this.#holders.set(client, holder);
    }
    return holder;
  }

  #append(slot: number): void {
    this.#previous[slot] = this.#last;
    this.#next[slot] = NONE;
    if (this.#last === NONE) this.#first = slot;
    else this.#next[this.#last] = slot;
    this.#last = slot;
  }

  #unlink(slot: number): void {
    const before = this.#previous[slot] ?? NONE;
    const after = this.#next[slot] ?? NONE;
    if (before === NONE) this.#first = after;
    else this.#next[before] = after;
    if (after === NONE) this.#last = before;
    else this.#previous[after] = before;
  }
}

function addressAt(pool: Prefix, host: number): AddressWords {
  const [word0, word1, word2, word3] = pool.words;
  return [word0, word1, word2, word3 + host];
}

function poolKey(pool: Prefix): number[] {
  return [...pool.words, pool.length];
}

function checkPool(pool: Prefix, version: 4 | 6, longest: number): void {
  const name = `pool${version}`;
  if (pool.version !== version) {
    throw new ZgateError(
      "ZG_CONFIG_INVALID",
      `${name}: this is an IPv${pool.version} prefix; give an IPv${version} one`,
    );
  }
  if (pool.length > longest) {
    throw new ZgateError(
      "ZG_CONFIG_INVALID",
      `${name}: /${pool.length} has no room for a client; give /${longest} or a larger pool`,
    );
  }
  const hostBits = Math.min(32, (version === 4 ? 32 : 128) - pool.length);
  if (pool.words[3] % 2 ** hostBits !== 0) {
    throw new ZgateError(
      "ZG_CONFIG_INVALID",
      `${name}: bits are set after its /${pool.length}; give the first address of the prefix`,
    );
  }
}
