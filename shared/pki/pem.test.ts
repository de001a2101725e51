import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import { pemBlocks, pemBytes, pemOf } from "./pem.ts";

test("blocks come back in their order, whatever stands between them", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (contents) => {
      const text = contents.map((content) => `text\n${pemOf("X", content)}`).join(pemOf("Y", Uint8Array.of(1)));
      const read = pemBlocks("f", text, "X").map(pemBytes);
      assert.deepEqual(
        read.map((bytes) => [...bytes]),
        contents.map((bytes) => [...bytes]),
      );
    }),
  );
});

test("a block that is cut off is refused with its file", () => {
  const text = pemOf("X", new Uint8Array(100));
  for (let length = "-----BEGIN X-----".length; length < text.length - 1; length++) {
    assert.throws(() => pemBlocks("f.pem", text.slice(0, length), "X"), {
      code: "ZG_TLS_MATERIAL",
      message: "f.pem: the PEM block X in it has no end",
    });
  }
});

test("any text gives blocks or a refusal", () => {
  const pieces = fc.array(fc.oneof(fc.string(), fc.constantFrom("-----BEGIN X-----", "-----END X-----", "\n", "AAAA")));
  fc.assert(
    fc.property(pieces, (parts) => {
      try {
        for (const block of pemBlocks("f", parts.join(""), "X")) pemBytes(block);
      } catch (error) {
        assert.ok(error instanceof ZgateError);
      }
    }),
  );
});
