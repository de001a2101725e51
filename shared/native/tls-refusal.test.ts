import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { CloseInfo, KeyExchange } from "./quic.ts";
import { TLS_CAUSES } from "./tls-alerts.ts";
import type { TlsCause, TlsSide } from "./tls-alerts.ts";
import { tlsRefusal } from "./tls-refusal.ts";

const NO_GROUP = "peer is incompatible: NoKxGroupsInCommon";

/** What the side that sent the alert knows, and the side that got it. */
function bothSides(alert: number, by: TlsSide, reason = ""): readonly [CloseInfo, TlsSide][] {
  const end = { code: 0x100 + alert, reason };
  return [
    [{ ...end, source: "transport" }, by],
    [{ ...end, source: "peer-transport" }, by === "agent" ? "relay" : "agent"],
  ];
}

suite("the same cause has the same sentence on both sides", () => {
  const cases: readonly (readonly [alert: number, by: TlsSide, cause: TlsCause, sentence: RegExp])[] = [
    [10, "relay", "other", /^the relay was sent something that TLS 1\.3 does not allow/],
    [40, "relay", "no-common-parameters", /^agent and relay have no key-exchange group, cipher suite or signature/],
    [42, "relay", "bad-certificate", /^the agent's certificate cannot be used: it is damaged; zgate pki show/],
    [42, "agent", "bad-certificate", /^the relay's certificate cannot be used: .*--server-name/],
    [43, "relay", "bad-certificate", /^the agent's certificate is not for this use: .* clientAuth /],
    [43, "agent", "bad-certificate", /^the relay's certificate is not for this use: .* serverAuth /],
    [44, "relay", "revoked", /^the agent's certificate was revoked: it needs a new one/],
    [44, "agent", "revoked", /^the relay's certificate was revoked/],
    [45, "relay", "expired", /^the agent's certificate has expired or is not valid yet: renew it, or set the clocks/],
    [46, "relay", "bad-certificate", /^the agent's certificate cannot be used/],
    [47, "agent", "other", /^the agent was sent something/],
    [
      48,
      "relay",
      "unknown-ca",
      /^the agent's certificate is of a CA that the relay does not trust, or .* of the relay, /,
    ],
    [
      48,
      "agent",
      "unknown-ca",
      /^the relay's certificate is of a CA that the agent does not trust, or .* of the agent, /,
    ],
    [49, "relay", "other", /^the relay does not let the agent in/],
    [50, "relay", "other", /^the relay was sent something/],
    [51, "relay", "bad-certificate", /^the agent did not prove that it has the key of its certificate/],
    [70, "relay", "no-common-parameters", /^the relay wants another version of TLS than the agent offers/],
    [71, "relay", "no-common-parameters", /^the relay wants stronger cryptography than the agent offers/],
    [80, "relay", "other", /^the relay failed by a fault of its own/],
    [86, "relay", "other", /^the agent came with an older TLS/],
    [90, "agent", "other", /^the agent gave the handshake up/],
    [109, "relay", "other", /^the relay was sent something/],
    [110, "agent", "other", /^the agent was sent something/],
    [112, "relay", "other", /^the relay has no certificate for the name that the agent asked for/],
    [113, "agent", "bad-certificate", /^the relay sent an OCSP answer that the agent does not accept/],
    [116, "relay", "no-certificate", /^the relay demands a certificate and the agent showed none: give it --cert/],
    [
      120,
      "relay",
      "no-application-protocol",
      /^the relay does not speak what the agent asked for \(HTTP\/3, ALPN h3\)/,
    ],
    [255, "relay", "other", /^the relay ended the TLS handshake \(TLS alert 255: why\)$/],
  ];
  for (const [alert, by, cause, sentence] of cases) {
    test(`alert ${alert} of the ${by}: ${cause}`, () => {
      const [sent, received] = bothSides(alert, by, "why").map(([end, side]) =>
        tlsRefusal(end, { side, keyExchange: "prefer-pq" }),
      );
      assert.deepEqual(sent, received);
      assert.equal(sent?.cause, cause);
      assert.equal(sent?.by, by);
      assert.match(sent?.sentence ?? "", sentence);
      assert.match(sent?.sentence ?? "", new RegExp(`\\(TLS alert ${alert}( [a-z_]+)?: why\\)$`));
    });
  }
});

suite("no key-exchange group in common: who requires what", () => {
  const pqAgainstClassical = (strict: TlsSide, classical: TlsSide): string =>
    `the ${strict} requires post-quantum key exchange (X25519MLKEM768) and the ${classical} is set to classical: ` +
    "set key_exchange of the one or the other to prefer-pq";
  const cases: readonly (readonly [relay: KeyExchange, agent: KeyExchange, sentence: string])[] = [
    ["require-pq", "classical", pqAgainstClassical("relay", "agent")],
    ["classical", "require-pq", pqAgainstClassical("agent", "relay")],
    [
      "prefer-pq",
      "prefer-pq",
      "agent and relay have no key-exchange group in common: X25519MLKEM768, X25519 or secp256r1 is needed",
    ],
  ];
  for (const [relay, agent, sentence] of cases) {
    test(`relay ${relay}, agent ${agent}`, () => {
      for (const [end, side] of bothSides(40, "relay", NO_GROUP)) {
        assert.deepEqual(tlsRefusal(end, { side, keyExchange: side === "agent" ? agent : relay }), {
          cause: "no-common-group",
          by: "relay",
          sentence: `${sentence} (TLS alert 40 handshake_failure: ${NO_GROUP})`,
        });
      }
    });
  }
});

test("what is no alert has no such meaning", () => {
  const others: readonly CloseInfo[] = [
    { source: "transport", code: 0xff, reason: "" },
    { source: "peer-transport", code: 0x200, reason: "" },
    { source: "peer-application", code: 0x100 + 40, reason: NO_GROUP }, // H3_NO_ERROR and the like
    { source: "local", code: 0x100 + 40, reason: "" },
    { source: "idle-timeout", code: -1, reason: "" },
  ];
  for (const end of others) assert.equal(tlsRefusal(end, { side: "relay", keyExchange: "prefer-pq" }), undefined);
});

test("whatever a peer says, it stands behind the meaning", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 255 }),
      fc.string(),
      fc.constantFrom<TlsSide>("agent", "relay"),
      fc.constantFrom<KeyExchange>("prefer-pq", "require-pq", "classical"),
      (alert, reason, side, keyExchange) => {
        const refusal = tlsRefusal({ source: "peer-transport", code: 0x100 + alert, reason }, { side, keyExchange });
        assert.ok(refusal !== undefined && TLS_CAUSES.includes(refusal.cause));
        assert.match(refusal.sentence, /^(the (agent|relay)|agent and relay)\b/);
        assert.ok(refusal.sentence.endsWith(reason === "" ? ")" : `: ${reason})`));
      },
    ),
  );
});
