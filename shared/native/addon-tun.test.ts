/**
 * The TUN device of the real addon, against the kernel. The tests run in a network namespace of their own,
 * in a second process, so that nothing of this machine's network is touched and the kernel cleans up:
 *
 *   this file ── unshare --net ──▶ this file again: device ⇄ kernel (ping, UDP), device ⇄ device (TCP)
 *             └─ the same without CAP_BPF: what of it depends on that
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { ipv4, ipv6, udp } from "../packet/fixture.ts";
import { openTun } from "./addon.ts";
import { loadSteering, takeSteering } from "./steering.ts";
import type { Tun, TunOptions } from "./tun.ts";

const run = promisify(execFile);
const LIMIT_MS = 60_000;
const SLAB_BYTES = 256 * 1024;
const LENGTH_BYTES = 2;
const VNET_HEADER_BYTES = 10;
const inside = process.env["ZGATE_TUN_TEST"] === "inside";
/** Without it, and without CAP_SYS_ADMIN, a process loads no program into the kernel (capabilities(7)). */
const UNSTEERED = ["setpriv", "--bounding-set=-bpf,-sys_admin"];
const steered = process.env["ZGATE_TUN_UNSTEERED"] === undefined;
/** What a queue of the device holds, packets (TUN_READQ_SIZE in drivers/net/tun.c). */
const QUEUE_PACKETS = 500;
/** Of 130 bytes, in a turn (TURN_BYTES in native/src/constants.rs), which is all but one of a read (READ_FRAMES). */
const TURN_PACKETS = 127;
/** The kernel's own packets, an MLD report and a router solicitation, may be first in a queue and end two reads. */
const MOST_TURNS = 3;
const PINGS = 20;

let opened = 0;

/** A device with a name of its own that is closed after the test. */
function openTestTun(t: TestContext, options: Partial<TunOptions> = {}): Tun {
  const tun = openTun({ name: `zg${process.pid}t${opened++}`, mtu: 1400, offload: false, ...options });
  t.after(() => tun.close());
  return tun;
}

async function ip(...words: string[]): Promise<string> {
  const { stdout } = await run("ip", words);
  return stdout;
}

async function link(name: string): Promise<{ mtu: number; flags: string[]; gso_max_size: number }> {
  return JSON.parse(await ip("-j", "-d", "link", "show", "dev", name))[0];
}

/** The payloads of the frames in `slab[0, filled)`. */
function frames(slab: Uint8Array, filled: number): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let at = 0; at < filled;) {
    const length = new DataView(slab.buffer, slab.byteOffset).getUint16(at);
    all.push(slab.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length));
    at += LENGTH_BYTES + length;
  }
  return all;
}

/** Waits for the first frame that `wanted` accepts; others (router solicitations) pass by. */
function nextFrame(tun: Tun, wanted: (packet: Uint8Array) => boolean): Promise<Uint8Array> {
  const slab = new Uint8Array(SLAB_BYTES);
  return new Promise((resolve) => {
    tun.onReadable = () => {
      for (const frame of frames(slab, tun.read(slab, 0, slab.length))) {
        if (!wanted(frame)) continue;
        tun.onReadable = undefined;
        resolve(frame.slice());
        return;
      }
    };
  });
}

/** Source and destination of an IPv4 packet change places; its header checksum stays right. */
function swapAddresses(packet: Uint8Array): void {
  const source = packet.slice(12, 16);
  packet.copyWithin(12, 16, 20);
  packet.set(source, 16);
}

/** That this network namespace has received over IPv4 (Icmp InEchoReps of proc_pid_net(5), SNMP). */
function echoReplies(): number {
  const [names = [], values = []] = readFileSync("/proc/net/snmp", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("Icmp:"))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf("InEchoReps")]);
}

function framed(packet: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(packet.length >>> 8, packet.length & 0xff), packet]);
}

if (!inside) {
  const skip = process.getuid?.() === 0 ? false : "needs root: it makes a network namespace";
  const again = async (t: TestContext, before: string[], flags: string[], env: NodeJS.ProcessEnv): Promise<void> => {
    const argv = ["--net", ...before, process.execPath, "--test-reporter=spec", ...flags, import.meta.filename];
    const child = spawn("unshare", argv, {
      env: { ...process.env, ZGATE_TUN_TEST: "inside", NODE_TEST_CONTEXT: "", ...env },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => (output += text));
    t.after(() => child.kill("SIGKILL"));
    const [code] = await once(child, "close");
    assert.equal(code, 0, output);
    assert.match(output, /pass [1-9]/);
  };
  test("the TUN device in a namespace of its own", { skip, timeout: 2 * LIMIT_MS }, (t) => again(t, [], [], {}));
  test("without CAP_BPF", { skip, timeout: 2 * LIMIT_MS }, (t) =>
    again(t, UNSTEERED, ["--test-name-pattern=queues"], { ZGATE_TUN_UNSTEERED: "1" }),
  );
} else {
  suite("opening", { timeout: LIMIT_MS }, () => {
    test("the interface is up, with its MTU, and gone after close", async (t) => {
      const tun = openTestTun(t, { mtu: 1337 });
      const off = { vnetHeader: false, tso4: false, tso6: false, uso4: false, uso6: false, steered: false };
      assert.deepEqual(tun.features, off);
      const { mtu, flags } = await link(tun.name);
      assert.equal(mtu, 1337);
      assert.ok(flags.includes("UP"));
      tun.close();
      tun.close();
      await assert.rejects(link(tun.name));
      assert.throws(() => tun.read(new Uint8Array(SLAB_BYTES), 0, SLAB_BYTES), {
        code: "ZG_TUN",
        message: /is closed/,
      });
    });

    test("offload: the header is there, and no super-packet outgrows a frame", async (t) => {
      const tun = openTestTun(t, { offload: true });
      assert.equal(tun.features.vnetHeader, true);
      assert.equal(tun.features.tso4, true);
      assert.ok((await link(tun.name)).gso_max_size <= 65_535 - VNET_HEADER_BYTES);
    });

    for (const queues of [1, 4]) {
      test(`the self-test leaves nothing behind, ${queues} queues`, async (t) => {
        const tun = openTestTun(t, { offload: true, queues });
        const { tso4, tso6, uso4, uso6 } = tun.features;
        for (const { kind, verdict, detail } of tun.offloadFindings) {
          assert.ok(["right", "taken", "unknown"].includes(verdict), `${kind}: ${verdict} ${detail}`);
          assert.equal({ tso4, tso6, uso4, uso6 }[kind], verdict !== "unknown", kind);
        }
        assert.deepEqual(
          tun.offloadFindings.map(({ kind }) => kind),
          ["tso4", "tso6", "uso4", "uso6"],
        );
        const { stdout } = await run("tc", ["qdisc", "show", "dev", tun.name]);
        assert.doesNotMatch(stdout, /clsact/);
        const slab = new Uint8Array(SLAB_BYTES);
        for (const frame of frames(slab, tun.read(slab, 0, slab.length))) {
          assert.equal(frame[VNET_HEADER_BYTES + 6], 58, "nothing but ICMPv6 of the kernel's own");
        }
      });
    }

    test("a super-packet that is refused stops the write in front of it", (t) => {
      const tun = openTestTun(t, { offload: true });
      const plain = framed(Buffer.concat([new Uint8Array(VNET_HEADER_BYTES), Buffer.alloc(28, 0x45)]));
      // NEEDS_CSUM, TCPV4, and a checksum behind the packet's end (virtio_net_hdr_to_skb in linux/virtio_net.h).
      const refused = framed(
        Buffer.concat([Uint8Array.of(1, 1, 40, 0, 100, 0, 20, 0, 255, 255), Buffer.alloc(300, 0x45)]),
      );
      const slab = Buffer.concat([plain, refused, plain]);
      const second = plain.length + refused.length;
      assert.equal(tun.write(slab, 0, slab.length), plain.length);
      assert.equal(tun.write(slab, second, slab.length), slab.length);
      const { writtenPackets, refusedPackets, refusedOffloads } = tun.stats();
      assert.deepEqual(
        { writtenPackets, refusedPackets, refusedOffloads },
        { writtenPackets: 2, refusedPackets: 0, refusedOffloads: 1 },
      );
    });

    const wrong: readonly { name: string; options: Partial<TunOptions>; code: string; message: RegExp }[] = [
      { name: "a long name", options: { name: "sixteen_bytes_xx" }, code: "ZG_TUN", message: /1 to 15 printable/ },
      { name: "no name", options: { name: "" }, code: "ZG_TUN", message: /1 to 15 printable/ },
      { name: "an MTU that no packet fits", options: { mtu: 10 }, code: "ZG_TUN", message: /MTU 10: Invalid argument/ },
      { name: "a name that is no TUN device", options: { name: "lo" }, code: "ZG_TUN", message: /TUNSETIFF/ },
    ];
    for (const { name, options, code, message } of wrong) {
      test(`${name} is refused`, (t) => {
        assert.throws(() => openTestTun(t, options), { name: "ZgateError", code, message });
      });
    }

    test("a name in use is refused, and the first stays", async (t) => {
      const tun = openTestTun(t);
      assert.throws(() => openTestTun(t, { name: tun.name }), { code: "ZG_TUN", message: /the name is in use/ });
      assert.ok((await link(tun.name)).flags.includes("UP"));
    });

    test("without the privilege, the advice is to get it", async () => {
      const script = `
        import { openTun } from "${import.meta.resolve("./addon.ts")}";
        try { openTun({ name: "zgnope", mtu: 1400, offload: false }); } catch (error) { console.log(error.code, error.message); }`;
      const argv = ["--bounding-set=-net_admin", process.execPath, "--input-type=module", "--eval", script];
      const { stdout } = await run("setpriv", argv);
      assert.match(stdout, /^ZG_PRIVILEGE .*needs CAP_NET_ADMIN/);
    });
  });

  suite("packets", { timeout: LIMIT_MS }, () => {
    test("ping is answered", async (t) => {
      const tun = openTestTun(t);
      await ip("addr", "add", "10.99.1.1/24", "dev", tun.name);
      const slab = new Uint8Array(SLAB_BYTES);
      tun.onReadable = () => {
        const filled = tun.read(slab, 0, slab.length);
        for (const packet of frames(slab, filled)) {
          if (packet[0]! >>> 4 !== 4 || packet[9] !== 1) continue;
          swapAddresses(packet);
          packet[20] = 0; // Echo Reply
          // RFC 1624: the type went from 8 to 0, the checksum goes up by 8 << 8.
          const sum = packet[22]! * 256 + packet[23]! + 0x0800;
          packet[22] = ((sum & 0xffff) + (sum >>> 16)) >>> 8;
          packet[23] = (sum + (sum >>> 16)) & 0xff;
        }
        tun.write(slab, 0, filled);
      };
      const before = echoReplies();
      await run("ping", ["-c", `${PINGS}`, "-i", "0.002", "-s", "1000", "10.99.1.2"]);
      // ping waits for its last answers no longer than two of the round trips before them; the kernel counts them all.
      while (echoReplies() - before < PINGS) await nextTurn();
      assert.ok(tun.stats().readPackets >= PINGS && tun.stats().writtenPackets >= PINGS);
    });

    test("a datagram of the kernel is read, and one that is written arrives", async (t) => {
      const tun = openTestTun(t);
      await ip("addr", "add", "10.99.2.1/24", "dev", tun.name);
      const socket = createSocket("udp4");
      t.after(() => socket.close());
      socket.bind(0, "10.99.2.1");
      await once(socket, "listening");
      const frame = nextFrame(tun, (packet) => packet[9] === 17);
      socket.send("over there", 7, "10.99.2.2");
      const packet = await frame;
      assert.equal(Buffer.from(packet.subarray(28)).toString(), "over there");
      swapAddresses(packet);
      const ports = packet.slice(20, 24);
      packet.set([ports[2]!, ports[3]!, ports[0]!, ports[1]!], 20);
      const received = once(socket, "message");
      const length = packet.length + LENGTH_BYTES;
      assert.equal(tun.write(framed(packet), 0, length), length);
      const [message, from] = await received;
      assert.equal(String(message), "over there");
      assert.deepEqual({ address: from.address, port: from.port }, { address: "10.99.2.2", port: 7 });
    });

    test("a slab is filled with whole frames, back to back, and the rest waits", async (t) => {
      const tun = openTestTun(t);
      await ip("addr", "add", "10.99.3.1/24", "dev", tun.name);
      const socket = createSocket("udp4");
      t.after(() => socket.close());
      for (let i = 0; i < 10; i++) {
        await new Promise((sent) => socket.send(Buffer.alloc(1000, i), 7, "10.99.3.2", sent));
      }
      const slab = new Uint8Array(8000);
      const seen: number[] = [];
      const small = 1402;
      assert.equal(tun.read(slab, 0, small - 1), 0, "a slab without room for the largest frame");
      for (const to of [8000, 2500, 8000, 8000]) {
        const filled = tun.read(slab, 100, to);
        assert.ok(filled <= to - 100);
        for (const packet of frames(slab.subarray(100), filled)) {
          if (packet[9] === 17) seen.push(packet[28]!);
        }
      }
      assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.equal(tun.read(slab, 0, slab.length), 0);
    });

    test("pause and resume", async (t) => {
      const tun = openTestTun(t);
      await ip("addr", "add", "10.99.4.1/24", "dev", tun.name);
      const socket = createSocket("udp4");
      t.after(() => socket.close());
      let calls = 0;
      tun.pause();
      const resumed = new Promise<void>((resolve) => {
        tun.onReadable = () => {
          calls++;
          resolve();
          // Level-triggered: without a read it would come for ever.
          tun.pause();
        };
      });
      await new Promise((sent) => socket.send("x", 7, "10.99.4.2", sent));
      await new Promise((turn) => setImmediate(turn));
      assert.equal(calls, 0);
      tun.resume();
      await resumed;
      assert.equal(calls, 1);
    });

    test("what the kernel refuses is counted and the rest goes on", (t) => {
      const tun = openTestTun(t);
      const good = Buffer.alloc(28);
      good[0] = 0x45;
      const slab = Buffer.concat([framed(Uint8Array.of(0xff)), framed(good), framed(new Uint8Array(0))]);
      assert.equal(tun.write(slab, 0, slab.length), slab.length);
      const { writtenPackets, refusedPackets } = tun.stats();
      assert.deepEqual({ writtenPackets, refusedPackets }, { writtenPackets: 1, refusedPackets: 2 });
    });

    test("a range without whole frames is a RangeError and writes nothing", (t) => {
      const tun = openTestTun(t);
      const slab = Buffer.concat([framed(Buffer.alloc(28, 0x45)), Uint8Array.of(0, 9, 1)]);
      assert.throws(() => tun.write(slab, 0, slab.length), /byte 30 of the range/);
      assert.throws(() => tun.write(slab, 0, slab.length), RangeError);
      assert.throws(() => tun.read(slab, 0, slab.length + 1), RangeError);
      assert.equal(tun.stats().writtenPackets, 0);
    });
  });

  suite("queues", { timeout: LIMIT_MS }, () => {
    for (const [near, greedy, modest] of [
      ["10.99.6.1", "10.99.6.2", "10.99.6.3"],
      ["fd99:6::1", "fd99:6::2", "fd99:6::3"],
    ] as const) {
      test(`${greedy} loses its own packets and delays ${modest} by a turn`, async (t) => {
        const tun = openTestTun(t, { queues: 4, steering: takeSteering(loadSteering()) });
        assert.equal(tun.features.steered, steered);
        const wide = near.includes(":");
        await ip("addr", "add", `${near}/${wide ? 64 : 24}`, "dev", tun.name, ...(wide ? ["nodad"] : []));
        const socket = createSocket(wide ? "udp6" : "udp4");
        t.after(() => socket.close());
        socket.bind(0, near);
        await once(socket, "listening");
        const send = (to: string): Promise<unknown> =>
          new Promise((sent, failed) =>
            socket.send(Buffer.alloc(100), 7, to, (error) => (error ? failed(error) : sent(undefined))),
          );
        // Where it is not steered, the kernel learns of the flows, and forgets in 3 s of silence (tun_flow_cleanup).
        const learn = (): void => {
          for (const [queue, src] of [greedy, modest].entries()) {
            const payload = udp(7, socket.address().port, new Uint8Array(8));
            const packet = framed(wide ? ipv6({ src, dst: near, payload }) : ipv4({ src, dst: near, payload }));
            assert.equal(tun.write(packet, 0, packet.length, queue), packet.length);
          }
        };
        for (let sent = 0; sent < 2 * QUEUE_PACKETS; sent++) {
          if (sent % 100 === 0) learn();
          await send(greedy);
        }
        learn();
        await send(modest);
        const slab = new Uint8Array(SLAB_BYTES);
        const order: string[] = [];
        for (let filled = tun.read(slab, 0, slab.length); filled > 0; filled = tun.read(slab, 0, slab.length)) {
          for (const packet of frames(slab, filled)) {
            const [protocol, last] = wide ? [packet[6], packet[39]] : [packet[9], packet[19]];
            if (protocol === 17) order.push(last === 2 ? "greedy" : "modest");
          }
        }
        const turn = order.indexOf("modest");
        assert.ok(turn >= 0 && turn <= MOST_TURNS * TURN_PACKETS, `${turn} of ${order.length}`);
        assert.ok(order.length <= QUEUE_PACKETS + 1, `${order.length} of ${2 * QUEUE_PACKETS + 1}`);
      });
    }

    test("a second device of the name is refused: it would share the first one's queues", (t) => {
      const tun = openTestTun(t, { queues: 2 });
      for (const queues of [1, 2]) {
        assert.throws(() => openTestTun(t, { name: tun.name, queues }), { code: "ZG_TUN" });
      }
    });

    test("a descriptor of something else steers nothing", (t) => {
      for (const steering of [0, 1_000_000])
        assert.equal(openTestTun(t, { queues: 2, steering }).features.steered, false);
    });

    test("the interface is gone after close", async (t) => {
      const tun = openTestTun(t, { queues: 2, offload: true });
      assert.equal(tun.features.vnetHeader, true);
      tun.close();
      await assert.rejects(link(tun.name));
    });
  });

  suite("offload", { timeout: LIMIT_MS }, () => {
    test("TCP between two devices travels in super-packets", async (t) => {
      // here (10.99.5.1) near ◀═ frames as they are ═▶ far (10.99.5.2) in the namespace of `sleeper`
      const near = openTestTun(t, { offload: true });
      const far = openTestTun(t, { offload: true });
      const sleeper = spawn("unshare", ["--net", "sleep", "60"]);
      t.after(() => sleeper.kill("SIGKILL"));
      await once(sleeper, "spawn");
      const there = (...words: string[]) => run("nsenter", ["--net", "-t", String(sleeper.pid), ...words]);
      const here = await run("readlink", ["/proc/self/ns/net"]);
      while ((await run("readlink", [`/proc/${sleeper.pid}/ns/net`])).stdout === here.stdout);
      await ip("link", "set", far.name, "netns", String(sleeper.pid));
      await ip("addr", "add", "10.99.5.1/24", "dev", near.name);
      await there("ip", "addr", "add", "10.99.5.2/24", "dev", far.name);
      await there("ip", "link", "set", far.name, "up");
      let largest = 0;
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        const slab = new Uint8Array(SLAB_BYTES);
        from.onReadable = () => {
          const filled = from.read(slab, 0, slab.length);
          for (const frame of frames(slab, filled)) largest = Math.max(largest, frame.length);
          to.write(slab, 0, filled);
        };
      }
      const length = 20_000_000;
      const server = `
        const server = require("node:net").createServer((socket) => {
          const hash = require("node:crypto").createHash("sha256");
          socket.on("data", (bytes) => hash.update(bytes));
          socket.on("end", () => { socket.end(hash.digest("hex")); server.close(); });
        }).listen(5001, "10.99.5.2", () => console.log("up"));`;
      const serving = spawn("nsenter", ["--net", "-t", String(sleeper.pid), process.execPath, "--eval", server]);
      t.after(() => serving.kill("SIGKILL"));
      await once(serving.stdout, "data");
      const client = `
        const bytes = Buffer.alloc(${length}, "zgate super-packets ");
        const socket = require("node:net").connect({ port: 5001, host: "10.99.5.2", allowHalfOpen: true });
        socket.end(bytes);
        socket.pipe(process.stdout);`;
      const { stdout } = await run(process.execPath, ["--eval", client]);
      const { createHash } = await import("node:crypto");
      assert.equal(stdout, createHash("sha256").update(Buffer.alloc(length, "zgate super-packets ")).digest("hex"));
      assert.ok(largest > 10_000 && largest <= 65_535, `the largest frame had ${largest} bytes`);
      assert.equal(near.stats().refusedPackets + far.stats().refusedPackets, 0);
    });
  });
}
