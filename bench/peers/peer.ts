/**
 * What the benchmark knows of a VPN: how to get it, how to start its hub in the relay's namespace, how to
 * start its spoke in the client's, each as its documentation says. After both, the client reaches the target.
 */
import type { Service } from "../../e2e/harness/process.ts";
import type { Direction, TcpTransfer } from "../iperf.ts";
import type { Site } from "../site.ts";

/** One running end of a tunnel. */
export interface TunnelEnd {
  /** The processes that carry the packets: their CPU time is this end's cost. */
  readonly services: readonly Service[];
  /** Ends them and takes back what was set up for them, devices and routes included. */
  stop(): Promise<void>;
}

export interface PlainTransfer extends TcpTransfer {
  /** What the client's process used, which lives no longer than the transfer. */
  readonly clientCpuSeconds: number;
}

export interface Peer {
  readonly name: string;
  /** Installs or builds what is missing; gives the reason when this peer cannot take part. */
  prepare(): Promise<string | undefined>;
  startRelay(site: Site): Promise<TunnelEnd>;
  startClient(site: Site): Promise<TunnelEnd>;
  /**
   * Moves bytes from client to relay or back for about `seconds`: for what is no VPN, and carries no IP
   * packets. Absent on a VPN, which carries iperf3's.
   */
  transfer?(site: Site, direction: Direction, seconds: number): Promise<PlainTransfer>;
}
