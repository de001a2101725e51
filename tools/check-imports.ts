/** Checks that imports point one way (`tools/import-rules.ts`). Exit code 1 when one does not. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { judgeImports } from "./import-rules.ts";

const root = join(import.meta.dirname, "..");
const files = globSync("{agent,relay,shared,cli,e2e,bench,tools,docs}/**/*.ts", { cwd: root }).toSorted();
const problems = files.flatMap((file) => judgeImports(file, readFileSync(join(root, file), "utf8")));
for (const { file, line, message } of problems) console.error(`${file}:${line}: ${message}`);
console.log(`imports: ${files.length} files, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
