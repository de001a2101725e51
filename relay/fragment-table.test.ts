import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { extension, fragmentHeader, ipv4, ipv6, u16, udp } from "../shared/packet/fixture.ts";
import { PacketView } from "../shared/packet/view.ts";
import { FRAGMENT_ENTRIES, FRAGMENT_MS } from "./constants.ts";
import { FragmentTable } from "./fragment-table.ts";

interface Datagram {
  readonly version: 4 | 6;
  readonly src: string;
  readonly dst: string;
  readonly id: number;
}

const V4: Datagram = { version: 4, src: "10.0.0.1", dst: "10.0.0.2", id: 7 };
const V6: Datagram = { version: 6, src: "fd00::1", dst: "fd00::2", id: 0xffff_fff0 };

function viewOf(packet: Uint8Array): PacketView {
  const view = new PacketView();
  assert.ok(view.parse(packet, 0, packet.length));
  return view;
}

const DATA = Array.from({ length: 64 }, (_, index) => index);

/** A fragment of the datagram: the first one, or one that follows. */
function fragment({ version, src, dst, id }: Datagram, offset: number): PacketView {
  const payload = offset === 0 ? [...u16(1000), ...u16(53), 0, 80, 0, 0, ...DATA] : DATA;
  if (version === 4) return viewOf(ipv4({ src, dst, id, flagsAndOffset: 0x2000 | (offset / 8), payload }));
  return viewOf(ipv6({ src, dst, protocol: 44, payload: [...fragmentHeader(17, offset, true, id), ...payload] }));
}
const first = (datagram: Datagram): PacketView => fragment(datagram, 0);
const later = (datagram: Datagram): PacketView => fragment(datagram, 512);

describe("later fragments", () => {
  for (const datagram of [V4, V6]) {
    const { version } = datagram;
    test(`IPv${version}: belong to the flow of their first one, all of them`, () => {
      const table = new FragmentTable();
      table.remember(first(datagram), 3, 0);
      for (const offset of [8, 512, 1024, 512]) assert.equal(table.find(fragment(datagram, offset), 1), 3);
    });

    const src = version === 4 ? "10.0.0.9" : "fd00::1:0:0:1";
    const dst = version === 4 ? "10.0.0.1" : "fd00:1::2";
    for (const other of [{ src }, { dst }, { id: 8 }, { src: datagram.dst, dst: datagram.src }]) {
      test(`IPv${version}: are orphans when ${JSON.stringify(other)} is another`, () => {
        const table = new FragmentTable();
        table.remember(first(datagram), 3, 0);
        assert.equal(table.find(later({ ...datagram, ...other }), 1), -1);
      });
    }
  }

  test("of IPv4 and IPv6 do not meet where the words of their addresses are the same", () => {
    const table = new FragmentTable();
    table.remember(first(V4), 3, 0);
    assert.equal(table.find(later({ ...V4, version: 6, src: "::a00:1", dst: "::a00:2" }), 1), -1);
  });

  test("of two protocols over IPv4 do not meet: each counts its own identifications", () => {
    const table = new FragmentTable();
    const ping = (flagsAndOffset: number): PacketView =>
      viewOf(ipv4({ ...V4, protocol: 1, flagsAndOffset, payload: [8, 0, 0, 0, 0, 1, 0, 1, ...DATA] }));
    table.remember(ping(0x2000), 3, 0);
    table.remember(first(V4), 4, 0);
    assert.deepEqual([table.find(ping(64), 1), table.find(later(V4), 1)], [3, 4]);
  });

  test("over IPv6 belong to their first one, whatever headers stand behind the fragment header of that", () => {
    const table = new FragmentTable();
    const payload = [...fragmentHeader(60, 0, true, V6.id), ...extension(17), ...udp(1000, 53, DATA)];
    table.remember(viewOf(ipv6({ ...V6, protocol: 44, payload })), 3, 0);
    assert.equal(table.find(later(V6), 1), 3);
  });

  test(`are orphans after ${FRAGMENT_MS} ms, and not before`, () => {
    const table = new FragmentTable();
    table.remember(first(V4), 3, 1000);
    assert.equal(table.find(later(V4), 1000 + FRAGMENT_MS - 1), 3);
    assert.equal(table.find(later(V4), 1000 + FRAGMENT_MS), -1);
  });

  test("are orphans when their flow is gone; another flow's are not", () => {
    const table = new FragmentTable();
    table.remember(first(V4), 3, 0);
    table.remember(first(V6), 4, 0);
    table.remember(first({ ...V4, id: 9 }), 3, 0);
    table.forget(3);
    assert.deepEqual(
      [V4, V6, { ...V4, id: 9 }].map((datagram) => table.find(later(datagram), 1)),
      [-1, 4, -1],
    );
  });

  test("follow the first one that came last, when an identification is used again", () => {
    const table = new FragmentTable();
    table.remember(first(V4), 3, 0);
    table.remember(first(V4), 5, 10);
    assert.equal(table.find(later(V4), 11), 5);
  });
});

test(`as a list of the last ${FRAGMENT_ENTRIES} first fragments says`, () => {
  const step = fc.record({
    kind: fc.constantFrom("remember", "remember", "find", "forget"),
    id: fc.nat(FRAGMENT_ENTRIES * 2),
    slot: fc.nat(5),
    passedMs: fc.nat(FRAGMENT_MS / 8),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new FragmentTable();
      const model: { id: number; slot: number; atMs: number }[] = [];
      let nowMs = 0;
      for (const { kind, id, slot, passedMs } of steps) {
        nowMs += passedMs;
        if (kind === "remember") {
          table.remember(first({ ...V4, id }), slot, nowMs);
          model.unshift({ id, slot, atMs: nowMs });
          model.length = Math.min(model.length, FRAGMENT_ENTRIES);
        } else if (kind === "forget") {
          table.forget(slot);
          for (const entry of model) if (entry.slot === slot) entry.slot = -1;
        } else {
          const known = model.find((entry) => entry.id === id && nowMs - entry.atMs < FRAGMENT_MS);
          assert.equal(table.find(later({ ...V4, id }), nowMs), known?.slot ?? -1);
        }
      }
    }),
  );
});
