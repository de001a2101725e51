/**
 * Policies and flows for the policy benchmark, the same ones in every run.
 *
 * Rules as people write them for "first match wins": hosts, then small networks, then large ones, with a port or
 * two each, and a deny for the rest. Flows go to what rules name (four in five) or anywhere in 10.0.0.0/8.
 */
import { PROTO_TCP, PROTO_UDP } from "../shared/packet/constants.ts";

const PORTS = [22, 53, 80, 443, 3306, 5432, 8080];
/** Prefix lengths, longest first, and the share of the rules that has each. */
const LENGTHS = [
  { length: 32, share: 0.5 },
  { length: 28, share: 0.2 },
  { length: 24, share: 0.2 },
  { length: 16, share: 0.1 },
];
const NETWORK = 10 << 24;

export interface Workload {
  /** The policy file. */
  readonly yaml: string;
  /** Address and port of every rule but the last. */
  readonly rules: readonly { readonly address: number; readonly port: number }[];
}

/** One client `client-0` with so many rules. */
export function rulesWorkload(count: number): Workload {
  const { rules, lines } = rulesOf(count);
  return { yaml: `version: "1.0"\nclients:\n  client-0:\n    rules:\n${lines}`, rules };
}

/** So many clients with a rule of their own each, in a group with so many rules. */
export function clientsWorkload(clients: number, groupRules: number): Workload {
  const { rules, lines } = rulesOf(groupRules);
  const names = Array.from({ length: clients }, (_, index) => `client-${index}`);
  const own = names.map(
    (name, index) =>
      `  ${name}: { rules: [{ id: own, type: ip_cidr, action: allow, destinations: [172.16.${index >> 8}.${index & 255}] }] }\n`,
  );
  const group = `groups:\n  everybody:\n    members: [${names.join(", ")}]\n    rules:\n${lines}`;
  return { yaml: `version: "1.0"\n${group}clients:\n${own.join("")}`, rules };
}

function rulesOf(count: number): { rules: Workload["rules"]; lines: string } {
  const random = randomNumbers(count);
  const rules: { address: number; port: number }[] = [];
  let lines = "";
  for (const { length, share } of LENGTHS) {
    const end = rules.length + Math.round((count - 1) * share);
    while (rules.length < Math.min(end, count - 1)) {
      const address = (NETWORK | (below(random, 2 ** 24) & (-1 << (32 - length)))) >>> 0;
      const port = PORTS[below(random, PORTS.length)] ?? 0;
      const action = rules.length % 5 === 0 ? "deny" : "allow";
      const destination = `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}/${length}`;
      lines += `      - { id: rule-${rules.length}, type: ip_cidr, action: ${action}, destinations: [${destination}], ports: [tcp/${port}, udp/${port}] }\n`;
      rules.push({ address, port });
    }
  }
  return { rules, lines: `${lines}      - { id: deny-default, type: default, action: deny }\n` };
}

/** Flows in columns, so that reading them costs the same whatever the policy. */
export interface Flows {
  readonly addresses: Float64Array;
  readonly ports: Uint16Array;
  readonly protocols: Uint8Array;
}

export function flowsFor({ rules }: Workload, count: number): Flows {
  const random = randomNumbers(7);
  const flows = { addresses: new Float64Array(count), ports: new Uint16Array(count), protocols: new Uint8Array(count) };
  for (let index = 0; index < count; index++) {
    const rule = rules[below(random, rules.length)];
    const named = below(random, 5) > 0;
    flows.addresses[index] = named && rule !== undefined ? rule.address : NETWORK + below(random, 2 ** 24);
    flows.ports[index] = rule?.port ?? 0;
    flows.protocols[index] = below(random, 4) > 0 ? PROTO_TCP : PROTO_UDP;
  }
  return flows;
}

/** A linear congruential generator (Knuth's MMIX constants, upper bits), the same numbers for the same seed. */
function randomNumbers(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 32n);
  };
}

function below(random: () => number, limit: number): number {
  return Math.floor((random() / 2 ** 32) * limit);
}
