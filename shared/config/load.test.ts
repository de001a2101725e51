import assert from "node:assert/strict";
import { test } from "node:test";
import { ZgateError } from "../errors.ts";
import { loadAgentConfig, loadRelayConfig } from "./load.ts";
import type { ConfigSources } from "./load.ts";

const RELAY_FLAGS = { cert: "c.pem", key: "k.pem", ca: "ca.pem", policy: "p.yaml" };
const AGENT_FLAGS = { relay: "relay.example", cert: "c.pem", key: "k.pem", ca: "ca.pem" };

function sources(flags: Record<string, unknown>, env: Record<string, string> = {}, file?: string): ConfigSources {
  return {
    flags: file === undefined ? flags : { config: "/etc/zgate/z.yaml", ...flags },
    env,
    readFile: async (path) => {
      assert.equal(path, "/etc/zgate/z.yaml");
      return await Promise.resolve(file ?? "");
    },
  };
}

async function failure(loading: Promise<unknown>): Promise<[code: string, message: string]> {
  try {
    await loading;
  } catch (error) {
    assert.ok(error instanceof ZgateError, String(error));
    return [error.code, error.message];
  }
  throw new assert.AssertionError({ message: "it was loaded" });
}

test("a relay's defaults", async () => {
  assert.deepEqual(await loadRelayConfig(sources(RELAY_FLAGS)), {
    listen: { host: "0.0.0.0", port: 4433 },
    cert: "c.pem",
    key: "k.pem",
    ca: "ca.pem",
    crl: undefined,
    keyExchange: "prefer-pq",
    logLevel: "info",
    policy: "p.yaml",
    shadowPolicy: undefined,
    pool4: "10.77.0.0/16",
    pool6: "fd77:7a67::/64",
    tunName: "zgate0",
    mtu: 1500,
    lanes: 16,
    offload: true,
    nat: true,
    natInterface: undefined,
    admin: { host: "127.0.0.1", port: 9443 },
    auditFile: "-",
    enroll: null,
    authority: undefined,
    auditFailClosed: false,
    stateDir: "/var/lib/zgate",
    drain: 5000,
    retry: 64,
    maxHandshakes: 1024,
    maxSessions: 4096,
    idleTimeout: 30_000,
  });
});

test("an agent's defaults", async () => {
  assert.deepEqual(await loadAgentConfig(sources(AGENT_FLAGS)), {
    relay: { host: "relay.example", port: 4433 },
    serverName: undefined,
    cert: "c.pem",
    key: "k.pem",
    ca: "ca.pem",
    crl: undefined,
    keyExchange: "prefer-pq",
    logLevel: "info",
    route: undefined,
    tunName: "zgate0",
    lanes: 8,
    offload: true,
    renew: null,
    reconnectMin: 200,
    reconnectMax: 3000,
    admin: null,
  });
});

test("a flag comes before a variable, a variable before the file, the file before the default", async () => {
  const file = "lanes: 3\nmtu: 1300\ndrain: 7\n";
  const config = await loadRelayConfig(
    sources({ ...RELAY_FLAGS, lanes: "1" }, { ZGATE_LANES: "2", ZGATE_MTU: "1400", ZGATE_CRL: "" }, file),
  );
  assert.deepEqual([config.lanes, config.mtu, config.drain, config.crl], [1, 1400, 7000, undefined]);
});

test("ZGATE_CONFIG names the file where no flag does", async () => {
  const config = await loadRelayConfig({
    ...sources(RELAY_FLAGS, { ZGATE_CONFIG: "/etc/zgate/z.yaml" }),
    readFile: async () => await Promise.resolve("lanes: 3"),
  });
  assert.equal(config.lanes, 3);
});

test("paths in a file are beside the file, others as they are given", async () => {
  const config = await loadRelayConfig(
    sources(
      { cert: "c.pem", key: "k.pem" },
      { ZGATE_CA: "ca.pem" },
      "policy: policies/p.yaml\naudit_file: '-'\nstate_dir: /srv/zgate\n",
    ),
  );
  assert.deepEqual(
    [config.cert, config.ca, config.policy, config.auditFile, config.stateDir],
    ["c.pem", "ca.pem", "/etc/zgate/policies/p.yaml", "-", "/srv/zgate"],
  );
});

test("a repeatable option takes a list, one value, several flags, and commas in a variable", async () => {
  const expected = ["10.50.0.0/24", "fd00:50::/48", "default"];
  const given = [
    sources({ ...AGENT_FLAGS, route: ["10.50.0.0/24", "fd00:50::/48", "default"] }),
    sources(AGENT_FLAGS, { ZGATE_ROUTE: "10.50.0.0/24, fd00:50::/48,default" }),
    sources(AGENT_FLAGS, {}, "route: [10.50.0.0/24, 'fd00:50::/48', default]"),
  ];
  for (const one of given) assert.deepEqual((await loadAgentConfig(one)).route, expected);
  assert.deepEqual((await loadAgentConfig(sources(AGENT_FLAGS, {}, "route: 10.0.0.1"))).route, ["10.0.0.1/32"]);
});

test("the result is frozen", async () => {
  const config = await loadRelayConfig(sources(RELAY_FLAGS));
  assert.throws(() => Object.assign(config, { nat: false }), TypeError);
});

const INVALID: readonly [file: string, code: string, message: string][] = [
  ["lane: 3", "ZG_CONFIG_UNKNOWN_KEY", '/etc/zgate/z.yaml:1:1: there is no option "lane"; did you mean "lanes"?'],
  [
    "tun-name: x",
    "ZG_CONFIG_UNKNOWN_KEY",
    '/etc/zgate/z.yaml:1:1: there is no option "tun-name"; did you mean "tun_name"?',
  ],
  ["nonsense: 3", "ZG_CONFIG_UNKNOWN_KEY", '/etc/zgate/z.yaml:1:1: there is no option "nonsense"'],
  [
    "# x\nlanes: 65",
    "ZG_CONFIG_INVALID",
    '/etc/zgate/z.yaml:2:8: lanes: expected a whole number from 1 to 64, got "65"',
  ],
  ["lanes: [1]", "ZG_CONFIG_INVALID", "/etc/zgate/z.yaml:1:8: lanes: expected one value, got a list"],
  ["lanes:", "ZG_CONFIG_INVALID", "/etc/zgate/z.yaml:1:6: lanes: expected one value, got nothing"],
  ["lanes: 1\nlanes: 2", "ZG_CONFIG_INVALID", '/etc/zgate/z.yaml:2:1: key "lanes" stands twice in the same mapping'],
  ["- lanes", "ZG_CONFIG_INVALID", "/etc/zgate/z.yaml:1:1: expected a mapping of options, got a list"],
  ["lanes: 1: 2", "ZG_CONFIG_INVALID", "/etc/zgate/z.yaml:1:9: this is not YAML: bad indentation of a mapping entry"],
  ["nat: false\nnat_interface: eth0", "ZG_CONFIG_INVALID", "nat_interface says where to masquerade, but nat is off"],
  ["enroll: 0.0.0.0:1", "ZG_CONFIG_INVALID", "enroll needs authority: the folder that zgate pki init made"],
  [
    "lane: 3\nmtu: 12",
    "ZG_CONFIG_INVALID",
    '/etc/zgate/z.yaml:1:1: there is no option "lane"; did you mean "lanes"?\n/etc/zgate/z.yaml:2:6: mtu: expected a number of bytes from 1280 to 65521, got "12"',
  ],
];

for (const [file, code, message] of INVALID) {
  test(`refused: ${JSON.stringify(file)}`, async () => {
    assert.deepEqual(await failure(loadRelayConfig(sources(RELAY_FLAGS, {}, file))), [code, message]);
  });
}

test("an empty file is a file without options", async () => {
  assert.equal((await loadRelayConfig(sources(RELAY_FLAGS, {}, "# nothing\n"))).lanes, 16);
});

test("what is missing is named with its flag, its variable and its key", async () => {
  const [code, message] = await failure(loadAgentConfig(sources({ relay: "x", cert: "c", ca: "a" })));
  assert.deepEqual(
    [code, message],
    ["ZG_CONFIG_INVALID", "key is missing: give --key FILE, ZGATE_KEY, or key in the file"],
  );
});

test("a variable that is nearly an option's is refused, what a platform sets is not", async () => {
  const platform = { ZGATE_PORT: "tcp://10.0.0.1:443", ZGATE_SERVICE_HOST: "10.0.0.1", ZGATE_PORT_4433_UDP: "x" };
  await loadRelayConfig(sources(RELAY_FLAGS, { ...platform, ZGATE_DEBUG: "1", ZGATE_SERVER_NAME: "of the agent" }));
  assert.deepEqual(await failure(loadRelayConfig(sources(RELAY_FLAGS, { ...platform, ZGATE_POLCY: "x" }))), [
    "ZG_CONFIG_UNKNOWN_KEY",
    'ZGATE_POLCY is no option\'s variable; did you mean "ZGATE_POLICY"?',
  ]);
});

test("reconnect bounds the wrong way round", async () => {
  const flags = { ...AGENT_FLAGS, reconnectMin: "10s", reconnectMax: "1s" };
  assert.deepEqual(await failure(loadAgentConfig(sources(flags))), [
    "ZG_CONFIG_INVALID",
    "reconnect_min (10000ms) is longer than reconnect_max (1000ms)",
  ]);
});
