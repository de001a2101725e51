/**
 * Who a client is: a verified leaf certificate → its name.
 *
 * The name is that of a `zgate://client/NAME` URI among the subject alternative names, or a `spiffe://…` URI there as a
 * whole, or else the subject's one common name. Whatever leaves a choice is refused: two such URIs, two common names, a
 * `zgate://` URI that is not a client's. So are names that would look like another's in a log or a policy.
 */
import "reflect-metadata";
import { createHash } from "node:crypto";
import { SubjectAlternativeNameExtension, X509Certificate } from "@peculiar/x509";
import { messageOf, ZgateError } from "../errors.ts";
import { unixMs } from "../units.ts";
import type { UnixMs } from "../units.ts";
import { MAX_CERTIFICATE_BYTES, MAX_CLIENT_NAME } from "./constants.ts";
import { certificateParts } from "./der.ts";

export interface Identity {
  /** The client's name as the policy knows it. */
  readonly name: string;
  /** Serial number, lower-case hexadecimal without leading zeros. */
  readonly serial: string;
  /** SHA-256 of the issuer's name in DER, lower-case hexadecimal: with the serial number it names the certificate. */
  readonly issuer: string;
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly fingerprint256: string;
  readonly notAfter: UnixMs;
}

/** The URI of a client's name, as `zgate pki issue client` writes it. */
export const CLIENT_URI_PREFIX = "zgate://client/";

/**
 * `leafDer` must be the leaf whose chain the TLS stack has verified: nothing is verified here.
 * Throws `ZG_PKI_INVALID` when it names no client, or more than one.
 */
export function clientIdentity(leafDer: Uint8Array): Identity {
  try {
    const certificate = parsed(leafDer);
    const notAfter = certificate.notAfter.getTime();
    if (Number.isNaN(notAfter)) throw refusal("its end is no date");
    return {
      name: nameOf(certificate),
      serial: normalSerial(certificate.serialNumber),
      issuer: nameHash(certificateParts(leafDer).issuer),
      fingerprint256: createHash("sha256").update(leafDer).digest("hex"),
      notAfter: unixMs(notAfter),
    };
  } catch (error) {
    // The parser decodes fields when they are asked for, and throws its own errors then.
    if (error instanceof ZgateError) throw error;
    throw refusal(`it cannot be parsed: ${messageOf(error)}`, error);
  }
}

/** Serial numbers as they are compared and logged: lower-case hexadecimal without leading zeros. */
export function normalSerial(hexadecimal: string): string {
  return hexadecimal
    .toLowerCase()
    .replaceAll(":", "")
    .replace(/^0+(?=.)/, "");
}

/** `Identity.issuer` of a name in DER. */
export function nameHash(name: Uint8Array): string {
  return createHash("sha256").update(name).digest("hex");
}

function parsed(der: Uint8Array): X509Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES)
    throw refusal(`it has ${der.length} bytes, at most ${MAX_CERTIFICATE_BYTES} are read`);
  return new X509Certificate(new Uint8Array(der));
}

function nameOf(certificate: X509Certificate): string {
  const uris = clientUris(certificate);
  if (uris.length > 1)
    throw refusal(`it has ${uris.length} names (${uris.map(quoted).join(", ")}) where one is expected`);
  const uri = uris[0];
  if (uri !== undefined) return nameOfUri(uri);
  return nameOfSubject(certificate);
}

/** The URIs among the subject alternative names that claim a name: other schemes are other systems' business. */
function clientUris(certificate: X509Certificate): string[] {
  return certificate
    .getExtensions(SubjectAlternativeNameExtension)
    .flatMap((extension) => extension.names.items)
    .filter((name) => name.type === "url" && /^(?:zgate|spiffe):/i.test(name.value))
    .map((name) => name.value);
}

/** Path segments and trust domains as SPIFFE allows them; a zgate name is one such segment, with `@` and `+` besides. */
const CLIENT_SEGMENT = /^[A-Za-z0-9._@+-]+$/;
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]+(?:\/[A-Za-z0-9._-]+)+$/;

function nameOfUri(uri: string): string {
  if (uri.startsWith("spiffe://")) {
    if (uri.length > MAX_CLIENT_NAME) throw refusal(`its SPIFFE ID has more than ${MAX_CLIENT_NAME} characters`);
    if (!SPIFFE_ID.test(uri) || uri.split("/").some((segment) => segment === "." || segment === "..")) {
      throw refusal(`${quoted(uri)} is no SPIFFE ID of a workload`);
    }
    return uri;
  }
  const name = uri.startsWith(CLIENT_URI_PREFIX) ? uri.slice(CLIENT_URI_PREFIX.length) : "";
  if (!CLIENT_SEGMENT.test(name)) throw refusal(`${quoted(uri)} is not of the form ${CLIENT_URI_PREFIX}NAME`);
  if (name.length > MAX_CLIENT_NAME) throw refusal(`its name has more than ${MAX_CLIENT_NAME} characters`);
  return name;
}

function nameOfSubject(certificate: X509Certificate): string {
  const names = certificate.subjectName.getField("CN");
  const name = names[0];
  if (name === undefined || name === "")
    throw refusal(`it has neither a ${CLIENT_URI_PREFIX}… nor a spiffe://… URI nor a common name`);
  if (names.length > 1) throw refusal(`it has ${names.length} common names where one is expected`);
  if (name.length > MAX_CLIENT_NAME) throw refusal(`its common name has more than ${MAX_CLIENT_NAME} characters`);
  if (/\p{C}|\p{Zl}|\p{Zp}/u.test(name) || name.trim() !== name || name.normalize("NFC") !== name) {
    throw refusal(
      `its common name ${quoted(name)} has control or invisible characters, outer spaces, or is not in normal form`,
    );
  }
  // Else whoever may choose a common name could choose the name of a workload.
  if (name.includes("://"))
    throw refusal(
      `its common name ${quoted(name)} looks like a URI, which counts only among the subject alternative names`,
    );
  return name;
}

const QUOTED_LENGTH = 80;

/** Printable whatever a peer put there. */
function quoted(text: string): string {
  const clipped = text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text;
  return JSON.stringify(clipped).replaceAll(
    /[^\x20-\x7e…]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

function refusal(reason: string, cause?: unknown): ZgateError {
  return new ZgateError("ZG_PKI_INVALID", `the client's certificate names no client: ${reason}`, { cause });
}
