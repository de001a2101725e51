/**
 * The `:path` of the tunnel's requests: the connect-ip template `/.well-known/masque/ip/{target}/{ipproto}/`
 * (RFC 9484 sections 3 and 4.6) and zgate's own `/lane/{n}`.
 */
import { ZgateError } from "../errors.ts";
import { parsePrefix } from "../packet/address.ts";
import type { Prefix } from "../packet/address.ts";
import { MAX_LANES } from "./constants.ts";

/** What a connect-ip request is limited to. */
export interface ConnectIpScope {
  /** `undefined`: any destination. A host name is in lower case. */
  readonly target: Prefix | string | undefined;
  /** IANA protocol number; `undefined`: any. */
  readonly ipProtocol: number | undefined;
}

export type ConnectIpPath =
  | { readonly ok: true; readonly scope: ConnectIpScope }
  | { readonly ok: false; readonly reason: string };

/** The path of a session that is limited to nothing. */
export const CONNECT_IP_PATH = "/.well-known/masque/ip/*/*/";

/** Reads the `:path` of a connect-ip request. `reason` is a sentence for the log and for the body of the 400. */
export function parseConnectIpPath(path: string): ConnectIpPath {
  const match = /^\/\.well-known\/masque\/ip\/([^/?#]+)\/([^/?#]+)\/$/.exec(path);
  if (match === null) return { ok: false, reason: `the path is not ${CONNECT_IP_PATH} or a narrower scope of it` };
  const target = decoded(match[1]!);
  const ipProtocol = decoded(match[2]!);
  if (target === undefined || ipProtocol === undefined)
    return { ok: false, reason: "the path has a broken percent-encoding" };
  if (ipProtocol !== "*" && !(/^\d{1,3}$/.test(ipProtocol) && Number(ipProtocol) <= 255)) {
    return { ok: false, reason: "the path's IP protocol is not * or a number from 0 to 255" };
  }
  const scope = targetOf(target);
  if (scope.ok)
    return {
      ok: true,
      scope: { target: scope.target, ipProtocol: ipProtocol === "*" ? undefined : Number(ipProtocol) },
    };
  return scope;
}

/** The path of a lane. */
export function lanePath(lane: number): string {
  return `/lane/${lane}`;
}

/** The number in the `:path` of a lane, 0 to `MAX_LANES - 1`; `undefined` when it is none. */
export function parseLanePath(path: string): number | undefined {
  const lane = /^\/lane\/(0|[1-9]\d?)$/.exec(path)?.[1];
  return lane === undefined || Number(lane) >= MAX_LANES ? undefined : Number(lane);
}

type Target =
  | { readonly ok: true; readonly target: Prefix | string | undefined }
  | { readonly ok: false; readonly reason: string };

function targetOf(text: string): Target {
  if (text === "*") return { ok: true, target: undefined };
  if (/^[\d.]+$/.test(text) || /[:/]/.test(text)) {
    try {
      return { ok: true, target: parsePrefix(text) };
    } catch (error) {
      if (error instanceof ZgateError) return { ok: false, reason: `the path's target: ${error.message}` };
      throw error;
    }
  }
  // RFC 1123 section 2.1: letters, digits and hyphens, at most 253 characters.
  if (
    text.length > 253 ||
    !text.split(".").every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))
  ) {
    return { ok: false, reason: "the path's target is no *, IP prefix or host name" };
  }
  return { ok: true, target: text.toLowerCase() };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
