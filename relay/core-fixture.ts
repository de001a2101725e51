/**
 * For tests: the relay without a machine. All that is behind the TUN device and in front of QUIC is the real
 * thing; the device, the wire and the audit's disk are in memory.
 *
 *   Client ══fake QUIC══ Acceptor ▸ SessionRegistry ▸ Uplink, Downlink ══ FakeTun: the test is the network
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "../shared/logging.ts";
import { fakeQuicPair } from "../shared/native/fake-quic.ts";
import type { FakeQuicOptions } from "../shared/native/fake-quic.ts";
import { FakeTun } from "../shared/native/fake-tun.ts";
import { TestAuthority } from "../shared/native/test-certificates.ts";
import type { Leaf } from "../shared/native/test-certificates.ts";
import { parsePrefix } from "../shared/packet/address.ts";
import type { EnrolmentService } from "../shared/pki/enrolment-service.ts";
import { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import { LanePump } from "../shared/tunnel/lane-pump.ts";
import { tunMtu } from "../shared/units.ts";
import { Acceptor } from "./acceptor.ts";
import { Answers } from "./answers.ts";
import { EMPTY_CHAIN } from "./audit-chain.ts";
import { AuditLog } from "./audit-log.ts";
import { parseAuditLine } from "./audit-record.ts";
import type { AuditRecord } from "./audit-record.ts";
import type { AuditSink } from "./audit-sink.ts";
import { Client } from "./client-fixture.ts";
import { COUNTER, Counters } from "./counters.ts";
import type { CounterName, FamilyName } from "./counters.ts";
import { Downlink } from "./downlink.ts";
import { FlowAudit } from "./flow-audit.ts";
import { LeasePool } from "./lease-pool.ts";
import { LivePolicy } from "./live-policy.ts";
import { PolicyThread } from "./policy-thread.ts";
import { Revocations } from "./revocations.ts";
import { SessionRegistry } from "./session-registry.ts";
import { Uplink } from "./uplink.ts";

/** The relay's own tunnel addresses in these tests; the first client gets those behind them, and so on. */
export const RELAY = { ipv4: "10.90.0.1", ipv6: "fd90::1" };
export const FIRST = { ipv4: "10.90.0.2", ipv6: "fd90::2" };
export const SECOND = { ipv4: "10.90.0.3", ipv6: "fd90::3" };
export const MTU = tunMtu(1400);

export interface CoreOptions {
  /** The YAML below `version`. */
  readonly policy: string;
  readonly device?: "plain" | "offload";
  readonly auditFailClosed?: boolean;
  readonly auditQueueBytes?: number;
  readonly maxSessions?: number;
  readonly pool4?: string;
  readonly crlPem?: string;
  readonly enrolment?: EnrolmentService;
}

/** Takes all, until `failing` is set. */
class MemorySink implements AuditSink {
  readonly batchLimit = 64 * 1024;
  text = "";
  failing = false;

  async write(bytes: Buffer): Promise<number> {
    if (this.failing) throw new Error("the disk is full");
    this.text += bytes.toString("latin1");
    return bytes.length;
  }

  wantsRotation(): boolean {
    return false;
  }

  async rotate(): Promise<void> {}
  async sync(): Promise<void> {}
  async close(): Promise<void> {}
}

export class RelayCore {
  readonly tun: FakeTun;
  readonly counters = new Counters();
  readonly pool: LeasePool;
  readonly live: LivePolicy;
  readonly sessions: SessionRegistry;
  readonly acceptor: Acceptor;
  readonly flowAudit: FlowAudit;
  readonly auditSink = new MemorySink();
  /** Told when another policy is in force and the sessions know. */
  onSwap: (() => void) | undefined;
  readonly #folder: string;
  readonly #auditLog: AuditLog;
  readonly #clients: Client[] = [];

  private constructor(options: CoreOptions, folder: string, live: LivePolicy) {
    this.#folder = folder;
    this.live = live;
    const { counters } = this;
    const tun = new FakeTun(options.device);
    const pool = new LeasePool(parsePrefix(options.pool4 ?? "10.90.0.0/24"), parsePrefix("fd90::/64"));
    const log = createLogger({ level: "silent", name: "relay" });
    const audit = new AuditLog(
      { path: "memory", version: "0", failClosed: options.auditFailClosed ?? false },
      { sink: this.auditSink, head: EMPTY_CHAIN, before: { before: "new" } },
      options.auditQueueBytes,
    );
    const answers = new Answers(tun, { ipv4: pool.relayIpv4, ipv6: pool.relayIpv6 }, counters);
    const flowAudit = new FlowAudit(audit, counters, undefined);
    const device = new DeviceWriter(tun, () => undefined);
    const uplink = new Uplink({ device, mtu: MTU, pump: new LanePump(), counters, answers, flowAudit });
    const sessions = new SessionRegistry({ log, live, pool, counters, audit, flowAudit, uplink });
    new Downlink({ tun, pool, sessions, counters, answers });
    this.acceptor = new Acceptor({
      ...{ log, live, pool, sessions, uplink, counters, audit },
      offer: { maxLanes: 4, offload: tun.features.vnetHeader ? "gso" : "none", mtu: MTU },
      maxSessions: options.maxSessions ?? 100,
      revocations: new Revocations("crl.pem", {
        caPem: "",
        ...(options.crlPem === undefined ? {} : { crlPem: options.crlPem }),
      }),
      enrolment: options.enrolment,
    });
    this.tun = tun;
    this.pool = pool;
    this.sessions = sessions;
    this.flowAudit = flowAudit;
    this.#auditLog = audit;
  }

  static async open(options: CoreOptions): Promise<RelayCore> {
    const folder = mkdtempSync(join(tmpdir(), "zgate-core-"));
    const path = join(folder, "policy.yaml");
    writeFileSync(path, policyText(options.policy));
    const built: { core?: RelayCore } = {};
    const onSwap = (): void => {
      built.core?.sessions.policyChanged();
      built.core?.onSwap?.();
    };
    const live = await LivePolicy.open(path, thread, { onSwap, onReload: () => {} });
    return (built.core = new RelayCore(options, folder, live));
  }

  /** Puts another policy in force, the YAML below `version`. */
  async enforce(policy: string): Promise<void> {
    writeFileSync(join(this.#folder, "policy.yaml"), policyText(policy));
    const outcome = await this.live.reload("admin");
    assert.ok(outcome.applied, String(outcome.applied ? "" : outcome.error));
  }

  /** A connection with a certificate of the client `name`; with none, or `chain` instead, when that says so. */
  async connect(name: string, options: FakeQuicOptions = {}): Promise<Client> {
    const clientChainDer = options.clientChainDer ?? [derOf(await leafOf(name))];
    const pair = fakeQuicPair({ ...options, clientChainDer });
    this.acceptor.accept(pair.server);
    const client = new Client(pair);
    this.#clients.push(client);
    return client;
  }

  /** A client with a session of one lane. */
  async join(name: string, wish: { lanes?: number; offload?: "none" | "gso" } = {}, options?: FakeQuicOptions) {
    const client = await this.connect(name, options);
    const lanes = wish.lanes ?? 1;
    await client.openSession({ lanes, offload: wish.offload ?? "none" });
    for (let lane = 0; lane < lanes; lane++) await client.openLane(lane);
    return client;
  }

  count<F extends FamilyName>(family: F, name: CounterName<F>): number {
    return this.counters.get(COUNTER[family][name]);
  }

  /** The audit's records of one type so far. */
  async audited<T extends AuditRecord["type"]>(type: T): Promise<Extract<AuditRecord, { type: T }>[]> {
    await this.#auditLog.flush();
    const lines = this.auditSink.text.split("\n").slice(0, -1);
    const records = lines.map((line) => {
      const parsed = parseAuditLine(Buffer.from(line, "latin1").toString());
      assert.ok(parsed.ok, line);
      return parsed.record;
    });
    return records.filter((record): record is Extract<AuditRecord, { type: T }> => record.type === type);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.quic.close(0, "the test is over");
    this.live.close();
    this.auditSink.failing = false;
    await this.#auditLog.close();
    rmSync(this.#folder, { recursive: true });
  }
}

/** Calls `probe` between events until it says something. */
export async function until<T>(what: string, probe: () => T | undefined | false): Promise<T> {
  for (let turn = 0; turn < TURNS; turn++) {
    const found = probe();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.fail(`waited in vain for ${what}`);
}

/** Turns of a millisecond and more that `until` waits. */
const TURNS = 5_000;

/** One for all relays of a test file: a thread takes longer to start than most tests run. */
const thread = new PolicyThread();

const authority = TestAuthority.root("test");
const leaves = new Map<string, Promise<Leaf>>();

/** The certificate of a client: the same each time. */
export async function leafOf(name: string): Promise<Leaf> {
  const issued = leaves.get(name) ?? authority.then((root) => root.leaf(name));
  leaves.set(name, issued);
  return issued;
}

function derOf(leaf: Leaf): Uint8Array {
  return new Uint8Array(leaf.certificate.rawData);
}

function policyText(body: string): string {
  return `version: "1.0"\n${body}\n`;
}
