import "reflect-metadata";
import assert from "node:assert/strict";
import { createHash, X509Certificate as NodeCertificate } from "node:crypto";
import { before, test } from "node:test";
import { Extension, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import type { JsonGeneralNames, JsonName } from "@peculiar/x509";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import { MAX_CERTIFICATE_BYTES, MAX_CLIENT_NAME } from "./constants.ts";
import { clientIdentity, normalSerial } from "./identity.ts";
import { generateKey, SIGNING } from "./keys.ts";
import type { SigningKey } from "./keys.ts";

let key: SigningKey;
before(async () => {
  key = await generateKey("p256");
});

interface Subject {
  readonly name?: JsonName;
  readonly sans?: JsonGeneralNames;
  readonly extensions?: Extension[];
}

async function leaf(subject: Subject): Promise<Uint8Array> {
  const extensions = [...(subject.extensions ?? [])];
  if (subject.sans !== undefined) extensions.push(new SubjectAlternativeNameExtension(subject.sans));
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: subject.name ?? [],
    keys: { privateKey: key.privateKey, publicKey: key.publicKey },
    signingAlgorithm: SIGNING[key.type],
    serialNumber: "00ab12",
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2026-02-01T00:00:00Z"),
    extensions,
  });
  return new Uint8Array(certificate.rawData);
}

const uri = (value: string): JsonGeneralNames[number] => ({ type: "url", value });
const cn = (...names: string[]): JsonName => names.map((name) => ({ CN: [name] }));

const NAMED: readonly [what: string, subject: Subject, name: string][] = [
  ["the URI", { name: cn("other"), sans: [uri("zgate://client/client-1")] }, "client-1"],
  ["a SPIFFE ID", { sans: [uri("spiffe://example.org/ns/dev/sa/api")] }, "spiffe://example.org/ns/dev/sa/api"],
  ["the common name", { name: cn("client-1") }, "client-1"],
  [
    "the common name beside names of other kinds",
    { name: cn("Ada Lovelace"), sans: [{ type: "dns", value: "ada.example" }, uri("https://ada.example/")] },
    "Ada Lovelace",
  ],
  ["a common name in another script", { name: cn("Zoë-Ünal") }, "Zoë-Ünal"],
  ["a subject with more than the common name", { name: [{ O: ["Example"] }, { CN: ["client-1"] }] }, "client-1"],
  ["an e-mail address", { sans: [uri("zgate://client/ada@example.org")] }, "ada@example.org"],
];

for (const [what, subject, name] of NAMED) {
  test(`the name is ${what}`, async () => assert.equal(clientIdentity(await leaf(subject)).name, name));
}

const REFUSED: readonly [what: string, subject: Subject, message: RegExp][] = [
  ["no name at all", {}, /neither a zgate:\/\/client\/… nor a spiffe:\/\/… URI nor a common name/],
  ["an empty common name", { name: cn("") }, /nor a common name/],
  ["two common names", { name: cn("client-1", "client-2") }, /2 common names where one is expected/],
  [
    "two URIs",
    { sans: [uri("zgate://client/a"), uri("zgate://client/b")] },
    /2 names \("zgate:\/\/client\/a", "zgate:\/\/client\/b"\)/,
  ],
  ["the same URI twice", { sans: [uri("zgate://client/a"), uri("zgate://client/a")] }, /2 names/],
  ["a SPIFFE ID beside a URI", { sans: [uri("zgate://client/a"), uri("spiffe://x/a")] }, /2 names/],
  [
    "a URI of another kind, with a good common name",
    { name: cn("a"), sans: [uri("zgate://relay/a")] },
    /not of the form/,
  ],
  ["a URI with a path", { sans: [uri("zgate://client/a/b")] }, /not of the form/],
  ["a URI with an escape", { sans: [uri("zgate://client/a%2fb")] }, /not of the form/],
  ["a URI with a query", { sans: [uri("zgate://client/a?b")] }, /not of the form/],
  ["a URI with another's scheme spelling", { sans: [uri("ZGATE://client/a")] }, /not of the form/],
  ["a URI without a name", { sans: [uri("zgate://client/")] }, /not of the form/],
  ["a long URI", { sans: [uri(`zgate://client/${"a".repeat(MAX_CLIENT_NAME + 1)}`)] }, /more than 255 characters/],
  ["a SPIFFE ID of a trust domain", { sans: [uri("spiffe://example.org")] }, /no SPIFFE ID of a workload/],
  ["a SPIFFE ID with dot segments", { sans: [uri("spiffe://example.org/a/../b")] }, /no SPIFFE ID of a workload/],
  [
    "a long SPIFFE ID",
    { sans: [uri(`spiffe://example.org/${"a".repeat(MAX_CLIENT_NAME)}`)] },
    /more than 255 characters/,
  ],
  ["a newline", { name: cn("client-1\nclient-2") }, /control or invisible/],
  ["a NUL", { name: cn("client-1\0.example") }, /control or invisible/],
  ["a direction override", { name: cn("client\u202e1") }, /control or invisible/],
  ["a zero-width space", { name: cn("client\u200b-1") }, /control or invisible/],
  ["an outer space", { name: cn("client-1 ") }, /outer spaces/],
  ["a decomposed letter", { name: cn("Zoe\u0308") }, /normal form/],
  ["a common name that poses as a SPIFFE ID", { name: cn("spiffe://example.org/ns/dev/sa/api") }, /looks like a URI/],
  ["a long common name", { name: cn("a".repeat(MAX_CLIENT_NAME + 1)) }, /more than 255 characters/],
  [
    "alternative names that are not DER",
    { name: cn("a"), extensions: [new Extension("2.5.29.17", false, new Uint8Array([0x30, 0x05, 0x01]))] },
    /cannot be/,
  ],
];

for (const [what, subject, message] of REFUSED) {
  test(`refused: ${what}`, async () => {
    const der = await leaf(subject);
    assert.throws(() => clientIdentity(der), { code: "ZG_PKI_INVALID", message });
  });
}

test("serial, fingerprint and end are the certificate's", async () => {
  const der = await leaf({ name: cn("a") });
  const identity = clientIdentity(der);
  const node = new NodeCertificate(der);
  assert.equal(identity.serial, "ab12");
  assert.equal(identity.serial, normalSerial(node.serialNumber));
  assert.equal(identity.fingerprint256, node.fingerprint256.replaceAll(":", "").toLowerCase());
  assert.equal(identity.fingerprint256, createHash("sha256").update(der).digest("hex"));
  assert.equal(identity.notAfter, Date.UTC(2026, 1, 1));
});

test("no bytes make it throw anything but a refusal", async () => {
  const der = await leaf({ name: cn("client-1"), sans: [uri("zgate://client/client-1")] });
  const attempt = (bytes: Uint8Array): void => {
    try {
      clientIdentity(bytes);
    } catch (error) {
      assert.ok(error instanceof ZgateError && error.code === "ZG_PKI_INVALID", String(error));
    }
  };
  for (let length = 0; length < der.length; length++) attempt(der.subarray(0, length));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), attempt), { numRuns: 500 });
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.nat(255), (at, value) => {
      const damaged = Uint8Array.from(der);
      damaged[at] = value;
      attempt(damaged);
    }),
    { numRuns: 2000 },
  );
  assert.throws(() => clientIdentity(new Uint8Array(MAX_CERTIFICATE_BYTES + 1)), /at most 65536 are read/);
});
