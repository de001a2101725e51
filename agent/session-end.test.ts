import assert from "node:assert/strict";
import { test } from "node:test";
import { ZgateError } from "../shared/errors.ts";
import type { CloseInfo } from "../shared/native/quic.ts";
import { attemptError, describeEnd } from "./session-end.ts";

const EXPIRED: CloseInfo = { source: "peer-transport", code: 0x100 + 45, reason: "" };

test("the end of a session in words", () => {
  const cases: readonly (readonly [CloseInfo, string | RegExp])[] = [
    [EXPIRED, /^the agent's certificate has expired/],
    [{ source: "idle-timeout", code: 0, reason: "timed out" }, "the relay has been silent for too long"],
    [{ source: "reset", code: 0, reason: "" }, "the relay does not know this session any more: it was restarted"],
    [{ source: "peer-application", code: 0x7a670003, reason: "revoked" }, "revoked"],
    [{ source: "peer-application", code: 0x10c, reason: "" }, "closed with code 0x10c"],
  ];
  for (const [end, words] of cases) {
    const said = describeEnd(end, "prefer-pq");
    if (typeof words === "string") assert.equal(said, words);
    else assert.match(said, words);
  }
});

test("an attempt that TLS refused says so, any other error stays as it is", () => {
  const cause = new ZgateError("ZG_CONNECTION_CLOSED", "the connection is closed");
  const from = { remote: "192.0.2.1:4433", keyExchange: "prefer-pq" } as const;
  const refused = attemptError(cause, EXPIRED, from);
  assert.ok(refused instanceof ZgateError);
  assert.equal(refused.code, "ZG_TLS_HANDSHAKE");
  assert.equal(refused.cause, cause);
  assert.match(refused.message, /^192\.0\.2\.1:4433: the agent's certificate has expired/);
  assert.equal(attemptError(cause, undefined, from), cause);
  assert.equal(attemptError(cause, { source: "local", code: 0x100, reason: "" }, from), cause);
});
