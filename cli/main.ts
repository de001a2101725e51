/**
 * The `zgate` command: the group that is asked for is loaded, the others are only named in the help, so that
 * `zgate pki` starts without the tunnel's code.
 */
import { Command, CommanderError } from "commander";
import type { Option } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { describeFailure, EXIT_CODE_HELP, EXIT_CODES, exitCodeOf } from "./failure.ts";

interface Group {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const GROUPS: readonly Group[] = [
  {
    name: "relay",
    summary: "run the relay: the hub that agents connect to",
    load: async () => (await import("./relay.ts")).relayCommand(),
  },
  {
    name: "agent",
    summary: "run the agent: the spoke that takes this machine into the network",
    load: async () => (await import("./agent.ts")).agentCommand(),
  },
  {
    name: "pki",
    summary: "make and manage certificates",
    load: async () => (await import("./pki.ts")).pkiCommand(),
  },
  {
    name: "policy",
    summary: "check, test, explain and compare policies",
    load: async () => (await import("./policy.ts")).policyCommand(),
  },
  {
    name: "audit",
    summary: "check and read audit logs",
    load: async () => (await import("./audit.ts")).auditCommand(),
  },
];

/** Runs the command line (without `node` and the script) and resolves to the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const program = new Command("zgate")
    .description(packageJson.description)
    .version(packageJson.version)
    .addHelpText("after", EXIT_CODE_HELP)
    .configureHelp({ optionDescription: describeOption })
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(
          `zgate: ZG_CONFIG_INVALID: ${text
            .replace(/^error: /, "")
            .trim()
            .replaceAll("\n", " ")}\n`,
        ),
    });
  try {
    for (const group of GROUPS) {
      const asked = args.includes(group.name);
      const command = asked ? await group.load() : new Command(group.name).description(group.summary);
      program.addCommand(withSettingsOf(program, command));
    }
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? EXIT_CODES.done);
  } catch (error) {
    // Commander has printed the error, the help or the version itself.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage;
    process.stderr.write(`${describeFailure(error, process.env["ZGATE_DEBUG"] === "1")}\n`);
    return exitCodeOf(error);
  }
}

function withSettingsOf(parent: Command, command: Command): Command {
  command.copyInheritedSettings(parent);
  for (const subcommand of command.commands) withSettingsOf(command, subcommand);
  return command;
}

/** The description with choices and default as a user writes them; commander would print them as JSON. */
function describeOption({ description, argChoices, defaultValue, defaultValueDescription, required }: Option): string {
  const notes: string[] = [];
  if (argChoices !== undefined) notes.push(`one of ${argChoices.join(", ")}`);
  const text = defaultValueDescription ?? (typeof defaultValue === "string" ? defaultValue : undefined);
  if (required && text !== undefined) notes.push(`default: ${text}`);
  return notes.length === 0 ? description : `${description} (${notes.join("; ")})`;
}

process.exitCode = await main(process.argv.slice(2));
