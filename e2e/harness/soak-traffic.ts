/**
 * Random exchanges with the echo services of `target.ts` until time is over, each compared byte for byte:
 *
 *   soak-traffic.ts HOST4 HOST6 SEED SECONDS
 *
 *   TCP    a stream of random length in writes of random sizes, through an echo, or posted: the far end has its hash
 *   UDP    datagrams of random sizes, fragmented ones among them, each of which an echo returns
 *   ICMP   echo requests of random sizes and patterns (`ping -p`, which compares them); the kernel counts the answers,
 *          because ping waits for its last one no longer than two of the round trips before it (ping(8), -W)
 *
 * Prints one line of JSON (`SoakResult`) at the end. What is sent follows from SEED; how it meets on the way does not.
 */
import { execFile } from "node:child_process";
import { createCipheriv, createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect, isIPv6 } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { ECHO_FILES, parseEchoes, unanswered } from "./echo-counters.ts";
import type { EchoCount } from "./echo-counters.ts";

export interface SoakResult {
  readonly tcpStreams: number;
  readonly tcpBytes: number;
  readonly datagrams: number;
  /** Datagrams without an answer: dropped somewhere, as UDP may be. */
  readonly lostDatagrams: number;
  readonly pings: number;
  /** Echo requests whose answer did not come in `DATAGRAM_WAIT_MS` after the last one. */
  readonly lostPings: number;
  /** What came back different, or broke off. */
  readonly faults: readonly string[];
}

const MAX_STREAM_BYTES = 4 << 20;
const MAX_WRITE_BYTES = 64 << 10;
/** Six fragments of an MTU of 1,500 bytes. */
const MAX_DATAGRAM_BYTES = 8_000;
const DATAGRAM_WAIT_MS = 1_000;
const TCP_WAIT_MS = 30_000;
const PINGS = 5;
/** How often the counters of the kernel are looked at while answers are still to come. */
const COUNTER_INTERVAL_MS = 20;

/** Numbers that follow from a seed (splitmix32). */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number from 0 to `below - 1`. */
  roll(below: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let word = this.#state;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return ((word ^ (word >>> 15)) >>> 0) % below;
  }

  /** A size from 1 to `most`, each order of magnitude as likely as the others. */
  size(most: number): number {
    return Math.min(most, 1 + this.roll(2 ** (1 + this.roll(Math.ceil(Math.log2(most))))));
  }

  content(bytes: number): Buffer {
    const key = Buffer.alloc(16);
    key.writeUInt32BE(this.roll(2 ** 32));
    return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
  }
}

class Soak {
  readonly result = {
    ...{ tcpStreams: 0, tcpBytes: 0, datagrams: 0, lostDatagrams: 0, pings: 0, lostPings: 0 },
    faults: [] as string[],
  } satisfies SoakResult;

  async tcp(host: string, dice: Dice): Promise<void> {
    const data = dice.content(dice.size(MAX_STREAM_BYTES));
    const posted = dice.roll(2) === 0;
    const head = posted
      ? `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${data.length}\r\n\r\n`
      : "";
    const answer = await this.#stream(host, posted ? 80 : 7, head, data, dice);
    const expected = createHash("sha256").update(data).digest("hex");
    const arrived = posted ? answer.toString().trimEnd().endsWith(expected) : answer.equals(data);
    if (!arrived) this.result.faults.push(`tcp ${host}: ${data.length} bytes, ${posted ? "posted" : "echoed"}`);
    this.result.tcpStreams++;
    this.result.tcpBytes += data.length;
  }

  /** Sends `head` and `data` and returns all that comes back; what came until then when the connection breaks. */
  #stream(host: string, port: number, head: string, data: Buffer, dice: Dice): Promise<Buffer> {
    return new Promise((resolve) => {
      const pieces: Buffer[] = [];
      const socket = connect({ host, port, noDelay: dice.roll(2) === 0 });
      socket.setTimeout(TCP_WAIT_MS, () => socket.destroy(new Error("silence")));
      socket.on("data", (piece: Buffer) => void pieces.push(piece));
      socket.on("error", (error) => void this.result.faults.push(`tcp ${host}: ${error.message}`));
      socket.on("close", () => resolve(Buffer.concat(pieces)));
      if (head !== "") socket.write(head);
      let at = 0;
      const write = (): void => {
        while (at < data.length) {
          const from = at;
          at += dice.size(MAX_WRITE_BYTES);
          if (!socket.write(data.subarray(from, at))) return void socket.once("drain", write);
        }
        socket.end();
      };
      write();
    });
  }

  udp(host: string, dice: Dice): Promise<void> {
    const data = dice.content(dice.size(MAX_DATAGRAM_BYTES));
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    const late = setTimeout(() => {
      this.result.lostDatagrams++;
      resolve();
    }, DATAGRAM_WAIT_MS);
    socket.on("message", (answer) => {
      if (!answer.equals(data)) this.result.faults.push(`udp ${host}: ${data.length} bytes`);
      resolve();
    });
    socket.on("error", (error) => {
      this.result.faults.push(`udp ${host}: ${error.message}`);
      resolve();
    });
    this.result.datagrams++;
    socket.send(data, 7, host);
    return promise.finally(() => {
      clearTimeout(late);
      socket.close();
    });
  }

  icmp(host: string, dice: Dice): Promise<void> {
    const bytes = dice.size(MAX_DATAGRAM_BYTES);
    const flags = ["-n", "-c", `${PINGS}`, "-i", "0.01", "-W", "1", "-s", `${bytes}`];
    return new Promise((resolve) => {
      execFile("ping", [...flags, "-p", dice.content(16).toString("hex"), host], (_error, output) => {
        if (output.includes("wrong data byte")) this.result.faults.push(`icmp ${host}: ${bytes} bytes`);
        resolve();
      });
    });
  }
}

function echoes(): EchoCount {
  return parseEchoes(ECHO_FILES.map((file) => readFileSync(file, "utf8")).join(""));
}

function lostSince(before: EchoCount): number {
  return unanswered(before, echoes());
}

if (import.meta.main) {
  const [host4 = "", host6 = "", seed = "", seconds = ""] = process.argv.slice(2);
  const soak = new Soak();
  const kinds = [soak.tcp, soak.tcp, soak.tcp, soak.udp, soak.udp, soak.udp, soak.icmp];
  const end = performance.now() + Number(seconds) * 1000;
  const worker = async (kind: (host: string, dice: Dice) => Promise<void>, index: number): Promise<void> => {
    const dice = new Dice(Number(seed) + index);
    while (performance.now() < end) await kind.call(soak, dice.roll(2) === 0 ? host4 : host6, dice);
  };
  const before = echoes();
  await Promise.all(kinds.map(worker));
  const answered = performance.now() + DATAGRAM_WAIT_MS;
  while (lostSince(before) > 0 && performance.now() < answered) await pause(COUNTER_INTERVAL_MS);
  soak.result.pings = echoes().sent - before.sent;
  soak.result.lostPings = lostSince(before);
  console.log(JSON.stringify(soak.result satisfies SoakResult));
}
