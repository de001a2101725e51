/**
 * `make demo`: the product in network namespaces, shown step by step.
 *
 *   1. the topology is laid, certificates and a policy are made
 *   2. relay and two agents start
 *   3. ping, download, a denied destination with its audit record, a policy edit
 *   4. with KEEP=1 it stays up and prints what to try; Ctrl-C takes everything back
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { contentSha256 } from "./harness/content.ts";
import type { Namespace } from "./harness/namespace.ts";
import { waitFor } from "./harness/process.ts";
import { Certificates, DEVICE, openAgent, RelayProcess } from "./harness/product.ts";
import { ping } from "./harness/reachability.ts";
import { layTopology, PRIVATE_NETWORK, RELAY, TARGET_A, TARGET_B } from "./harness/topology.ts";

const DOWNLOAD_BYTES = 100_000_000;

const RESTRICTED = `version: "1.0"
metadata: { name: demo, description: One restricted client and one free one }
default_action: deny
clients:
  client-1:
    description: Restricted to target-a
    rules:
      - { id: target-a, type: ip_cidr, action: allow, destinations: [${TARGET_A.ipv4}/32, "${TARGET_A.ipv6}/128"] }
      - { id: deny-default, type: default, action: deny }
  client-2:
    description: Free in the private network
    rules:
      - { id: private, type: ip_cidr, action: allow, destinations: [${PRIVATE_NETWORK.ipv4}, "${PRIVATE_NETWORK.ipv6}"] }
`;
const WIDENED = RESTRICTED.replace(`[${TARGET_A.ipv4}/32,`, `[${TARGET_A.ipv4}/32, ${TARGET_B.ipv4}/32,`);

const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
const title = (text: string): void => console.log(`\n${paint(1, `▌ ${text}`)}`);
const good = (text: string): void => console.log(`  ${paint(32, "✔")} ${text}`);
const shown = (text: string): void => console.log(text.trimEnd().replace(/^/gm, paint(2, "  │ ")));

if (process.getuid?.() !== 0) {
  console.error("demo: network namespaces, TUN devices and nft need root: sudo make demo");
  process.exit(1);
}

title("The network: six machines as network namespaces");
shown(
  `
agent-1 (client-1) ── 198.51.100.1 ─┐                              ┌─ target-a ${TARGET_A.ipv4}, ${TARGET_A.ipv6}
                                    ├─ internet ── ${RELAY.ipv4} relay ┤
agent-2 (client-2) ── 198.51.100.5 ─┘                              └─ target-b ${TARGET_B.ipv4}, ${TARGET_B.ipv6}

The targets have no route to the internet and it has none to them: only the relay reaches both.`.slice(1),
);
const network = layTopology("demo");
const [agent1, agent2] = network.agents;
for (const target of [network.targetA, network.targetB]) {
  await target.spawn([process.execPath, join(import.meta.dirname, "harness/target.ts")]).waitForOutput(/ready/);
}
if ((await ping(agent1, TARGET_A.ipv4, 1)).received > 0) throw new Error("target-a answers without a tunnel");
good("without a tunnel agent-1 cannot reach target-a");

title("A CA, a certificate for the relay and one for each client; a policy");
const certificates = await Certificates.create();
for (const name of ["client-1", "client-2"]) await certificates.issueClient(name);
shown(RESTRICTED);

title("The relay starts, then the agents");
const relay = new RelayProcess(network.relay, { certificates, policy: RESTRICTED });
await relay.start();
good(`relay: listens on UDP 4433, NAT in one nft table (inet zgate_${DEVICE})`);
for (const [namespace, name] of [
  [agent1, "client-1"],
  [agent2, "client-2"],
] as const) {
  const flags = ["--route", PRIVATE_NETWORK.ipv4, PRIVATE_NETWORK.ipv6];
  const started = performance.now();
  await openAgent(namespace, { certificates, name, flags });
  const address = /inet ([\d.]+)/.exec(namespace.ip("-4", "address", "show", "dev", DEVICE))?.[1];
  good(`${name}: tunnel open after ${(performance.now() - started).toFixed(0)} ms, tunnel address ${address}`);
}
const session = relay.audit().find((record) => record["type"] === "session-up");
good(`TLS 1.3 with ${String(session?.["group"])}, ${String(session?.["cipher"])}, both sides with certificates`);

title("Traffic");
for (const host of [TARGET_A.ipv4, TARGET_A.ipv6]) {
  const output = await agent1.check(["ping", "-n", "-q", "-c", "100", "-i", "0.01", host]);
  const [, summary = ""] = /(\d+ packets transmitted.*)\n/.exec(output) ?? [];
  const [, times = ""] = /= ([\d./]+ ms)/.exec(output) ?? [];
  good(`ping ${host}: ${summary.replace(/, time.*/, "")}; min/avg/max/mdev ${times}`);
}
const started = performance.now();
const script = `curl -sS http://${TARGET_A.ipv4}/bytes/${DOWNLOAD_BYTES} | sha256sum`;
const [sum] = (await agent1.check(["sh", "-c", script], { timeoutMs: 120_000 })).split(" ");
const seconds = (performance.now() - started) / 1000;
if (sum !== contentSha256(DOWNLOAD_BYTES)) throw new Error(`the download differs: ${sum}`);
const rate = ((DOWNLOAD_BYTES * 8) / seconds / 1e6).toFixed(0);
good(`download of 100 MB: ${seconds.toFixed(2)} s (${rate} Mbit/s), SHA-256 ${sum.slice(0, 16)}… as it must be`);
shown(await agent1.check(["traceroute", "-n", "-q", "1", TARGET_A.ipv4]));

title("What the policy denies");
await expectAnswer(agent1, TARGET_B.ipv4, false, "client-1 does not reach target-b; the audit says why:");
const denied = await waitFor("the audit record", () =>
  relay
    .audit()
    .find((record) => record["type"] === "flow" && record["action"] === "deny" && record["dst"] === TARGET_B.ipv4),
);
shown(JSON.stringify(denied));
await expectAnswer(agent2, TARGET_B.ipv4, true, "client-2 does");

title("The policy is edited while it runs");
writeFileSync(relay.policyFile, WIDENED);
const edited = performance.now();
await waitFor("target-b", async () => (await ping(agent1, TARGET_B.ipv4, 1)).received === 1);
good(`client-1 reaches target-b ${(performance.now() - edited).toFixed(0)} ms after the file was written`);
writeFileSync(relay.policyFile, WIDENED.replace("destinations", "destination"));
const refused = await waitFor("the refusal", () =>
  relay.audit().find((record) => record["type"] === "policy" && record["outcome"] === "refused"),
);
good("a wrong file is refused, the policy in force stays:");
shown((refused["problems"] as string[]).join("\n").replaceAll(relay.policyFile, "policy.yaml"));
writeFileSync(relay.policyFile, RESTRICTED);

if (process.env["KEEP"] === "1") {
  const exec = (namespace: Namespace): string => `ip netns exec ${namespace.name}`;
  title("It stays up: in another terminal, as root, try");
  shown(
    `
${exec(agent1)} ping ${TARGET_A.ipv4}                     # allowed
${exec(agent1)} ping ${TARGET_B.ipv4}                     # denied
${exec(agent2)} curl -o /dev/null http://${TARGET_B.ipv4}/bytes/1000000000
${exec(network.relay)} nft list ruleset
${exec(network.relay)} curl -s http://127.0.0.1:9443/v1/status
${exec(network.relay)} curl -s http://127.0.0.1:9443/metrics
\${EDITOR:-vi} ${relay.policyFile}                        # applied when it is saved

Ctrl-C takes everything back.`.slice(1),
  );
  await new Promise(() => setInterval(() => {}, 2 ** 30));
}

title("Everything is taken back");
await relay.stop();
network.close();
good("relay and agents have stopped, the namespaces are gone");

async function expectAnswer(from: Namespace, host: string, expected: boolean, text: string): Promise<void> {
  const { received } = await ping(from, host, 2, 100);
  if (received > 0 !== expected) throw new Error(`${host} ${expected ? "does not answer" : "answers"}`);
  good(text);
}
