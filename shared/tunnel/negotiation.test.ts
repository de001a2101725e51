import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import type { Field } from "../http3/fields.ts";
import { tunMtu } from "../units.ts";
import { answerFields, lanesOnDemand, maxFrameLength, negotiate, readAgreement, requestFields } from "./negotiation.ts";
import type { SessionOffer, SessionWish } from "./negotiation.ts";
import { parseItem } from "./structured-field.ts";

const offer: SessionOffer = { maxLanes: 16, offload: "gso", mtu: tunMtu(1400) };
const wish: SessionWish = { lanes: 8, offload: "gso" };

describe("parseItem", () => {
  const items = [
    { text: "8", item: { kind: "integer", value: 8 } },
    { text: "  -12 ", item: { kind: "integer", value: -12 } },
    { text: "999999999999999", item: { kind: "integer", value: 999_999_999_999_999 } },
    { text: "gso", item: { kind: "token", value: "gso" } },
    { text: "*a/b:c", item: { kind: "token", value: "*a/b:c" } },
    { text: "?1", item: { kind: "boolean", value: true } },
    { text: "?0", item: { kind: "boolean", value: false } },
    { text: '8;a;b=1;c=2.5; d="x\\"y";e=?0;f=:YQ==:;g=tok', item: { kind: "integer", value: 8 } },
  ] as const;
  for (const { text, item } of items) test(text, () => assert.deepEqual(parseItem(text), item));

  for (const text of [
    "",
    " ",
    "8.5",
    "1000000000000000",
    "8, 9",
    "gso, uso",
    "?2",
    '"gso"',
    "8;",
    "8;A",
    "8;a=",
    "8 ;a",
    "(8)",
    "-",
    "\t8",
    "8\n",
    `8;a="${"x".repeat(300)}"`,
  ]) {
    test(`${JSON.stringify(text.slice(0, 20))} is none`, () => assert.equal(parseItem(text), undefined));
  }

  test("random text is an item or none", () => {
    fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => void parseItem(text)));
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'8a?1;="\\:. -*'), maxLength: 40 }),
        (text) => void parseItem(text),
      ),
    );
  });
});

describe("negotiate", () => {
  test("the fields of a request and of its answer", () => {
    const request = requestFields(wish);
    assert.deepEqual(request, [
      ["zgate-version", "1"],
      ["zgate-lanes", "8"],
      ["zgate-offload", "gso"],
    ]);
    const result = negotiate(request, offer);
    assert.deepEqual(result, { ok: true, agreement: { version: 1, lanes: 8, offload: "gso", mtu: 1400 } });
    assert.ok(result.ok);
    const answer = answerFields(result.agreement);
    assert.deepEqual(answer, [
      ["zgate-lanes", "8"],
      ["zgate-mtu", "1400"],
      ["zgate-lane-opening", "on-demand"],
      ["zgate-offload", "gso"],
    ]);
    assert.deepEqual(readAgreement(answer, wish), result.agreement);
    assert.equal(lanesOnDemand(answer), true);
    assert.equal(lanesOnDemand([["zgate-lanes", "8"]]), false);
  });

  const agreed: { name: string; fields: Field[]; offer: SessionOffer; lanes: number; offload: string }[] = [
    { name: "a plain RFC 9484 client", fields: [["capsule-protocol", "?1"]], offer, lanes: 0, offload: "none" },
    { name: "offload without lanes", fields: [["zgate-offload", "gso"]], offer, lanes: 0, offload: "none" },
    { name: "more lanes than the relay gives", fields: [["zgate-lanes", "64"]], offer, lanes: 16, offload: "none" },
    {
      name: "a device without offload",
      fields: requestFields(wish),
      offer: { ...offer, offload: "none" },
      lanes: 8,
      offload: "none",
    },
    {
      name: "an offload of the future",
      fields: [
        ["zgate-lanes", "1"],
        ["zgate-offload", "gso2"],
      ],
      offer,
      lanes: 1,
      offload: "none",
    },
    {
      name: "a version of the future",
      fields: [
        ["zgate-version", "2"],
        ["zgate-lanes", "1"],
      ],
      offer,
      lanes: 1,
      offload: "none",
    },
    { name: "parameters are read past", fields: [["zgate-lanes", "2;burst"]], offer, lanes: 2, offload: "none" },
  ];
  for (const { name, fields, offer: made, lanes, offload } of agreed) {
    test(name, () =>
      assert.deepEqual(negotiate(fields, made), { ok: true, agreement: { version: 1, lanes, offload, mtu: 1400 } }),
    );
  }

  const refused: { fields: Field[]; reason: string }[] = [
    { fields: [["zgate-lanes", "0"]], reason: "zgate-lanes is 0: expected 1 to 64" },
    { fields: [["zgate-lanes", "many"]], reason: "zgate-lanes is a token: expected an integer" },
    {
      fields: [["zgate-lanes", "8, 8"]],
      reason: "zgate-lanes is malformed: expected one structured-field item (RFC 9651)",
    },
    {
      fields: [
        ["zgate-lanes", "8"],
        ["zgate-lanes", "8"],
      ],
      reason: "zgate-lanes is there more than once",
    },
    { fields: [["zgate-version", "0"]], reason: "zgate-version is 0: expected 1 or above" },
    { fields: [["zgate-offload", "?1"]], reason: "zgate-offload is a boolean: expected a token" },
  ];
  for (const { fields, reason } of refused) {
    test(`refused: ${reason}`, () => assert.deepEqual(negotiate(fields, offer), { ok: false, reason }));
  }

  test("what a relay answers is what its agent reads", () => {
    const offload = fc.constantFrom("none" as const, "gso" as const);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        offload,
        fc.integer({ min: 1, max: 64 }),
        offload,
        fc.integer({ min: 1280, max: 65_535 }),
        (lanes, wanted, maxLanes, has, mtu) => {
          const asked: SessionWish = { lanes, offload: wanted };
          const result = negotiate(requestFields(asked), { maxLanes, offload: has, mtu: tunMtu(mtu) });
          assert.ok(result.ok);
          assert.deepEqual(readAgreement(answerFields(result.agreement), asked), result.agreement);
          assert.equal(maxFrameLength(result.agreement), wanted === "gso" && has === "gso" ? 65_535 : mtu);
        },
      ),
    );
  });
});

describe("readAgreement", () => {
  test("a plain RFC 9484 proxy", () => {
    assert.deepEqual(readAgreement([[":status", "200"]], wish), { version: 1, lanes: 0, offload: "none", mtu: 1280 });
  });

  const wrong: { fields: Field[]; message: string }[] = [
    { fields: [["zgate-lanes", "9"]], message: "zgate-lanes is 9: 8 were asked for" },
    { fields: [["zgate-lanes", "-1"]], message: "zgate-lanes is -1: 8 were asked for" },
    {
      fields: [
        ["zgate-lanes", "8"],
        ["zgate-offload", "uso"],
      ],
      message: 'zgate-offload is uso: "gso" was asked for, on lanes',
    },
    { fields: [["zgate-offload", "gso"]], message: 'zgate-offload is gso: "gso" was asked for, on lanes' },
    { fields: [["zgate-mtu", "576"]], message: "zgate-mtu is 576: expected 1280 to 65535 bytes" },
    { fields: [["zgate-mtu", "?1"]], message: "zgate-mtu is a boolean: expected an integer" },
  ];
  for (const { fields, message } of wrong) {
    test(message, () => {
      assert.throws(
        () => readAgreement(fields, wish),
        (error) => {
          assert.ok(error instanceof ZgateError);
          assert.equal(error.code, "ZG_NEGOTIATION");
          assert.equal(error.message, `the relay's answer cannot be: ${message}`);
          return true;
        },
      );
    });
  }
});
