/**
 * A client that knows nothing of zgate, only RFC 9484: aioquic, in user space, through our relay to a target.
 *
 *   agent-1: aioquic_client.py ── internet ── relay ── target-a
 */
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Namespace } from "../harness/namespace.ts";
import { Certificates, RelayProcess } from "../harness/product.ts";
import { layTopology, RELAY, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";
import { pythonWithAioquic } from "./python.ts";

const CLIENT_NAME = "client-1";
const POLICY = `
version: "1.0"
default_action: deny
clients:
  ${CLIENT_NAME}:
    rules:
      - { id: target-a, type: ip_cidr, action: allow, destinations: [${TARGET_A.ipv4}/32, "${TARGET_A.ipv6}/128"] }
`;

const skip = process.getuid?.() === 0 ? false : "network namespaces need root";
const python = await pythonWithAioquic();

describe("aioquic as a plain RFC 9484 client of the relay", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  before(async () => {
    network = layTopology("interop");
    certificates = await Certificates.create();
    await certificates.issueClient(CLIENT_NAME);
    await new RelayProcess(network.relay, { certificates, policy: POLICY }).start();
  });
  after(() => network.close());

  function scenario(namespace: Namespace, name: string): Promise<string> {
    const file = (suffix: string): string => join(certificates.folder, `${CLIENT_NAME}${suffix}.pem`);
    const script = join(import.meta.dirname, "aioquic_client.py");
    const tls = ["relay.example", join(certificates.folder, "ca.pem"), file(""), file("-key")];
    return namespace.check([python, "-B", script, name, `${RELAY.ipv4}:4433`, ...tls]);
  }

  for (const [family, target] of Object.entries(TARGET_A)) {
    test(`it is leased an address, told its routes, and pings over ${family} in datagrams`, async () => {
      await scenario(network.agents[0], `connect_ip=${target}`);
    });
    test(`it pings over ${family} in DATAGRAM capsules`, async () => {
      await scenario(network.agents[0], `connect_ip_capsules=${target}`);
    });
  }
});
