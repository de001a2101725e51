import assert from "node:assert/strict";
import { test } from "node:test";
import { importsOf, judgeImports } from "./import-rules.ts";

test("importsOf finds every form of import and no text that only looks like one", () => {
  const source = [
    `import { a } from "./a.ts";`,
    `import type { B } from '../b.ts';`,
    `import "./effect.ts";`,
    `export { c } from "./c.ts";`,
    `// import { no } from "./comment.ts";`,
    `/* export { no } from "./block.ts"; */`,
    `const late = await import("./late.ts");`,
    'const text = `import x from "./template.ts"`;',
    `import {`,
    `  d,`,
    `} from "./d.ts";`,
  ].join("\n");
  assert.deepEqual(importsOf(source), [
    { specifier: "./a.ts", line: 1 },
    { specifier: "../b.ts", line: 2 },
    { specifier: "./effect.ts", line: 3 },
    { specifier: "./c.ts", line: 4 },
    { specifier: "./late.ts", line: 7 },
    { specifier: "./d.ts", line: 11 },
  ]);
});

const CASES: readonly { file: string; specifier: string; message: string | undefined }[] = [
  { file: "cli/relay.ts", specifier: "../relay/relay.ts", message: undefined },
  { file: "relay/relay.ts", specifier: "../shared/errors.ts", message: undefined },
  { file: "shared/pki/issue.ts", specifier: "../errors.ts", message: undefined },
  { file: "shared/pki/issue.ts", specifier: "node:crypto", message: undefined },
  { file: "cli/main.ts", specifier: "../package.json", message: undefined },
  { file: "bench/run.ts", specifier: "../e2e/harness/namespace.ts", message: undefined },
  {
    file: "shared/http3/client.ts",
    specifier: "../../relay/relay.ts",
    message: "shared/ may not import relay/relay.ts: it may import itself and nothing else",
  },
  {
    file: "agent/agent.ts",
    specifier: "../relay/nat.ts",
    message: "agent/ may not import relay/nat.ts: it may import itself and shared/",
  },
  {
    file: "relay/relay.ts",
    specifier: "../shared/errors",
    message: `"../shared/errors" needs its file extension: Node runs the source as it is`,
  },
  {
    file: "other/x.ts",
    specifier: "./y.ts",
    message: "other/ has no entry in the table of tools/import-rules.ts: add one",
  },
];

for (const { file, specifier, message } of CASES) {
  test(`${file} importing ${specifier} is ${message === undefined ? "allowed" : "refused"}`, () => {
    const problems = judgeImports(file, `import { x } from "${specifier}";\n`);
    assert.deepEqual(problems, message === undefined ? [] : [{ file, line: 1, message }]);
  });
}
