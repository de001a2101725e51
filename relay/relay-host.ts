/**
 * What the relay has of its machine: the TUN device, its addresses, forwarding and NAT, and which of the
 * machine's own addresses clients may reach.
 *
 *   open ▸ device ▸ declare        follow (a new policy) ▸ the reachable addresses changed ▸ declare again
 *   closeSync: everything as it was, also from an exit handler
 *
 * The relay itself is out of reach through the tunnel. A policy opens one of its addresses by naming it alone,
 * as `10.50.0.1` or `10.50.0.1/32`, in a rule that allows; a wider prefix that happens to hold it does not.
 */
import type { Logger } from "pino";
import type { RelayConfig } from "../shared/config/relay-options.ts";
import { messageOf } from "../shared/errors.ts";
import { readLocalAddresses } from "../shared/host/ip-state.ts";
import { openTun } from "../shared/native/addon.ts";
import { takeSteering } from "../shared/native/steering.ts";
import type { Tun } from "../shared/native/tun.ts";
import { formatAddress, formatPrefix, parsePrefix } from "../shared/packet/address.ts";
import type { Prefix } from "../shared/packet/address.ts";
import type { CompiledPolicy } from "../shared/policy/compiled-policy.ts";
import { offloadNotes } from "../shared/tunnel/offload-report.ts";
import { TUN_QUEUES } from "./constants.ts";
import type { LeasePool } from "./lease-pool.ts";
import { RelayNat } from "./nat.ts";

export class RelayHost {
  readonly tun: Tun;
  readonly #config: RelayConfig;
  readonly #log: Logger;
  readonly #pool: LeasePool;
  readonly #nat: RelayNat;
  readonly #onExit = (): void => this.#nat.removeSync();
  /** What the nft table lets through to the relay, as text. */
  #reachable = "";

  private constructor(config: RelayConfig, log: Logger, pool: LeasePool) {
    this.#config = config;
    this.#log = log;
    this.#pool = pool;
    this.#nat = new RelayNat(config.tunName);
    const { tunName: name, mtu, offload } = config;
    this.tun = openTun({ name, mtu, offload, queues: TUN_QUEUES, steering: takeSteering(process.env) });
    if (!this.tun.features.steered)
      log.info("the device tells clients apart by their flows: start with CAP_BPF for their addresses");
    const { features, offloadFindings } = this.tun;
    log.info({ tun: name, features }, "device is up");
    for (const { level, text } of offloadNotes(offloadFindings)) log[level](text);
    process.once("exit", this.#onExit);
  }

  /** Throws `ZG_TUN`, `ZG_PRIVILEGE` and `ZG_HOST_COMMAND`; then everything is as it was. */
  static async open(config: RelayConfig, log: Logger, pool: LeasePool, policy: CompiledPolicy): Promise<RelayHost> {
    const host = new RelayHost(config, log, pool);
    try {
      await host.#declare(await ownAddressesNamed(policy));
      return host;
    } catch (error) {
      host.closeSync();
      throw error;
    }
  }

  /** Opens and closes the relay's own addresses as another policy names them. */
  async follow(policy: CompiledPolicy): Promise<void> {
    try {
      const reachable = await ownAddressesNamed(policy);
      if (reachable.map(formatPrefix).join() !== this.#reachable) await this.#declare(reachable);
    } catch (error) {
      this.#log.error(`the relay's own addresses stay as reachable as they were: ${messageOf(error)}`);
    }
  }

  closeSync(): void {
    process.off("exit", this.#onExit);
    this.#nat.removeSync();
    this.tun.close();
  }

  async #declare(reachable: readonly Prefix[]): Promise<void> {
    const { mtu, nat, natInterface, pool4, pool6 } = this.#config;
    const pools = [parsePrefix(pool4), parsePrefix(pool6)];
    const warnings = await this.#nat.declare({
      addresses: pools.map(({ version, length }) => {
        const words = version === 4 ? this.#pool.relayIpv4 : this.#pool.relayIpv6;
        return `${formatAddress(version, ...words)}/${length}`;
      }),
      mtu,
      pools,
      masquerade: nat ? (natInterface === undefined ? "any" : { interface: natInterface }) : "off",
      reachable,
    });
    this.#reachable = reachable.map(formatPrefix).join();
    for (const warning of warnings) this.#log.warn(warning);
  }
}

/** The machine's addresses that a rule of the policy allows and names alone. */
async function ownAddressesNamed(policy: CompiledPolicy): Promise<Prefix[]> {
  if (!policy.namesHosts) return [];
  return (await readLocalAddresses()).filter((address) => policy.names(address)).map(parsePrefix);
}
