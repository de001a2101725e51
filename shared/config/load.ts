/**
 * Configuration from its three sources: flags, then `ZGATE_…` variables, then the file that `--config` or
 * `ZGATE_CONFIG` names, then defaults → checked, frozen. Every problem is reported at once.
 */
import { ZgateError } from "../errors.ts";
import { didYouMean } from "../yaml/suggestion.ts";
import { agentOptions } from "./agent-options.ts";
import type { AgentConfig } from "./agent-options.ts";
import { parseConfigFile } from "./config-file.ts";
import type { ConfigFile, RawValue } from "./config-file.ts";
import { optionRows } from "./option.ts";
import type { ConfigOf, OptionRow, OptionShape } from "./option.ts";
import { relayOptions } from "./relay-options.ts";
import type { RelayConfig } from "./relay-options.ts";

export interface ConfigSources {
  /** As commander gives them: option names in camel case, only those that were given; and `config`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a configuration file; rejects with `ZG_FILE_UNREADABLE`. */
  readonly readFile: (path: string) => Promise<string>;
}

/** The file's name, where a variable gives it. */
export const CONFIG_VARIABLE = "ZGATE_CONFIG";

/** Throws `ZG_CONFIG_INVALID` or `ZG_CONFIG_UNKNOWN_KEY` with one line for each problem; `ZG_FILE_UNREADABLE`. */
export async function loadRelayConfig(sources: ConfigSources): Promise<RelayConfig> {
  return await loadConfig(relayOptions, sources, ({ nat, natInterface, enroll, authority }) => [
    ...(natInterface !== undefined && !nat ? ["nat_interface says where to masquerade, but nat is off"] : []),
    ...(enroll !== null && authority === undefined
      ? ["enroll needs authority: the folder that zgate pki init made"]
      : []),
  ]);
}

/** As `loadRelayConfig`. */
export async function loadAgentConfig(sources: ConfigSources): Promise<AgentConfig> {
  return await loadConfig(agentOptions, sources, (config) =>
    config.reconnectMin > config.reconnectMax
      ? [`reconnect_min (${config.reconnectMin}ms) is longer than reconnect_max (${config.reconnectMax}ms)`]
      : [],
  );
}

async function loadConfig<Shape extends OptionShape>(
  shape: Shape,
  sources: ConfigSources,
  contradictions: (config: ConfigOf<Shape>) => readonly string[],
): Promise<ConfigOf<Shape>> {
  const rows = optionRows(shape);
  const file = await fileOf(sources, rows);
  const problems = [...file.problems, ...misspeltVariables(sources.env, rows)];
  const unknownOnly = problems.length > 0 && file.unknownKeys === file.problems.length;
  const config: Record<string, unknown> = {};
  let wrongValues = 0;
  for (const row of rows) {
    const given = flagOf(row, sources) ?? variableOf(row, sources) ?? file.values.get(row.name);
    if (given === undefined && row.required) {
      wrongValues++;
      problems.push(`${row.key} is missing: give ${row.flag} ${row.value}, ${row.variable}, or ${row.key} in the file`);
      continue;
    }
    const parsed = row.schema.safeParse(given?.raw);
    if (parsed.success) {
      config[row.name] = parsed.data;
      continue;
    }
    wrongValues++;
    for (const issue of parsed.error.issues) problems.push(`${given?.place ?? row.key}: ${issue.message}`);
  }
  // Every row's value came from its own schema, so the object has the shape's type.
  const complete = Object.freeze(config) as ConfigOf<Shape>;
  if (wrongValues === 0) problems.push(...contradictions(complete));
  if (problems.length === 0) return complete;
  const code = unknownOnly && wrongValues === 0 ? "ZG_CONFIG_UNKNOWN_KEY" : "ZG_CONFIG_INVALID";
  throw new ZgateError(code, problems.join("\n"));
}

const NO_FILE: ConfigFile = { values: new Map(), problems: [], unknownKeys: 0 };

async function fileOf(sources: ConfigSources, rows: readonly OptionRow[]): Promise<ConfigFile> {
  const { config } = sources.flags;
  const path = typeof config === "string" ? config : setVariable(sources.env, CONFIG_VARIABLE);
  return path === undefined ? NO_FILE : parseConfigFile(path, await sources.readFile(path), rows);
}

function flagOf(row: OptionRow, sources: ConfigSources): RawValue | undefined {
  const given = sources.flags[row.name];
  if (typeof given === "string") return { raw: row.repeatable ? [given] : given, place: row.flag };
  if (Array.isArray(given)) return { raw: given.map(String), place: row.flag };
  return undefined;
}

function variableOf(row: OptionRow, sources: ConfigSources): RawValue | undefined {
  const given = setVariable(sources.env, row.variable);
  if (given === undefined) return undefined;
  const raw = row.repeatable ? given.split(",").map((part) => part.trim()) : given;
  return { raw, place: row.variable };
}

/** An empty variable counts as not set: container tools cannot leave one out. */
function setVariable(env: ConfigSources["env"], name: string): string | undefined {
  const given = env[name];
  return given === "" ? undefined : given;
}

const OTHER_VARIABLES = [CONFIG_VARIABLE, "ZGATE_DEBUG"];

/**
 * A `ZGATE_…` variable that is nearly an option's is refused. Others are not ours to judge: a container platform
 * sets `ZGATE_PORT` and the like for a service that is called zgate.
 */
function misspeltVariables(env: ConfigSources["env"], rows: readonly OptionRow[]): readonly string[] {
  const known = new Set([...rows, ...optionRows(relayOptions), ...optionRows(agentOptions)].map((row) => row.variable));
  for (const variable of OTHER_VARIABLES) known.add(variable);
  const mine = rows.map((row) => row.variable.slice("ZGATE_".length));
  return Object.keys(env).flatMap((variable) => {
    if (!variable.startsWith("ZGATE_") || known.has(variable) || env[variable] === "") return [];
    const hint = didYouMean(variable.slice("ZGATE_".length), mine);
    return hint === undefined ? [] : [`${variable} is no option's variable; ${hint.replace('"', '"ZGATE_')}`];
  });
}
