import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { PBKDF2_ITERATIONS } from "./constants.ts";
import { generateKey, KEY_TYPES, privateKeyPem, signingKeyOf } from "./keys.ts";

const PASSPHRASE = "pässphrase with spaces";

for (const type of KEY_TYPES) {
  test(`a ${type} key comes back with its passphrase, from Node.js and from OpenSSL, and with no other`, async () => {
    const key = await generateKey(type);
    const plain = await privateKeyPem(key);
    const encrypted = await privateKeyPem(key, PASSPHRASE);
    assert.equal((await signingKeyOf("k.pem", encrypted, PASSPHRASE)).type, type);
    const byNode = createPrivateKey({ key: encrypted, passphrase: PASSPHRASE });
    assert.equal(byNode.export({ format: "pem", type: "pkcs8" }), plain);
    const openssl = (passphrase: string): ReturnType<typeof spawnSync> =>
      spawnSync("openssl", ["pkey", "-passin", `pass:${passphrase}`], { input: encrypted, encoding: "utf8" });
    assert.equal(openssl(PASSPHRASE).stdout, plain);
    assert.notEqual(openssl("another").status, 0);
    const structure = spawnSync("openssl", ["asn1parse"], { input: encrypted, encoding: "utf8" }).stdout;
    assert.match(structure, new RegExp(`INTEGER +:0?${PBKDF2_ITERATIONS.toString(16).toUpperCase()}`));
    await assert.rejects(signingKeyOf("k.pem", encrypted, "another"), {
      code: "ZG_PKI_INVALID",
      message: "k.pem: the passphrase is wrong, or the key is damaged",
    });
    await assert.rejects(signingKeyOf("k.pem", encrypted), {
      message: "k.pem: the key is encrypted; a passphrase is needed",
    });
  });
}
