/**
 * Writes docs/configuration.md from the option schemas. `--check` writes nothing and fails when the file is not current.
 */
import { readFile, writeFile } from "node:fs/promises";
import { agentOptions } from "../shared/config/agent-options.ts";
import { optionRows } from "../shared/config/option.ts";
import type { OptionRow, OptionShape } from "../shared/config/option.ts";
import { relayOptions } from "../shared/config/relay-options.ts";

const OUTPUT = new URL("../docs/configuration.md", import.meta.url);

/** The whole page. */
export function configurationPage(): string {
  return `# Configuration

This page is written by \`node tools/configuration-docs.ts\` from the schemas in \`shared/config/\`; edit those.

An option is taken from the first of these that has it:

1. the flag;
2. the \`ZGATE_…\` variable (an empty one counts as not set; several values are separated by commas);
3. the key in the YAML file that \`--config FILE\` or \`ZGATE_CONFIG\` names;
4. the default.

Everything is checked before anything starts, and all that is wrong is reported at once, what is in the file as
\`file:line:column\`. A flag or a key that does not exist is an error, and so is a variable whose name is nearly an
option's. Paths in the file are relative to the file's folder, others to the working directory.

Durations are \`500ms\`, \`30s\`, \`5m\`, \`1h\`; a bare number is seconds. Addresses with a port are \`192.0.2.1:4433\` and
\`[2001:db8::1]:4433\` (in YAML, quote what begins with a bracket).

## zgate relay

${tableOf(relayOptions)}
\`\`\`yaml
# relay.yaml: zgate relay --config relay.yaml
listen: 0.0.0.0:4433
cert: certs/relay.pem
key: certs/relay-key.pem
ca: certs/ca.pem
crl: certs/crl.pem
policy: policy.yaml
\`\`\`

## zgate agent

${tableOf(agentOptions)}
\`\`\`yaml
# agent.yaml: zgate agent --config agent.yaml
relay: relay.example:4433
cert: certs/client-1.pem
key: certs/client-1-key.pem
ca: certs/ca.pem
route: [10.50.0.0/24, "fd00:50::/48"]
\`\`\`
`;
}

function tableOf(shape: OptionShape): string {
  const lines = optionRows(shape).map(
    (row) =>
      `| \`${row.flag}\` | \`${row.variable}\` | \`${row.key}\` | ${valueOf(row)} | ${defaultOf(row)} | ${row.description} |`,
  );
  return ["| flag | variable | key | value | default | meaning |", "|---|---|---|---|---|---|", ...lines, ""].join(
    "\n",
  );
}

function valueOf(row: OptionRow): string {
  // GitHub ends a cell at a bar even inside a code span.
  return `\`${row.value.replaceAll("|", "\\|")}\`${row.repeatable ? " …" : ""}`;
}

function defaultOf(row: OptionRow): string {
  if (row.required) return "required";
  return row.default === undefined ? "" : `\`${row.default}\``;
}

if (import.meta.main) {
  const page = configurationPage();
  if (!process.argv.includes("--check")) await writeFile(OUTPUT, page);
  else if ((await readFile(OUTPUT, "utf8")) !== page) {
    process.stderr.write("docs/configuration.md is not current: run node tools/configuration-docs.ts\n");
    process.exitCode = 1;
  }
}
