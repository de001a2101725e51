import assert from "node:assert/strict";
import { test } from "node:test";
import { contentLength, malformation, type SectionKind } from "./field-rules.ts";
import type { Field, Fields } from "./fields.ts";
import { CONNECT, GET } from "./test-world.ts";

const TCP_CONNECT: Fields = [
  [":method", "CONNECT"],
  [":authority", "target.example:443"],
];
const OK: Fields = [[":status", "200"]];

/** Without the fields of the changed names, and with these in their place. */
function changed(fields: Fields, ...changes: Field[]): Fields {
  const names = new Set(changes.map(([name]) => name));
  return [
    ...changes.filter(([name]) => name.startsWith(":")),
    ...fields.filter(([name]) => !names.has(name)),
    ...changes.filter(([name]) => !name.startsWith(":")),
  ];
}

function without(fields: Fields, name: string): Fields {
  return fields.filter((field) => field[0] !== name);
}

// oxfmt-ignore
const GOOD: readonly [what: string, kind: SectionKind, fields: Fields][] = [
  ["a GET", "request", GET],
  ["an extended CONNECT", "request", CONNECT],
  ["a plain CONNECT", "request", TCP_CONNECT],
  ["OPTIONS of the whole server", "request", changed(GET, [":method", "OPTIONS"], [":path", "*"])],
  ["host in place of :authority", "request", [...without(GET, ":authority"), ["host", "relay.example"]]],
  ["host that says the same", "request", changed(GET, ["host", "relay.example"])],
  ["another scheme, without authority", "request", changed(without(GET, ":authority"), [":scheme", "urn"], [":path", ""])],
  ["te: trailers", "request", changed(GET, ["te", "trailers"])],
  ["a tab and obs-text in a value", "request", changed(GET, ["a", "b\tc \xff"])],
  ["a content-length twice, the same", "request", [...GET, ["content-length", "5"], ["content-length", "5"]]],
  ["a response", "response", [...OK, ["server", "x"]]],
  ["an interim response", "response", [[":status", "103"], ["link", "</a>"]]],
  ["trailers", "trailer", [["checksum", "abc"]]],
  ["no trailers at all", "trailer", []],
];

for (const [what, kind, fields] of GOOD)
  test(`well-formed: ${what}`, () => assert.equal(malformation(kind, fields), undefined));

// oxfmt-ignore
const BAD: readonly [kind: SectionKind, fields: Fields, message: string][] = [
  ["request", [], ":method is missing"],
  ["request", without(GET, ":method"), ":method is missing"],
  ["request", changed(GET, [":method", "G ET"]), ":method is no token"],
  ["request", without(GET, ":scheme"), ":scheme is missing"],
  ["request", without(GET, ":path"), ":path is missing"],
  ["request", changed(GET, [":path", ""]), ":path is empty"],
  ["request", changed(GET, [":path", "hello"]), ":path does not start with a slash"],
  ["request", without(GET, ":authority"), "neither :authority nor host says whom it is for"],
  ["request", changed(GET, [":authority", ""]), "neither :authority nor host says whom it is for"],
  ["request", [...GET, ["host", ""]], "neither :authority nor host says whom it is for"],
  ["request", [...GET, ["host", "other.example"]], ":authority and host differ"],
  ["request", changed(GET, [":authority", "me@relay.example"]), ":authority has user information"],
  ["request", [...GET, [":protocol", "connect-ip"]], ":protocol without CONNECT"],
  ["request", changed(CONNECT, [":protocol", ""]), ":protocol is empty"],
  ["request", without(CONNECT, ":path"), ":path is missing"],
  ["request", [...TCP_CONNECT, [":path", "/"]], ":path in a CONNECT without :protocol"],
  ["request", [...TCP_CONNECT, [":scheme", "https"]], ":scheme in a CONNECT without :protocol"],
  ["request", [[":method", "CONNECT"]], "a CONNECT without :authority"],
  ["request", [...GET, [":path", "/again"]], ":path comes twice"],
  ["request", [["a", "b"], ...GET], ":method comes after a regular field"],
  ["request", [...GET, [":status", "200"]], '":status" does not belong in a request'],
  ["request", [...GET, [":new", "1"]], '":new" does not belong in a request'],
  ["request", [...GET, ["Accept", "*/*"]], '"Accept" is no field name in lower case'],
  ["request", [...GET, ["", "x"]], '"" is no field name in lower case'],
  ["request", [...GET, ["a b", "x"]], '"a b" is no field name in lower case'],
  ["request", [...GET, ["\u00e9", "x"]], '"é" is no field name in lower case'],
  ["request", [...GET, ["a", "b\r\nc: d"]], 'the value of "a" is no field value'],
  ["request", [...GET, ["a", "b\0"]], 'the value of "a" is no field value'],
  ["request", [...GET, ["a", " b"]], 'the value of "a" is no field value'],
  ["request", [...GET, ["a", "b\t"]], 'the value of "a" is no field value'],
  ["request", [...GET, ["host", "relay.example"], ["host", "x"]], "host comes twice with different values"],
  ["request", [...GET, ["a", "\x7f"]], 'the value of "a" is no field value'],
  ["request", [...GET, ["connection", "close"]], "connection is a connection-specific field"],
  ["request", [...GET, ["keep-alive", "5"]], "keep-alive is a connection-specific field"],
  ["request", [...GET, ["proxy-connection", "x"]], "proxy-connection is a connection-specific field"],
  ["request", [...GET, ["transfer-encoding", "chunked"]], "transfer-encoding is a connection-specific field"],
  ["request", [...GET, ["upgrade", "h2c"]], "upgrade is a connection-specific field"],
  ["request", [...GET, ["te", "gzip"]], "te has a value other than trailers"],
  ["request", [...GET, ["content-length", "-1"]], "content-length is no number of bytes"],
  ["request", [...GET, ["content-length", "5"], ["content-length", "6"]], "content-length comes twice with different values"],
  ["response", [], ":status is missing"],
  ["response", [["server", "x"]], ":status is missing"],
  ["response", [[":status", "20"]], ':status is "20", expected three digits'],
  ["response", [[":status", "2e2"]], ':status is "2e2", expected three digits'],
  ["response", [[":status", "101"]], ":status is 101, which HTTP/3 does not have"],
  ["response", [...OK, [":path", "/"]], '":path" does not belong in a response'],
  ["response", [...OK, ...OK], ":status comes twice"],
  ["trailer", OK, '":status" does not belong in a trailer'],
];

for (const [kind, fields, message] of BAD) {
  test(`malformed ${kind}: ${message} (${JSON.stringify(fields.at(-1) ?? [])})`, () =>
    assert.equal(malformation(kind, fields), message));
}

test("content-length is a number, or -1", () => {
  assert.equal(contentLength([["content-length", "0042"]]), 42);
  assert.equal(contentLength(GET), -1);
});
