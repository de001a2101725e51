import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dump, load } from "js-yaml";
import { MAX_YAML_DEPTH, MAX_YAML_NODES, MAX_YAML_PROBLEMS } from "./constants.ts";
import { entryOf, keyOffsetOf, offsetOf, plainOf } from "./node.ts";
import type { YamlNode } from "./node.ts";
import { parseYaml } from "./parse.ts";
import { formatProblem, SourceText } from "./source.ts";

function rootOf(text: string): YamlNode {
  const { root, problems } = parseYaml(new SourceText("t.yaml", text));
  assert.deepEqual(problems, []);
  assert.ok(root !== undefined);
  return root;
}

function problemsOf(text: string): string[] {
  return parseYaml(new SourceText("t.yaml", text)).problems.map(formatProblem);
}

const TEXT = `# a comment
version: "1.0"
plain: 1.0
list:
  - first
  - {key: 'it''s', empty: }
block: |
  two
  lines
`;

test("every key and value knows its place", () => {
  const source = new SourceText("t.yaml", TEXT);
  const root = rootOf(TEXT);
  const places: readonly [readonly PropertyKey[], number, number][] = [
    [[], 2, 1],
    [["version"], 2, 10],
    [["plain"], 3, 8],
    [["list"], 5, 3],
    [["list", 0], 5, 5],
    [["list", 1], 6, 5],
    [["list", 1, "key"], 6, 11],
    [["list", 1, "missing"], 6, 5],
    [["list", 7], 5, 3],
  ];
  for (const [path, line, column] of places) {
    assert.deepEqual(source.position(offsetOf(root, path)), { line, column }, path.map(String).join("."));
  }
  assert.deepEqual(source.position(keyOffsetOf(root, ["list", 1], "key")), { line: 6, column: 6 });
  assert.deepEqual(source.position(keyOffsetOf(root, [], "block")), { line: 7, column: 1 });
});

test("values follow the core schema, and the text stays as it was written", () => {
  const root = rootOf("a: 1.0\nb: '1.0'\nc: 0x1f\nd: true\ne: ~\nf: yes\ng: 2026-01-01\nh: off\ni:\n");
  const expected: readonly [string, unknown, string][] = [
    ["a", 1, "1.0"],
    ["b", "1.0", "1.0"],
    ["c", 31, "0x1f"],
    ["d", true, "true"],
    ["e", null, "~"],
    ["f", "yes", "yes"],
    ["g", "2026-01-01", "2026-01-01"],
    ["h", "off", "off"],
    ["i", null, ""],
  ];
  for (const [key, value, text] of expected) {
    const node = entryOf(root, key)?.value;
    assert.deepEqual(node?.kind === "scalar" ? [node.value, node.text] : undefined, [value, text], key);
  }
});

test("an empty document is a null scalar", () => {
  for (const text of ["", "\n", "# only a comment\n", "---\n"]) assert.equal(plainOf(rootOf(text)), null);
});

test("an alias is the node of its anchor", () => {
  const root = rootOf("a: &x {k: [1]}\nb: *x\n");
  assert.equal(entryOf(root, "a")?.value, entryOf(root, "b")?.value);
});

test("__proto__ is a key like any other", () => {
  const plain = plainOf(rootOf("__proto__: {admin: true}"));
  assert.deepEqual(Object.keys(plain as object), ["__proto__"]);
  assert.equal(({} as Record<string, unknown>)["admin"], undefined);
});

const PROBLEMS: readonly [text: string, problem: string][] = [
  ["a: 1\nb: 2\na: 3", 't.yaml:3:1: key "a" stands twice in the same mapping'],
  ['a: 1\n"a": 3', 't.yaml:2:1: key "a" stands twice in the same mapping'],
  ["a: b: c", "t.yaml:1:5: this is not YAML: bad indentation of a mapping entry"],
  ["a: [1,", "t.yaml:1:7: this is not YAML: unexpected end of the stream within a flow collection"],
  ["a: !!int 1", "t.yaml:1:4: a YAML tag (!…) is not supported here"],
  ["a: !x [1]", "t.yaml:1:4: a YAML tag (!…) is not supported here"],
  ["? [1]\n: 2", "t.yaml:1:3: a key must be a string"],
  ["a: *b", "t.yaml:1:4: alias *b stands before or inside what it names, or names nothing"],
  ["a: &b [*b]", "t.yaml:1:8: alias *b stands before or inside what it names, or names nothing"],
  ["a: 1\n---\nb: 2", "t.yaml:3:1: a second document begins here; one is expected"],
  ["a: \0", "t.yaml:1:4: this is not YAML: null byte is not allowed in input"],
];

for (const [text, problem] of PROBLEMS) {
  test(`refused: ${JSON.stringify(text)}`, () => assert.deepEqual(problemsOf(text), [problem]));
}

test("depth is bounded", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  assert.deepEqual(problemsOf(nested(MAX_YAML_DEPTH - 1)), []);
  assert.match(problemsOf(nested(100_000))[0] ?? "", /nesting exceeded maxDepth/);
});

test("aliases of aliases are counted as what they stand for", () => {
  let text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (let level = 1; level < 30; level++) text += `a${level}: &a${level} [${`*a${level - 1},`.repeat(10)}]\n`;
  assert.deepEqual(problemsOf(text), [
    `t.yaml:7:18: the document has more than ${MAX_YAML_NODES} values, aliases counted as what they stand for`,
  ]);
});

test("no more problems than somebody would read", () => {
  assert.equal(problemsOf("a: 1\n".repeat(10_000)).length, MAX_YAML_PROBLEMS);
});

test("lines end with LF, CR LF or CR", () => {
  const source = new SourceText("t", "a\r\nb\rc\nd");
  const lines = [...source.text].map((_, offset) => source.position(offset).line);
  assert.deepEqual(lines, [1, 1, 1, 2, 2, 3, 3, 4]);
  assert.deepEqual(source.position(99), { line: 4, column: 2 });
});

test("random text gives a tree or problems, never throws, and places lie inside", () => {
  const pieces = fc.array(
    fc.oneof(
      fc.constantFrom(
        "\n",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "!t ",
        '"',
        "'",
        "|\n ",
        "? ",
        "---\n",
        "#",
        "a",
        "\t",
      ),
      fc.string(),
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = parts.join("");
      const { root, problems } = parseYaml(new SourceText("t", text));
      assert.ok(root !== undefined || problems.length > 0);
      for (const problem of problems) assert.ok(problem.line >= 1 && problem.column >= 1);
      if (root !== undefined) plainOf(root);
    }),
    { numRuns: 3000 },
  );
});

test("what js-yaml writes and reads, we read alike", () => {
  const json = fc.jsonValue({ maxDepth: 4 }).filter((value) => !JSON.stringify(value).includes("__proto__"));
  fc.assert(
    fc.property(json, (value) => {
      const text = dump(value);
      assert.deepEqual(JSON.parse(JSON.stringify(plainOf(rootOf(text)))), JSON.parse(JSON.stringify(load(text))));
    }),
    { numRuns: 500 },
  );
});
