import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Texts, TextWriter } from "./text-columns.ts";

test("texts are found by number and by content, lone surrogates too", () => {
  const anyText = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("\ud800", "\udc00", "\ufffd", "", "é", "e\u0301"),
  );
  fc.assert(
    fc.property(fc.uniqueArray(anyText, { maxLength: 60 }), fc.array(anyText), (texts, others) => {
      const writer = new TextWriter();
      for (const [number, text] of texts.entries()) assert.equal(writer.add(text), number);
      for (const [number, text] of texts.entries()) assert.equal(writer.add(text), number);
      const read = new Texts(structuredClone(writer.finish()));
      assert.equal(read.size, texts.length);
      for (const [number, text] of texts.entries()) {
        assert.equal(read.at(number), text);
        assert.equal(read.numberOf(text), number);
      }
      for (const other of others) assert.equal(read.numberOf(other), texts.indexOf(other));
      assert.equal(read.at(texts.length), "");
    }),
  );
});

test("none of none is found", () => {
  const none = new Texts(new TextWriter().finish());
  assert.deepEqual([none.size, none.numberOf(""), none.at(0)], [0, -1, ""]);
});
