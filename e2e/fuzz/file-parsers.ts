/** Files and lines that people, tools and machines hand over: policy, configuration, certificates, tokens. */
import assert from "node:assert/strict";
import { parseConfigFile } from "../../shared/config/config-file.ts";
import { formatHostPort, parseHostPort } from "../../shared/config/host-port.ts";
import { optionRows } from "../../shared/config/option.ts";
import { relayOptions } from "../../shared/config/relay-options.ts";
import { publicKeyOfRequest } from "../../shared/pki/certificate-request.ts";
import { formatToken, parseToken } from "../../shared/pki/enrolment-token.ts";
import { clientIdentity } from "../../shared/pki/identity.ts";
import { ledgerLine, parseLedger } from "../../shared/pki/ledger.ts";
import { pemBlocks, pemBytes, pemOf } from "../../shared/pki/pem.ts";
import { RevocationIndex } from "../../shared/pki/revocation-index.ts";
import { CRL_LABEL, readRevocationLists } from "../../shared/pki/revocation-list.ts";
import { compilePolicy } from "../../shared/policy/compile.ts";
import { ClientRoutes } from "../../shared/policy/routes.ts";
import { explainFlow, readQuestion } from "../../shared/policy/explain.ts";
import { parsePolicy } from "../../shared/policy/parse.ts";
import { unixMs } from "../../shared/units.ts";
import { CORPUS, readInputs } from "./corpus.ts";
import { textOf } from "./parser.ts";
import type { Parser } from "./parser.ts";

/** 21 November 2026, a Saturday. */
const NOW = unixMs(Date.UTC(2026, 10, 21, 12));
const RELAY_ROWS = optionRows(relayOptions);

const QUESTIONS = [
  { dst: "10.50.0.1", proto: "tcp", port: 443 },
  { dst: "8.8.8.8", proto: "udp", port: 53 },
  { dst: "fd50::1", proto: "icmpv6" },
  { dst: "0.0.0.0", proto: "47" },
] as const;

/** Words of the policy's language, which a change of bytes would not come to. */
const POLICY_TOKENS = [
  ...["version: '1.0'\n", "clients:\n", "groups:\n", "members: [", "rules: [", "destinations: [", "ports: [tcp/443]"],
  ...["default_action: allow\n", "tests:\n", "enabled: false\n", "not_before: 2026-01-01T00:00:00Z\n", "schedule: {"],
  ...[
    "time_zone: Europe/Zurich",
    "weekly: [",
    "mon-fri",
    "08:00-18:00",
    "ip_cidr",
    "default",
    "limits:\n",
    "log: true",
  ],
  ...[
    "10.0.0.0/8",
    "::/0",
    "include: [",
    "{ ",
    " }",
    "[",
    "]",
    "- ",
    ": ",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    "\n  ",
    "---\n",
  ],
];

export const FILE_PARSERS: readonly Parser[] = [
  { name: "policy", parse: readPolicy, tokens: POLICY_TOKENS },
  { name: "config-file", parse: readConfig, tokens: RELAY_ROWS.map(({ key }) => `${key}: `) },
  { name: "host-port", parse: readHostPort, tokens: ["[::1]:", "localhost", ".", ":65535", "::ffff:1.2.3.4"] },
  { name: "token", parse: readToken },
  {
    name: "ledger",
    parse: readLedger,
    tokens: ['"type":"issued"', '"type":"revoked"', '"reason":"superseded"', "}\n"],
  },
  {
    name: "pem",
    parse: (bytes) => {
      for (const block of pemBlocks("fuzz.pem", textOf(bytes), "CERTIFICATE")) clientIdentity(pemBytes(block));
    },
    tokens: ["-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"],
  },
  { name: "identity", parse: (bytes) => void clientIdentity(bytes) },
  { name: "revocation-list", parse: (bytes) => void readRevocationLists("fuzz.crl", pemOf(CRL_LABEL, bytes)) },
  { name: "sent-certificate", parse: readSentCertificate },
  {
    name: "certificate-request",
    parse: async (bytes) => void (await publicKeyOfRequest(pemOf("CERTIFICATE REQUEST", bytes))),
  },
];

/** A policy that is taken compiles, and its verdicts are those that are explained. */
function readPolicy(bytes: Uint8Array): void {
  const document = parsePolicy(textOf(bytes));
  const compiled = compilePolicy(document);
  for (const client of document.clients.keys()) {
    new ClientRoutes(document, NOW).of(client);
    for (const question of QUESTIONS) {
      const { target, at } = readQuestion({ client, ...question }, NOW);
      const { action, ruleId } = compiled.client(client)!.judge(target, at);
      const explained = explainFlow(document, client, target, at);
      assert.deepEqual({ action, ruleId }, { action: explained.action, ruleId: explained.ruleId });
    }
  }
}

/** No text makes it throw, and each option's value stands in the file. */
function readConfig(bytes: Uint8Array): void {
  const { values, problems, unknownKeys } = parseConfigFile("relay.yaml", textOf(bytes), RELAY_ROWS);
  assert.ok(unknownKeys <= problems.length);
  for (const { place } of values.values()) assert.match(place, /^relay\.yaml:\d+:\d+: /);
}

function readHostPort(bytes: Uint8Array): void {
  const parsed = parseHostPort(textOf(bytes), 4433);
  if (parsed !== undefined) assert.deepEqual(parseHostPort(formatHostPort(parsed)), parsed);
}

/** The bytes are the JSON in the line. */
function readToken(bytes: Uint8Array): void {
  const token = parseToken(`zgate1.${Buffer.from(bytes).toString("base64url")}`);
  assert.deepEqual(parseToken(formatToken(token)), token);
}

function readLedger(bytes: Uint8Array): void {
  const ledger = parseLedger("fuzz.jsonl", textOf(bytes));
  const lines = [...ledger.issued.values(), ...ledger.revoked.values()].map(ledgerLine).join("");
  assert.deepEqual(parseLedger("again.jsonl", lines), ledger);
}

/** A client's own certificate, of a CA that no list names. */
const [LEAF_DER = new Uint8Array(0)] = readInputs(CORPUS, "identity");
const leaf = { name: "fuzz", serial: "1", issuer: "", fingerprint256: "", notAfter: NOW };

/** A certificate that a client sent beside its own: nobody has looked at it before. */
function readSentCertificate(bytes: Uint8Array): void {
  const index = new RevocationIndex("fuzz.crl", "", "");
  assert.equal(index.revokedSerial(leaf, [LEAF_DER, bytes]), undefined);
}
