/**
 * Our segments against the kernel's. A super-packet goes into a TUN device with offload, the kernel forwards
 * it to one without and so has to segment it itself; what comes out is compared with what `segment` makes.
 * In a network namespace of its own, in a second process:
 *
 *   this file ── unshare --net ──▶ this file again:   offload on ─▶ kernel forwards ─▶ offload off
 *                                                      zg…in           (TTL - 1)         zg…out
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { openTun } from "../native/addon.ts";
import type { Tun } from "../native/tun.ts";
import { Coalescer } from "./coalesce.ts";
import { bytesOf, flows, framed, framesIn, gsoHeader, opened, packetOf } from "./offload-fixture.ts";
import type { Flow } from "./offload-fixture.ts";
import { checkOffload } from "./offload.ts";
import { segment, segmentedSize } from "./segment.ts";
import { PacketView } from "./view.ts";
import { VNET_HEADER } from "./vnet-header.ts";

const LIMIT_MS = 60_000;
const MTU = 1500;
const inside = process.env["ZGATE_KERNEL_TEST"] === "inside";

if (!inside) {
  const skip = process.getuid?.() === 0 ? false : "needs root: it makes a network namespace";
  test("segments in a namespace of its own", { skip, timeout: 2 * LIMIT_MS }, async (t) => {
    const argv = ["--net", process.execPath, "--test-reporter=spec", import.meta.filename];
    const child = spawn("unshare", argv, {
      env: { ...process.env, ZGATE_KERNEL_TEST: "inside", NODE_TEST_CONTEXT: "" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => (output += text));
    t.after(() => child.kill("SIGKILL"));
    const [code] = await once(child, "close");
    assert.equal(code, 0, output);
    assert.match(output, /pass [1-9]/);
  });
} else {
  const input = openTun({ name: `zg${process.pid}in`, mtu: MTU, offload: true });
  const output = openTun({ name: `zg${process.pid}out`, mtu: MTU, offload: false });
  const ip = (...words: string[]): unknown => execFileSync("ip", words);
  ip("addr", "add", "10.0.0.254/24", "dev", input.name);
  ip("route", "add", "192.0.2.0/24", "dev", output.name);
  ip("addr", "add", "fd00::fe/64", "nodad", "dev", input.name);
  ip("route", "add", "2001:db8::/32", "dev", output.name);
  for (const name of ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]) writeFileSync(`/proc/sys/net/${name}`, "1");
  for (const name of ["all", input.name]) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, "0");
  test.after(() => {
    input.close();
    output.close();
  });

  for (const flow of flows.map(outward)) {
    const size = 1_000;
    const data = bytesOf(20 * size + 321);

    test(`${flow.name}: the kernel makes the packets that segment makes`, { timeout: LIMIT_MS }, async (t) => {
      if (!canSegment(input, flow)) return t.skip("this kernel has no such offload");
      const packet = opened(packetOf(flow, { id: 65_530, seq: 0xffff_f000, flags: 0x99, data }), flow);
      const header = gsoHeader(flow, size);
      const view = new PacketView();
      assert.ok(view.parse(packet, 0, packet.length));
      assert.equal(checkOffload(header, view, MTU), undefined);
      const frame = new Uint8Array(VNET_HEADER + packet.length);
      header.write(frame, 0);
      frame.set(packet, VNET_HEADER);
      const slab = framed([frame]);
      const found = packetsOut(output, flow, 21);
      assert.equal(input.write(slab, 0, slab.length), slab.length);

      packet[flow.version === 4 ? 8 : 7]! -= 1;
      const out = new Uint8Array(segmentedSize(header, view));
      const expected = framesIn(out.subarray(0, segment(header, view, packet, out, 0)));
      assertSame(await found, expected);
    });

    test(`${flow.name}: the kernel takes apart what Coalescer put together`, { timeout: LIMIT_MS }, async (t) => {
      if (!canSegment(input, flow)) return t.skip("this kernel has no such offload");
      const pieces = Array.from({ length: 21 }, (_, i) => data.slice(i * size, (i + 1) * size));
      const make = (ttlLess: number): Uint8Array[] =>
        pieces.map((piece, i) => {
          const packet = packetOf(flow, {
            id: 65_530 + i,
            seq: (0xffff_f000 + i * size) % 2 ** 32,
            flags: i === 20 ? 0x18 : 0x10,
            data: piece,
          });
          return ttlLess === 0 ? packet : routed(packet);
        });
      const slab = framed(make(0));
      const out = new Uint8Array(slab.length + 100);
      const end = new Coalescer(features(input)).run(slab, 0, slab.length, out, 0);
      const found = packetsOut(output, flow, 21);
      assert.equal(input.write(out, 0, end), end);
      assertSame(await found, make(1));
    });
  }
}

/** The flow with addresses that the kernel forwards from one device to the other. */
function outward(flow: Flow): Flow {
  return {
    ...flow,
    ...(flow.version === 4 ? { src: "10.0.0.5", dst: "192.0.2.7" } : { src: "fd00::5", dst: "2001:db8::7" }),
  };
}

function features({ features: has }: Tun): { tso4: boolean; tso6: boolean; uso: boolean } {
  return { tso4: has.tso4, tso6: has.tso6, uso: has.uso4 && has.uso6 };
}

function canSegment(tun: Tun, { version, protocol }: Flow): boolean {
  const { tso4, tso6, uso } = features(tun);
  if (protocol === 17) return uso;
  return version === 4 ? tso4 : tso6;
}

/** The packet as a router passes it on: one hop less, and over IPv4 a checksum that follows (RFC 1624). */
function routed(packet: Uint8Array): Uint8Array {
  const result = packet.slice();
  if (packet[0]! >> 4 === 6) {
    result[7]! -= 1;
    return result;
  }
  result[8]! -= 1;
  const checksum = packet[10]! * 256 + packet[11]! + 0x100;
  const folded = (checksum & 0xffff) + (checksum >> 16);
  result.set([folded >> 8, folded & 255], 10);
  return result;
}

/** The next `count` packets of the flow's protocol that the kernel sends out of the device. */
function packetsOut(tun: Tun, flow: Flow, count: number): Promise<Uint8Array[]> {
  const slab = new Uint8Array(256 * 1024);
  const packets: Uint8Array[] = [];
  return new Promise((resolve) => {
    tun.onReadable = () => {
      const bytes = tun.read(slab, 0, slab.length);
      packets.push(
        ...framesIn(slab.slice(0, bytes)).filter(
          (packet) => packet[0]! >> 4 === flow.version && packet[flow.version === 4 ? 9 : 6] === flow.protocol,
        ),
      );
      if (packets.length < count) return;
      tun.onReadable = undefined;
      resolve(packets);
    };
  });
}

function assertSame(found: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  assert.equal(found.length, expected.length);
  for (const [i, packet] of found.entries())
    assert.equal(Buffer.from(packet).toString("hex"), Buffer.from(expected[i]!).toString("hex"), `packet ${i}`);
}
