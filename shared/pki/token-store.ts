/**
 * The enrolment tokens that wait to be used: one file each in the authority's folder, `tokens/ID.json`, with a hash of
 * the secret. Whoever takes the file away has used the token, so two cannot.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdir, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, ZgateError } from "../errors.ts";
import { readTextFile } from "../yaml/file.ts";
import { MAX_REQUEST_BYTES, TOKEN_ID_BYTES, TOKEN_SECRET_BYTES } from "./constants.ts";
import { isTokenId } from "./enrolment-token.ts";
import { createFiles, isErrno, PRIVATE_MODE } from "./new-file.ts";

const pendingSchema = z.strictObject({
  client: z.string(),
  /** SHA-256 of the secret, hexadecimal. The secret has 256 random bits, so no slower hash is needed. */
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  notAfter: z.iso.datetime(),
  /** Lifetime of the certificate in milliseconds. */
  lifetimeMs: z.number().int().positive(),
});

export type PendingToken = z.infer<typeof pendingSchema>;

export interface NewToken {
  readonly client: string;
  readonly notAfter: Date;
  readonly lifetimeMs: number;
}

/** Writes a token down and returns what the new machine needs of it. */
export async function createToken(folder: string, token: NewToken): Promise<{ id: string; secret: string }> {
  const tokens = join(folder, "tokens");
  await mkdir(tokens, { recursive: true, mode: 0o700 });
  const id = randomBytes(TOKEN_ID_BYTES).toString("base64url");
  const secret = randomBytes(TOKEN_SECRET_BYTES).toString("base64url");
  const pending: PendingToken = {
    client: token.client,
    secretHash: hashOf(secret).toString("hex"),
    notAfter: token.notAfter.toISOString(),
    lifetimeMs: token.lifetimeMs,
  };
  await createFiles([{ path: join(tokens, `${id}.json`), text: `${JSON.stringify(pending)}\n`, mode: PRIVATE_MODE }]);
  return { id, secret };
}

/**
 * The token of that name and secret, used up by this call; undefined when there is none, it has expired, or the secret
 * is another. What is wrong is not told apart to whoever asks.
 */
export async function claimToken(
  folder: string,
  id: string,
  secret: string,
  now: Date,
): Promise<PendingToken | undefined> {
  const pending = await readPending(folder, id);
  const matches = timingSafeEqual(hashOf(secret), Buffer.from(pending?.secretHash ?? NO_HASH, "hex"));
  if (pending === undefined || !matches || Date.parse(pending.notAfter) <= now.getTime()) return undefined;
  try {
    await unlink(pathOf(folder, id));
    return pending;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw new ZgateError("ZG_FILE_UNREADABLE", `a token cannot be used up: ${messageOf(error)}`, { cause: error });
  }
}

/** Removes tokens that have expired. Returns how many. */
export async function removeExpiredTokens(folder: string, now: Date): Promise<number> {
  const names = await readdir(join(folder, "tokens")).catch(() => []);
  let removed = 0;
  for (const name of names.filter((one) => one.endsWith(".json"))) {
    const id = name.slice(0, -".json".length);
    const pending = await readPending(folder, id);
    if (pending === undefined || Date.parse(pending.notAfter) > now.getTime()) continue;
    await unlink(pathOf(folder, id)).catch(() => undefined);
    removed++;
  }
  return removed;
}

const NO_HASH = "0".repeat(64);

function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

function pathOf(folder: string, id: string): string {
  return join(folder, "tokens", `${id}.json`);
}

async function readPending(folder: string, id: string): Promise<PendingToken | undefined> {
  if (!isTokenId(id)) return undefined;
  try {
    return pendingSchema.safeParse(JSON.parse(await readTextFile(pathOf(folder, id), MAX_REQUEST_BYTES))).data;
  } catch {
    return undefined;
  }
}
