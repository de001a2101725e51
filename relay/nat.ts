/**
 * What the relay needs of its machine, declared as an end state:
 *
 *   declare ─▶ addresses of the TUN device ─▶ the nft table ─▶ forwarding, the values before written down
 *   removeSync ─▶ everything as it was, also from an exit handler
 *
 * After `kill -9` the next start replaces the table in one transaction and inherits the written-down values.
 * Where several relays share a machine, the last to leave restores them.
 */
import { z } from "zod";
import { messageOf } from "../shared/errors.ts";
import { runCommand, runCommandSync } from "../shared/host/command.ts";
import { declareAddresses } from "../shared/host/device-addresses.ts";
import { runIpBatchForced } from "../shared/host/ip-state.ts";
import { findLeftovers, Leftover } from "../shared/host/leftover.ts";
import type { SysctlValues } from "../shared/host/sysctl.ts";
import { forwardingChanges, writeForwarding, snapshotForwarding } from "./forwarding.ts";
import { deletionRuleset, forwardBlockers, type NatRules, natRuleset, tableName } from "./nat-ruleset.ts";

/** Names of the records start with this; the device's name follows. */
const RECORD_PREFIX = "nat-";

const recordSchema = z.record(z.string(), z.string());

/** The end state of the relay's machine. */
export interface NatState extends Omit<NatRules, "device"> {
  /** The relay's own tunnel addresses with the length of their pools: `10.77.0.1/16`, `fd77:7a67::1/64`. */
  readonly addresses: readonly string[];
}

export class RelayNat {
  readonly #device: string;
  readonly #record: Leftover<SysctlValues>;
  #saved: SysctlValues = {};
  #turn: Promise<unknown> = Promise.resolve();
  #removed = false;

  /** Takes over what killed relays left. `device` is the name of the TUN device; it need not exist yet. */
  constructor(device: string) {
    this.#device = device;
    this.#record = new Leftover(`${RECORD_PREFIX}${device}`);
    this.#inherit();
  }

  /**
   * Brings about `state`, whatever was declared before; the device must exist. Returns sentences about what
   * will not work as declared. Throws `ZG_HOST_COMMAND` and `ZG_PRIVILEGE`. Calls that overlap are carried out
   * one after another.
   */
  declare(state: NatState): Promise<string[]> {
    const turn = this.#turn.then(() => this.#declare(state)).finally(() => this.#removed && this.removeSync());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Takes everything back for good, without a promise. What is gone already does not matter. */
  removeSync(): void {
    this.#removed = true;
    attempt("the nft table stays", () => runCommandSync("nft", ["-f", "-"], deletionRuleset(this.#device)));
    runIpBatchForced([`address flush dev ${this.#device}`]);
    const others = findLeftovers(RECORD_PREFIX, recordSchema).filter(({ name }) => name !== this.#record.name);
    if (others.some(({ ownerAlive }) => ownerAlive)) return; // They need forwarding; the last one reads this record.
    for (const { content, forget } of others) {
      this.#saved = { ...this.#saved, ...content };
      forget();
    }
    attempt("forwarding stays on", () => writeForwarding(this.#saved));
    this.#saved = {};
    this.#record.forget();
  }

  async #declare(state: NatState): Promise<string[]> {
    const { ipv6 } = await declareAddresses(this.#device, state.addresses);
    await runCommand("nft", ["-f", "-"], natRuleset({ ...state, device: this.#device }));
    this.#forward(ipv6);
    const warnings = await this.#findBlockers();
    if (!ipv6 && state.pools.some(({ version }) => version === 6)) {
      warnings.unshift(
        "no IPv6 through the tunnel: it is off on this machine (sysctl net.ipv6.conf.all.disable_ipv6=0)",
      );
    }
    return warnings;
  }

  /**
   * Forwarding on; what it was is written down first, so that a crash between the two loses nothing. A record
   * without values still tells other relays that this one needs forwarding.
   */
  #forward(ipv6: boolean): void {
    const changes = forwardingChanges(ipv6);
    this.#saved = { ...snapshotForwarding(changes), ...this.#saved };
    this.#record.remember(this.#saved);
    writeForwarding(changes);
  }

  /**
   * Takes over the records of killed relays. One without its table, and without a living relay beside it, is of
   * another namespace that had the same inode once, and is dropped: a table outlives its relay, never its namespace.
   */
  #inherit(): void {
    const found = findLeftovers(RECORD_PREFIX, recordSchema);
    const dead = found.filter(({ ownerAlive }) => !ownerAlive);
    if (dead.length === 0) return;
    const accompanied = dead.length < found.length;
    const tables = runCommandSync("nft", ["list", "tables", "inet"]).split("\n");
    for (const { name, content, forget } of dead) {
      const device = name.slice(RECORD_PREFIX.length);
      const hasTable = tables.includes(`table inet ${tableName(device)}`);
      const trusted = accompanied || hasTable;
      if (trusted) {
        this.#saved = { ...this.#saved, ...content };
        this.#record.remember(this.#saved);
      }
      if (hasTable && device !== this.#device) runCommandSync("nft", ["-f", "-"], deletionRuleset(device));
      if (!trusted || name !== this.#record.name) forget();
    }
  }

  async #findBlockers(): Promise<string[]> {
    const blockers = forwardBlockers(await runCommand("nft", ["-j", "list", "chains"]), this.#device);
    return blockers.map(
      (blocker) =>
        `the nft chain "${blocker}" may drop the tunnel's packets, and no other table can overrule it: accept ` +
        `iifname ${this.#device}, and oifname ${this.#device} with ct state established,related, there ` +
        `(where it is Docker's: in the chain DOCKER-USER)`,
    );
  }
}

/** A step of the way out must not keep the next from being taken. */
function attempt(failure: string, step: () => void): void {
  try {
    step();
  } catch (thrown) {
    process.stderr.write(`zgate: ${failure}: ${messageOf(thrown)}\n`);
  }
}
