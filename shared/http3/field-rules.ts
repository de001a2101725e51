/**
 * What makes a message malformed (RFC 9114 sections 4.1.2, 4.2, 4.3; RFC 9220 section 3): names, values,
 * connection-specific fields, pseudo-header fields. Each rule answers with a sentence, or undefined when it
 * is kept; who found the fault decides what follows.
 */
import { fieldValue, type Fields } from "./fields.ts";

/** `trailer`: no pseudo-header field at all. */
export type SectionKind = "request" | "response" | "trailer";

/** RFC 9110 section 5.6.2 `token`, without upper case (RFC 9114 section 4.2). */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110 section 9.1: a method is a token, upper case allowed. */
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5: visible characters and obs-text, space and tab between them. */
const FIELD_VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const STATUS = /^[1-9][0-9][0-9]$/;
const CONTENT_LENGTH = /^[0-9]{1,15}$/;

const PSEUDO_FIELDS: Readonly<Record<SectionKind, ReadonlySet<string>>> = {
  request: new Set([":method", ":scheme", ":authority", ":path", ":protocol"]),
  response: new Set([":status"]),
  trailer: new Set(),
};

/** RFC 9114 section 4.2. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** What is wrong with a field section; undefined: nothing. */
export function malformation(kind: SectionKind, fields: Fields): string | undefined {
  return wrongField(kind, fields) ?? wrongContentLength(fields) ?? wrongControlData(kind, fields);
}

/** The value of `content-length`, in bytes; -1 without one. The section is known to be well-formed. */
export function contentLength(fields: Fields): number {
  const value = fieldValue(fields, "content-length");
  return value === undefined ? -1 : Number(value);
}

function wrongField(kind: SectionKind, fields: Fields): string | undefined {
  const seen = new Set<string>();
  let regular = false;
  for (const [name, value] of fields) {
    if (!FIELD_VALUE.test(value)) return `the value of ${quote(name)} is no field value`;
    if (name.startsWith(":")) {
      if (!PSEUDO_FIELDS[kind].has(name)) return `${quote(name)} does not belong in a ${kind}`;
      if (regular) return `${name} comes after a regular field`;
      if (seen.has(name)) return `${name} comes twice`;
      seen.add(name);
      continue;
    }
    regular = true;
    if (!FIELD_NAME.test(name)) return `${quote(name)} is no field name in lower case`;
    if (CONNECTION_FIELDS.has(name)) return `${name} is a connection-specific field`;
    if (name === "te" && value !== "trailers") return "te has a value other than trailers";
  }
  return undefined;
}

function wrongContentLength(fields: Fields): string | undefined {
  const first = fieldValue(fields, "content-length");
  if (first === undefined) return undefined;
  if (!CONTENT_LENGTH.test(first)) return "content-length is no number of bytes";
  const differs = fields.some(([name, value]) => name === "content-length" && value !== first);
  return differs ? "content-length comes twice with different values" : undefined;
}

function wrongControlData(kind: SectionKind, fields: Fields): string | undefined {
  if (kind === "trailer") return undefined;
  if (kind === "response") {
    const status = fieldValue(fields, ":status");
    if (status === undefined) return ":status is missing";
    if (!STATUS.test(status)) return `:status is ${quote(status)}, expected three digits`;
    // RFC 9114 section 4.5: there is no upgrade in HTTP/3.
    return status === "101" ? ":status is 101, which HTTP/3 does not have" : undefined;
  }
  const method = fieldValue(fields, ":method");
  if (method === undefined) return ":method is missing";
  if (!METHOD.test(method)) return ":method is no token";
  if (method === "CONNECT" && fieldValue(fields, ":protocol") === undefined) return wrongPlainConnect(fields);
  if (method !== "CONNECT" && fieldValue(fields, ":protocol") !== undefined) return ":protocol without CONNECT";
  return wrongTarget(fields);
}

/** RFC 9114 section 4.4. */
function wrongPlainConnect(fields: Fields): string | undefined {
  for (const name of [":scheme", ":path"]) {
    if (fieldValue(fields, name) !== undefined) return `${name} in a CONNECT without :protocol`;
  }
  return (fieldValue(fields, ":authority") ?? "") === "" ? "a CONNECT without :authority" : undefined;
}

/** RFC 9114 section 4.3.1; extended CONNECT has the same fields (RFC 8441 section 4). */
function wrongTarget(fields: Fields): string | undefined {
  const scheme = fieldValue(fields, ":scheme");
  if (scheme === undefined || scheme === "") return ":scheme is missing";
  const path = fieldValue(fields, ":path");
  if (path === undefined) return ":path is missing";
  if (fieldValue(fields, ":protocol") === "") return ":protocol is empty";
  if (scheme !== "https" && scheme !== "http") return undefined;
  if (path === "") return ":path is empty";
  if (!path.startsWith("/") && path !== "*") return ":path does not start with a slash";
  const authority = fieldValue(fields, ":authority");
  const host = fieldValue(fields, "host");
  if ((authority ?? host ?? "") === "" || host === "") return "neither :authority nor host says whom it is for";
  if (fields.some(([name, value]) => name === "host" && value !== host))
    return "host comes twice with different values";
  if (authority !== undefined && host !== undefined && authority !== host) return ":authority and host differ";
  return (authority ?? "").includes("@") ? ":authority has user information" : undefined;
}

/** What a peer sent, made fit for a message or a log. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
