/**
 * An enrolment token: one line that takes a new machine into the network.
 *
 *   zgate1.<base64url of JSON {"at":"relay.example:4433","ca":"<SHA-256>","id":"…","secret":"…","name":"client-1"}>
 *
 * It says where the enrolment service is and by which root it is to be known, and carries a secret that works once.
 * Pure.
 */
import { z } from "zod";
import { formatHostPort, parseHostPort } from "../config/host-port.ts";
import type { HostPort } from "../config/host-port.ts";
import { ZgateError } from "../errors.ts";
import { MAX_TOKEN_LENGTH } from "./constants.ts";
import { isClientName } from "./profiles.ts";

export interface EnrolmentToken {
  readonly at: HostPort;
  /** SHA-256 of the root certificate, lower-case hexadecimal. */
  readonly rootFingerprint256: string;
  readonly id: string;
  readonly secret: string;
  /** The client's name: what the certificate will say. */
  readonly name: string;
}

const PREFIX = "zgate1.";

/** Names of token files: nothing that a path could be made of. */
const ID = /^[A-Za-z0-9_-]{1,64}$/;

const tokenSchema = z
  .strictObject({
    at: z.string().transform((text, context) => {
      const at = parseHostPort(text);
      if (at !== undefined && at.port > 0) return at;
      context.addIssue({ code: "custom", message: "no HOST:PORT" });
      return z.NEVER;
    }),
    ca: z.string().regex(/^[0-9a-f]{64}$/),
    id: z.string().regex(ID),
    secret: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
    name: z.string().refine(isClientName),
  })
  .transform(({ ca, ...rest }): EnrolmentToken => ({ ...rest, rootFingerprint256: ca }));

export function formatToken(token: EnrolmentToken): string {
  const { at, rootFingerprint256: ca, id, secret, name } = token;
  return PREFIX + Buffer.from(JSON.stringify({ at: formatHostPort(at), ca, id, secret, name })).toString("base64url");
}

/** Throws `ZG_PKI_INVALID`; what was given is a secret, so no message repeats it. */
export function parseToken(line: string): EnrolmentToken {
  const text = line.trim();
  if (text.length <= MAX_TOKEN_LENGTH && text.startsWith(PREFIX)) {
    const token = tokenSchema.safeParse(jsonOf(Buffer.from(text.slice(PREFIX.length), "base64url").toString("utf8")));
    if (token.success) return token.data;
  }
  throw new ZgateError("ZG_PKI_INVALID", "this is no enrolment token, or not the whole line of one");
}

export function isTokenId(id: string): boolean {
  return ID.test(id);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
