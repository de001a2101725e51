/** Which scenarios there are, which peers each compares, and what a quick run takes of them. */
import { BAR_ROUNDS, LONG_ROUNDS } from "./constants.ts";
import type { Scenario } from "./scenario.ts";
import { connectScenario } from "./scenarios/connect.ts";
import { lossScenario } from "./scenarios/loss.ts";
import { idlePingScenario, loadedPingScenario } from "./scenarios/ping.ts";
import { idleSessionsScenario } from "./scenarios/sessions.ts";
import { tcpScenario } from "./scenarios/tcp.ts";
import { udpScenario } from "./scenarios/udp.ts";

const VPNS = ["zgate", "wireguard-go-debian", "wireguard-go-newest", "openvpn"];
const ALL = [...VPNS, "no-tunnel"];

/** Every scenario, in the order that it runs in. */
export const SCENARIOS: readonly Scenario[] = [
  tcpScenario("up", 1, [...ALL, "quic-stream"]),
  tcpScenario("down", 1, [...ALL, "quic-stream", "zgate-10000-rules"]),
  tcpScenario("both", 1, ALL),
  tcpScenario("up", 8, ALL),
  tcpScenario("down", 8, ALL),
  tcpScenario("both", 8, ALL),
  idlePingScenario(ALL),
  loadedPingScenario("up", VPNS),
  loadedPingScenario("down", VPNS),
  udpScenario(64, VPNS),
  udpScenario(512, VPNS),
  udpScenario(1400, VPNS),
  connectScenario(VPNS),
  idleSessionsScenario,
  ...lossScenarios(),
];

function lossScenarios(): Scenario[] {
  return [0, 40].flatMap((rttMs) =>
    [1, 10, 30].flatMap((lossPerMille) => {
      const path = { lossPerMille, rttMs };
      const judged = lossPerMille === 10 && rttMs === 40;
      return [
        lossScenario(path, 1, VPNS, LONG_ROUNDS),
        lossScenario(path, 8, judged ? [...VPNS, "zgate-one-lane"] : VPNS, judged ? BAR_ROUNDS : LONG_ROUNDS),
      ];
    }),
  );
}

/** What a quick run takes: the tunnel's own promises, twice each, in about a minute. */
export const QUICK = {
  scenarios: ["tcp-up-1", "tcp-down-1", "ping-idle"],
  peers: ["zgate", "wireguard-go-debian", "wireguard-go-newest", "no-tunnel"],
  rounds: 2,
} as const;
