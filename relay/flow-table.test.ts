import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { allocatedPerRun } from "../shared/allocation.ts";
import { formatAddress } from "../shared/packet/address.ts";
import { fragmentHeader, icmp, ipv4, ipv6, tcp, udp, words } from "../shared/packet/fixture.ts";
import { PacketView } from "../shared/packet/view.ts";
import {
  FIRST_FLOWS,
  FLOWS_A_ROW,
  FLOW_IDLE_CLOSED_MS,
  FLOW_IDLE_HALF_CLOSED_MS,
  FLOW_IDLE_ICMP_MS,
  FLOW_IDLE_OTHER_MS,
  FLOW_IDLE_TCP_MS,
  FLOW_IDLE_UDP_MS,
  MAX_PROBES,
  MAX_SESSION_FLOWS,
  ROW_WEIGHT,
} from "./constants.ts";
import { FlowBudget } from "./flow-budget.ts";
import { hashKey, KEY_WORDS, putKey } from "./flow-key.ts";
import { FlowTable } from "./flow-table.ts";

const CLIENT = "10.90.0.2";
const ignore = (): void => {};

function viewOf(packet: Uint8Array): PacketView {
  const view = new PacketView();
  assert.ok(view.parse(packet, 0, packet.length));
  return view;
}

const up = (port: number, dst = "192.0.2.1"): PacketView => viewOf(ipv4({ src: CLIENT, dst, payload: udp(port, 53) }));
const down = (port: number, src = "192.0.2.1"): PacketView =>
  viewOf(ipv4({ src, dst: CLIENT, payload: udp(53, port) }));
const segment = (flags: number): PacketView => viewOf(ipv4({ src: CLIENT, protocol: 6, payload: tcp({ flags }) }));
const answer = (flags: number): PacketView =>
  viewOf(ipv4({ src: "10.0.0.2", dst: CLIENT, protocol: 6, payload: tcp({ srcPort: 443, dstPort: 40_000, flags }) }));

function table(flows = MAX_SESSION_FLOWS): FlowTable {
  return new FlowTable(new FlowBudget(flows), 7);
}

describe("FlowTable", () => {
  test("a flow from its first packet to its record", () => {
    const flows = table();
    assert.equal(flows.find(up(5000)), -1);
    const slot = flows.insert(up(5000), 42, 1_000);
    assert.equal(flows.find(up(5000)), slot);
    assert.equal(flows.findReply(down(5000)), slot);
    assert.equal(flows.findReply(up(5000)), -1);
    assert.equal(flows.find(up(5001)), -1);
    assert.equal(flows.size, 1);
    flows.countUp(slot, up(5000), 1_010);
    flows.countUp(slot, up(5000), 1_020);
    flows.countDown(slot, down(5000), 1_030);
    assert.deepEqual(flows.describe(slot), {
      ...{
        version: 4,
        protocol: 17,
        src: words(CLIENT),
        dst: words("192.0.2.1"),
        hasPorts: true,
        srcPort: 5000,
        dstPort: 53,
      },
      ...{ icmpType: -1, icmpId: 0, firstMs: 1_000, lastMs: 1_030 },
      ...{ upPackets: 2, upBytes: 56, downPackets: 1, downBytes: 28, verdict: 42 },
    });
    assert.deepEqual(
      { ...flows.target(slot) },
      {
        version: 4,
        protocol: 17,
        dst0: 0,
        dst1: 0,
        dst2: 0,
        dst3: 0xc000_0201,
        hasPorts: true,
        dstPort: 53,
        icmpType: -1,
      },
    );
    flows.remove(slot);
    assert.equal(flows.find(up(5000)), -1);
    assert.equal(flows.size, 0);
  });

  const pairs = [
    {
      name: "ICMP echo",
      question: ipv4({ protocol: 1, payload: icmp(8, 0, 0x1234_0001) }),
      reply: ipv4({ src: "10.0.0.2", dst: "10.0.0.1", protocol: 1, payload: icmp(0, 0, 0x1234_0009) }),
      type: 8,
    },
    {
      name: "ICMP timestamp",
      question: ipv4({ protocol: 1, payload: icmp(13, 0, 0x1234_0001) }),
      reply: ipv4({ src: "10.0.0.2", dst: "10.0.0.1", protocol: 1, payload: icmp(14, 0, 0x1234_0001) }),
      type: 13,
    },
    {
      name: "ICMPv6 echo",
      question: ipv6({ protocol: 58, payload: icmp(128, 0, 0x1234_0001) }),
      reply: ipv6({ src: "fd00::2", dst: "fd00::1", protocol: 58, payload: icmp(129, 0, 0x1234_0001) }),
      type: 128,
    },
    {
      name: "TCP over IPv6",
      question: ipv6({ protocol: 6, payload: tcp({}) }),
      reply: ipv6({ src: "fd00::2", dst: "fd00::1", protocol: 6, payload: tcp({ srcPort: 443, dstPort: 40_000 }) }),
      type: -1,
    },
    {
      name: "GRE",
      question: ipv4({ protocol: 47 }),
      reply: ipv4({ src: "10.0.0.2", dst: "10.0.0.1", protocol: 47 }),
      type: -1,
    },
  ];
  for (const { name, question, reply, type } of pairs) {
    test(`${name} finds its answer`, () => {
      const flows = table();
      const slot = flows.insert(viewOf(question), 0, 0);
      assert.equal(flows.findReply(viewOf(reply)), slot);
      assert.equal(flows.find(viewOf(reply)), -1);
      assert.equal(flows.describe(slot).icmpType, type);
      assert.equal(flows.target(slot).icmpType, type);
    });
  }

  test("an echo reply of another identifier answers nothing", () => {
    const flows = table();
    flows.insert(viewOf(ipv4({ protocol: 1, payload: icmp(8, 0, 0x1234_0001) })), 0, 0);
    assert.equal(
      flows.findReply(
        viewOf(ipv4({ src: "10.0.0.2", dst: "10.0.0.1", protocol: 1, payload: icmp(0, 0, 0x1235_0001) })),
      ),
      -1,
    );
  });

  test("a first fragment is of the same flow as a whole packet", () => {
    const flows = table();
    const slot = flows.insert(viewOf(ipv6({ payload: udp(1, 2) })), 0, 0);
    assert.equal(
      flows.find(viewOf(ipv6({ protocol: 44, payload: [...fragmentHeader(17, 0, true, 1), ...udp(1, 2)] }))),
      slot,
    );
  });

  test("a flow has the verdict that was given last", () => {
    const flows = table();
    const slot = flows.insert(up(1), 1, 0);
    assert.equal(flows.verdict(slot), 1);
    flows.judge(slot, 2);
    assert.equal(flows.verdict(slot), 2);
  });

  test("flows in doubt are visited once, so many at a time as are asked for, and new ones among them", () => {
    const flows = table();
    const slots = Array.from({ length: 10 }, (_, port) => flows.insert(up(port), 1, 0));
    assert.ok(slots.every((slot) => flows.isJudged(slot)));
    flows.doubt();
    assert.ok(slots.every((slot) => !flows.isJudged(slot)));
    flows.remove(slots[5]!);
    const visited: number[] = [];
    const sweep = (limit: number): number => flows.sweep((slot) => void visited.push(slot), limit);
    assert.equal(sweep(4), 4);
    assert.deepEqual([flows.isJudged(slots[3]!), flows.isJudged(slots[4]!)], [true, false]);
    const late = flows.insert(up(99), 1, 0);
    assert.equal(sweep(100), 6);
    assert.deepEqual(visited, [0, 1, 2, 3, 4, late, 6, 7, 8, 9]);
    assert.equal(sweep(100), 0);
    assert.ok(flows.isJudged(flows.insert(up(100), 1, 0)));
  });

  test("an empty table has nothing in doubt", () => {
    const flows = table();
    flows.doubt();
    assert.ok(flows.isJudged(flows.insert(up(1), 1, 0)));
  });

  const lives: {
    name: string;
    packet: PacketView;
    change?: (flows: FlowTable, slot: number) => void;
    idleMs: number;
  }[] = [
    { name: "TCP", packet: segment(0x10), idleMs: FLOW_IDLE_TCP_MS },
    {
      name: "TCP, one FIN",
      packet: segment(0x10),
      change: (flows, slot) => flows.countUp(slot, segment(0x11), 0),
      idleMs: FLOW_IDLE_HALF_CLOSED_MS,
    },
    {
      name: "TCP, two FINs of one side",
      packet: segment(0x10),
      change: (flows, slot) => (flows.countDown(slot, answer(0x11), 0), flows.countDown(slot, answer(0x11), 0)),
      idleMs: FLOW_IDLE_HALF_CLOSED_MS,
    },
    {
      name: "TCP, both FINs",
      packet: segment(0x10),
      change: (flows, slot) => (flows.countUp(slot, segment(0x11), 0), flows.countDown(slot, answer(0x11), 0)),
      idleMs: FLOW_IDLE_CLOSED_MS,
    },
    {
      name: "TCP, reset",
      packet: segment(0x10),
      change: (flows, slot) => flows.countDown(slot, answer(0x14), 0),
      idleMs: FLOW_IDLE_CLOSED_MS,
    },
    { name: "UDP", packet: up(1), idleMs: FLOW_IDLE_UDP_MS },
    { name: "ICMP", packet: viewOf(ipv4({ protocol: 1, payload: icmp(8, 0, 1) })), idleMs: FLOW_IDLE_ICMP_MS },
    { name: "GRE", packet: viewOf(ipv4({ protocol: 47 })), idleMs: FLOW_IDLE_OTHER_MS },
  ];
  for (const { name, packet, change, idleMs } of lives) {
    test(`${name} ends after ${idleMs / 1000} idle seconds`, () => {
      const flows = table();
      const slot = flows.insert(packet, 0, 0);
      change?.(flows, slot);
      const ended: number[] = [];
      flows.expire(idleMs, (gone) => ended.push(gone));
      assert.equal(ended.length, 0);
      flows.expire(idleMs + 1, (gone) => ended.push(gone));
      assert.deepEqual(ended, [slot]);
      assert.equal(flows.find(packet), -1);
    });
  }

  test("flows that end together end so many at a time", () => {
    const flows = table();
    for (let port = 1; port <= 10; port++) flows.insert(up(port), 0, 0);
    const expire = (work: number): number => {
      let ended = 0;
      flows.expire(FLOW_IDLE_UDP_MS + 1, () => ended++, work);
      return ended;
    };
    assert.deepEqual([expire(4), expire(4), expire(4)], [4, 4, 2]);
  });

  test("idle flows are looked for where there may be some, a few rows at a time", () => {
    const flows = table();
    const rows = 6;
    for (let port = 1; port <= rows * FLOWS_A_ROW; port++) flows.insert(up(port), 0, 0);
    const late = flows.find(up(5 * FLOWS_A_ROW));
    for (let port = 1; port <= rows * FLOWS_A_ROW; port++) {
      const slot = flows.find(up(port));
      if (slot !== late) flows.countUp(slot, up(port), 1_000);
    }
    const ended: number[] = [];
    const expire = (nowMs: number, work: number): number => flows.expire(nowMs, (slot) => void ended.push(slot), work);
    const nowMs = FLOW_IDLE_UDP_MS + 1;
    assert.equal(flows.isDue(nowMs - 1), false);
    assert.equal(flows.isDue(nowMs), true);
    assert.equal(expire(nowMs, 2 * ROW_WEIGHT), 0);
    assert.equal(expire(nowMs, 2 * ROW_WEIGHT), 0);
    assert.deepEqual([ended, flows.isDue(nowMs)], [[], true]);
    assert.equal(expire(nowMs, 2 * ROW_WEIGHT + 2), 1, "two rows, and one flow that ended");
    assert.deepEqual([ended, flows.isDue(nowMs)], [[late], false]);
    assert.equal(expire(nowMs, 100), 100, "nothing is looked at twice");
    assert.equal(flows.isDue(nowMs + 1_000), true);
    assert.equal(expire(nowMs + 1_000, Infinity), Infinity);
    assert.equal(flows.size, 0);
  });

  test("a full table gives up what was idle, and keeps the flow that is not", () => {
    const flows = table();
    const evicted: number[] = [];
    flows.onEvicted = (slot) => evicted.push(flows.describe(slot).srcPort);
    const busy = flows.insert(up(60_000), 9, 0);
    for (let i = 0; i < 3 * MAX_SESSION_FLOWS; i++) {
      flows.countDown(busy, down(60_000), i);
      flows.insert(up(1 + (i % 50_000), i < 50_000 ? "192.0.2.1" : "192.0.2.2"), 0, i);
    }
    assert.equal(flows.size, MAX_SESSION_FLOWS);
    assert.equal(flows.findReply(down(60_000)), busy);
    assert.ok(!evicted.includes(60_000));
    assert.equal(evicted.length, 2 * MAX_SESSION_FLOWS + 1);
  });

  test("the budget of the process bounds all tables; what a session gives back, another can have", () => {
    const budget = new FlowBudget(FIRST_FLOWS);
    const greedy = new FlowTable(budget, 1);
    for (let port = 1; port <= 1_000; port++) greedy.insert(up(port), 0, 0);
    assert.equal(greedy.size, 2 * FIRST_FLOWS);
    assert.equal(budget.left, 0);
    const other = new FlowTable(budget, 1);
    for (let port = 1; port <= 1_000; port++) other.insert(up(port), 0, 0);
    assert.equal(other.size, FIRST_FLOWS);
    let ended = 0;
    assert.equal(
      greedy.clear(() => ended++, 2 * FIRST_FLOWS - 1),
      false,
    );
    assert.equal(ended, 2 * FIRST_FLOWS - 1);
    assert.equal(
      greedy.clear(() => ended++, 1),
      true,
    );
    assert.equal(ended, 2 * FIRST_FLOWS);
    assert.equal(greedy.size, 0);
    assert.equal(budget.left, FIRST_FLOWS);
    other.insert(up(2_000), 0, 0);
    assert.equal(other.size, FIRST_FLOWS + 1);
  });

  test("flows that collide on purpose evict each other and nobody else", () => {
    const seed = 7;
    const flows = new FlowTable(new FlowBudget(MAX_SESSION_FLOWS), seed);
    const others = MAX_SESSION_FLOWS / 2 + 1;
    for (let i = 0; i < others; i++) flows.insert(up(1 + i, "192.0.2.9"), 0, 0);
    // The index has 32,768 positions now; these keys are all meant for one of 16 that lie together.
    const key = new Int32Array(KEY_WORDS);
    const hostile: PacketView[] = [];
    const view = up(1);
    for (let i = 0; hostile.length < 4 * MAX_PROBES; i++) {
      view.dst3 = 0x0b00_0000 + i;
      putKey(key, view);
      if ((hashKey(key, seed) & 0x7ff0) === 0) hostile.push(up(1, formatAddress(4, 0, 0, 0, view.dst3)));
    }
    let evicted = 0;
    flows.onEvicted = () => evicted++;
    for (const packet of hostile) {
      const slot = flows.insert(packet, 1, 0);
      assert.equal(flows.find(packet), slot);
    }
    assert.ok(evicted > hostile.length - 2 * MAX_PROBES && evicted < hostile.length);
    assert.equal(flows.size, others + hostile.length - evicted);
    let found = 0;
    for (const packet of hostile) if (flows.find(packet) >= 0) found++;
    for (let i = 0; i < others; i++) if (flows.find(up(1 + i, "192.0.2.9")) >= 0) found++;
    assert.equal(found, flows.size);
    flows.forEach((slot) => flows.remove(slot));
    assert.equal(flows.size, 0);
  });

  test("a visit may remove what it visits", () => {
    const flows = table();
    for (let port = 1; port <= 500; port++) flows.insert(up(port), port, 0);
    flows.forEach((slot) => {
      if (flows.verdict(slot) % 2 === 0) flows.remove(slot);
    });
    assert.equal(flows.size, 250);
    for (let port = 1; port <= 500; port++) assert.equal(flows.find(up(port)) >= 0, port % 2 === 1);
  });

  test("finding and counting allocate nothing", () => {
    const flows = table();
    const packets = Array.from({ length: 4 }, (_, i) => up(1_000 + i));
    const answers = Array.from({ length: 4 }, (_, i) => down(1_000 + i));
    for (const packet of packets) flows.insert(packet, 1, 0);
    const bytes = allocatedPerRun(() => {
      for (let i = 0; i < packets.length; i++) {
        flows.countUp(flows.find(packets[i]!), packets[i]!, 17.5);
        flows.countDown(flows.findReply(answers[i]!), answers[i]!, 18.5);
      }
    });
    assert.ok(bytes < 1, `${bytes} bytes for 8 packets`);
  });
});

/** What a table does, told to a Map as well. Ports are few, so that flows meet. */
type Step =
  | { readonly act: "packet"; readonly port: number; readonly host: number; readonly reply: boolean }
  | { readonly act: "remove"; readonly port: number; readonly host: number }
  | { readonly act: "expire"; readonly after: number };

const port = fc.integer({ min: 1, max: 60 });
const host = fc.integer({ min: 1, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ act: fc.constant("packet" as const), port, host, reply: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant("remove" as const), port, host }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("expire" as const), after: fc.nat(FLOW_IDLE_UDP_MS) }) },
);

test("a table is a Map that may forget, and tells what it forgets", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), fc.boolean(), (steps, seed, grows) => {
      const flows = new FlowTable(new FlowBudget(grows ? 1_000 : 0), seed);
      const model = new Map<string, { packets: number; lastMs: number }>();
      const nameAt = (slot: number): string => `${flows.describe(slot).srcPort} ${flows.describe(slot).dst[3] & 255}`;
      flows.onEvicted = (slot) => assert.ok(model.delete(nameAt(slot)));
      let nowMs = 0;
      for (const action of steps) {
        if (action.act === "expire") {
          nowMs += action.after;
          const before = nowMs;
          flows.expire(nowMs, (slot) => {
            assert.ok(before - model.get(nameAt(slot))!.lastMs > FLOW_IDLE_UDP_MS);
            model.delete(nameAt(slot));
          });
          assert.ok([...model.values()].every(({ lastMs }) => nowMs - lastMs <= FLOW_IDLE_UDP_MS));
          continue;
        }
        const name = `${action.port} ${action.host}`;
        const remote = `192.0.2.${action.host}`;
        const known = model.get(name);
        const slot = flows.find(up(action.port, remote));
        assert.equal(slot >= 0, known !== undefined);
        assert.equal(flows.findReply(down(action.port, remote)), slot);
        if (action.act === "remove") {
          if (slot >= 0) flows.remove(slot);
          model.delete(name);
        } else if (known === undefined) {
          assert.equal(nameAt(flows.insert(up(action.port, remote), 0, nowMs)), name);
          model.set(name, { packets: 0, lastMs: nowMs });
        } else {
          if (action.reply) flows.countDown(slot, down(action.port, remote), nowMs);
          else flows.countUp(slot, up(action.port, remote), nowMs);
          known.packets++;
          known.lastMs = nowMs;
        }
        assert.equal(flows.size, model.size);
      }
      const found = new Map<string, number>();
      flows.forEach((slot) =>
        found.set(nameAt(slot), flows.describe(slot).upPackets + flows.describe(slot).downPackets),
      );
      assert.deepEqual(found, new Map([...model].map(([name, { packets }]) => [name, packets])));
      flows.clear(ignore);
      assert.equal(flows.size, 0);
    }),
    { numRuns: 100 },
  );
});
