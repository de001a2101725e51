import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_LEASE_SLOTS } from "./constants.ts";
import type { AddressWords, Prefix } from "../shared/packet/address.ts";
import { type Lease, LeasePool } from "./lease-pool.ts";

/** The prefix of 10.77.0.0 with the given length. */
const pool4 = (length: number): Prefix => ({
  version: 4,
  words: [0, 0, 0, length < 16 ? 0x0a000000 : 0x0a4d0000],
  length,
});
/** fd77:7a67:: with the given length. */
const pool6 = (length: number): Prefix => ({ version: 6, words: [0xfd777a67, 0, 0, 0], length });
/** A pool of `slots` slots: 1, 5, 13, 29 for these IPv4 lengths. */
const LENGTH_OF_SLOTS = { 1: 30, 5: 29, 13: 28, 29: 27 } as const;

test("the first client gets the address after the relay's own", () => {
  const pool = new LeasePool(pool4(16), pool6(64));
  assert.deepEqual(pool.relayIpv4, [0, 0, 0, 0x0a4d0001]);
  assert.deepEqual(pool.relayIpv6, [0xfd777a67, 0, 0, 1]);
  assert.deepEqual(pool.lease("alice", 1), {
    slot: 0,
    client: "alice",
    ipv4: [0, 0, 0, 0x0a4d0002],
    ipv6: [0xfd777a67, 0, 0, 2],
  });
});

test("capacity is that of the smaller pool, and bounded", () => {
  const cases: readonly (readonly [v4: number, v6: number, capacity: number])[] = [
    [30, 64, 1],
    [29, 64, 5],
    [16, 64, 65_533],
    [16, 126, 2],
    [16, 120, 254],
    [8, 64, MAX_LEASE_SLOTS],
    [8, 48, MAX_LEASE_SLOTS],
  ];
  for (const [v4, v6, capacity] of cases) {
    assert.equal(new LeasePool(pool4(v4), pool6(v6)).capacity, capacity, `/${v4} and /${v6}`);
  }
});

test("a pool that cannot be used is refused with what to do", () => {
  const cases: readonly (readonly [v4: Prefix, v6: Prefix, message: string])[] = [
    [pool4(31), pool6(64), "pool4: /31 has no room for a client; give /30 or a larger pool"],
    [pool4(16), pool6(127), "pool6: /127 has no room for a client; give /126 or a larger pool"],
    [pool6(64), pool6(64), "pool4: this is an IPv6 prefix; give an IPv4 one"],
    [pool4(16), pool4(16), "pool6: this is an IPv4 prefix; give an IPv6 one"],
    [
      { version: 4, words: [0, 0, 0, 0x0a4d0001], length: 16 },
      pool6(64),
      "pool4: bits are set after its /16; give the first address of the prefix",
    ],
    [
      pool4(16),
      { version: 6, words: [0xfd777a67, 0, 0, 4], length: 64 },
      "pool6: bits are set after its /64; give the first address of the prefix",
    ],
  ];
  for (const [v4, v6, message] of cases) {
    assert.throws(() => new LeasePool(v4, v6), { code: "ZG_CONFIG_INVALID", message });
  }
});

test("a client gets its address again, also after others came and went", () => {
  const pool = new LeasePool(pool4(16), pool6(64));
  const alice = pool.lease("alice", 1);
  pool.lease("bob", 1);
  pool.release(alice);
  pool.release(pool.lease("carol", 1));
  assert.deepEqual(pool.lease("alice", 1), alice);
});

test("the address of a client that is away is given to another one only when no other is free", () => {
  const pool = new LeasePool(pool4(29), pool6(64));
  const alice = pool.lease("alice", 1);
  pool.release(alice);
  const others = ["b", "c", "d", "e"].map((name) => pool.lease(name, 1).slot);
  assert.ok(!others.includes(alice.slot));
  assert.equal(pool.lease("f", 1).slot, alice.slot);
  assert.throws(() => pool.lease("alice", 1), {
    code: "ZG_POOL_EMPTY",
    message: "all 5 tunnel addresses are leased; use a larger pool (pool4, pool6)",
  });
});

test("a client has at most as many sessions as it may, each with its own addresses", () => {
  const pool = new LeasePool(pool4(16), pool6(64));
  const first = pool.lease("alice", 2);
  const second = pool.lease("alice", 2);
  assert.notEqual(first.slot, second.slot);
  assert.throws(() => pool.lease("alice", 2), {
    code: "ZG_SESSION_REFUSED",
    message: "client alice has 2 of at most 2 sessions; end one of them first",
  });
  assert.equal(pool.activeOf("alice"), 2);
});

test("an old lease cannot be released in place of its successor", () => {
  const pool = new LeasePool(pool4(16), pool6(64));
  const first = pool.lease("alice", 1);
  pool.release(first);
  const second = pool.lease("alice", 1);
  pool.release(first);
  assert.equal(second.slot, first.slot);
  assert.equal(pool.active, 1);
});

test("a snapshot survives JSON and brings the addresses back; a damaged or foreign one is ignored", () => {
  const pool = new LeasePool(pool4(28), pool6(64));
  const alice = pool.lease("alice", 1);
  const bob = pool.lease("bob", 1);
  pool.release(bob);
  const snapshot: unknown = JSON.parse(JSON.stringify(pool.snapshot()));

  const restarted = new LeasePool(pool4(28), pool6(64));
  assert.equal(restarted.restore(snapshot), 2);
  assert.equal(restarted.lease("carol", 1).slot, 2);
  assert.deepEqual(restarted.lease("bob", 1), bob);
  assert.deepEqual(restarted.lease("alice", 1), alice);

  assert.equal(new LeasePool(pool4(27), pool6(64)).restore(snapshot), 0);
  for (const damaged of [undefined, null, 1, "x", [], {}, { version: 1, pools: [], leases: [["a", -1]] }]) {
    assert.equal(new LeasePool(pool4(28), pool6(64)).restore(damaged), 0);
  }
});

test("every pool address maps to its slot, every other address to -1", () => {
  const pool = new LeasePool(pool4(28), pool6(64));
  for (let low = 0; low < 32; low++) {
    const expected = low >= 2 && low <= 14 ? low - 2 : -1;
    assert.equal(pool.slotOf(4, 0, 0, 0, 0x0a4d0000 + low), expected, `10.77.0.${low}`);
    assert.equal(pool.slotOf(6, 0xfd777a67, 0, 0, low), expected, `fd77:7a67::${low.toString(16)}`);
  }
  assert.equal(pool.slotOf(4, 0, 0, 1, 0x0a4d0002), -1);
  assert.equal(pool.slotOf(6, 0xfd777a67, 0, 1, 2), -1);
  assert.equal(pool.slotOf(4, 0, 0, 0, 0xffffffff), -1);
});

test("against a model: no address twice, stickiness, limits and counts, over random sessions", () => {
  const command = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("lease" as const),
        client: fc.integer({ min: 0, max: 8 }),
        limit: fc.integer({ min: 1, max: 3 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), pick: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
  );
  fc.assert(
    fc.property(fc.constantFrom(1, 5, 13), fc.array(command, { maxLength: 200 }), (slots, commands) => {
      let pool = new LeasePool(pool4(LENGTH_OF_SLOTS[slots as 1 | 5 | 13]), pool6(64));
      const held: Lease[] = [];
      /** Free slots in the order in which they were released, with the client that had each. */
      let free: { slot: number; client: string | undefined }[] = [];
      for (let slot = 0; slot < slots; slot++) free.push({ slot, client: undefined });

      for (const step of commands) {
        if (step.do === "lease") {
          const client = `client-${step.client}`;
          const active = held.filter((lease) => lease.client === client).length;
          if (active >= step.limit) {
            assert.throws(() => pool.lease(client, step.limit), { code: "ZG_SESSION_REFUSED" });
          } else if (free.length === 0) {
            assert.throws(() => pool.lease(client, step.limit), { code: "ZG_POOL_EMPTY" });
          } else {
            const expected = free.findLast((entry) => entry.client === client) ?? free[0]!;
            free = free.filter((entry) => entry !== expected);
            const lease = pool.lease(client, step.limit);
            assert.equal(lease.slot, expected.slot);
            held.push(lease);
          }
        } else if (step.do === "release") {
          const [lease] = held.splice(step.pick % Math.max(1, held.length), 1);
          if (lease === undefined) continue;
          pool.release(lease);
          pool.release(lease);
          free.push({ slot: lease.slot, client: lease.client });
        } else {
          const snapshot: unknown = JSON.parse(JSON.stringify(pool.snapshot()));
          pool = new LeasePool(pool4(LENGTH_OF_SLOTS[slots as 1 | 5 | 13]), pool6(64));
          held.sort((one, other) => one.slot - other.slot);
          free = [
            ...free.filter((entry) => entry.client === undefined).sort((one, other) => one.slot - other.slot),
            ...free.filter((entry) => entry.client !== undefined),
            ...held.map(({ slot, client }) => ({ slot, client })),
          ];
          pool.restore(snapshot);
          held.length = 0;
        }
        assert.equal(pool.active, held.length);
        const slotsInUse = new Set(held.map((lease) => lease.slot));
        assert.equal(slotsInUse.size, held.length);
        for (const lease of held) {
          assert.equal(pool.slotOf(4, ...lease.ipv4), lease.slot);
          assert.equal(pool.slotOf(6, ...lease.ipv6), lease.slot);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("memory does not grow with the number of clients that ever came", () => {
  const pool = new LeasePool(pool4(27), pool6(64));
  for (let index = 0; index < 10_000; index++) pool.release(pool.lease(`client-${index}`, 1));
  const { leases } = pool.snapshot();
  assert.equal(leases.length, pool.capacity);
  assert.deepEqual(leases.at(-1)?.[0], "client-9999");
});

test("a full-size pool is filled, emptied and filled again without a search", () => {
  const pool = new LeasePool(pool4(8), pool6(64));
  const leases = Array.from({ length: pool.capacity }, (_, index) => pool.lease(`client-${index}`, 1));
  for (const lease of leases) pool.release(lease);
  const again = leases.map((lease) => pool.lease(lease.client, 1));
  assert.deepEqual(
    again.map((lease): AddressWords => lease.ipv4),
    leases.map((lease): AddressWords => lease.ipv4),
  );
});
