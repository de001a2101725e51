/** A transfer of many bytes each way over TCP, compared with what was sent. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { contentSha256 } from "./content.ts";
import type { Namespace } from "./namespace.ts";

const PHRASE = "zgate moves packets ";

/** `bytes` down from the target at `host`, an address, and `bytes` up to its echo; each in `timeoutMs` at most. */
export async function transferBothWays(from: Namespace, host: string, bytes: number, timeoutMs: number): Promise<void> {
  const url = `http://${host.includes(":") ? `[${host}]` : host}`;
  const down = await from.check(["sh", "-c", `curl -sS '${url}/bytes/${bytes}' | sha256sum`], { timeoutMs });
  assert.equal(down.split(" ")[0], contentSha256(bytes), `${bytes} bytes from ${host}`);
  const input = PHRASE.repeat(bytes / PHRASE.length);
  const upload = ["curl", "-sS", "--data-binary", "@-", "-H", "Expect:", `${url}/`];
  const up = await from.check(upload, { input, timeoutMs });
  assert.equal(up.trim(), createHash("sha256").update(input).digest("hex"), `${input.length} bytes to ${host}`);
}
