/** Every peer of the benchmark, ours first. */
import { noTunnel } from "./peers/no-tunnel.ts";
import { openvpn } from "./peers/openvpn.ts";
import type { Peer } from "./peers/peer.ts";
import { debianWireguardGo, newestWireguardGo } from "./peers/wireguard-go.ts";
import { quicStream } from "./peers/quic-stream.ts";
import { manyRulesZgate, oneLaneZgate, zgate } from "./peers/zgate.ts";

export const PEERS: readonly Peer[] = [
  zgate,
  debianWireguardGo,
  newestWireguardGo,
  openvpn,
  noTunnel,
  quicStream,
  oneLaneZgate,
  manyRulesZgate,
];
