/** The options of a configuration shape as flags of a command. */
import { Option } from "commander";
import type { Command } from "commander";
import { MAX_CONFIG_BYTES } from "../shared/config/constants.ts";
import { CONFIG_VARIABLE } from "../shared/config/load.ts";
import type { ConfigSources } from "../shared/config/load.ts";
import { optionRows } from "../shared/config/option.ts";
import type { OptionRow, OptionShape } from "../shared/config/option.ts";
import { readTextFile } from "../shared/yaml/file.ts";

/** Adds `--config` and every option of the shape. Defaults and checks stay with the configuration. */
export function addConfigOptions(command: Command, shape: OptionShape): Command {
  command.option("--config <FILE>", `YAML file of options; flags and variables come first (${CONFIG_VARIABLE})`);
  for (const row of optionRows(shape)) {
    const value = row.repeatable ? `<${row.value}...>` : `<${row.value}>`;
    command.addOption(new Option(`${row.flag} ${value}`, helpOf(row)));
  }
  return command.addHelpText(
    "after",
    "\nEach option is also a ZGATE_… variable and a key of the file: --tun-name, ZGATE_TUN_NAME, tun_name.",
  );
}

export function configSources(flags: Record<string, unknown>): ConfigSources {
  return { flags, env: process.env, readFile: async (path) => await readTextFile(path, MAX_CONFIG_BYTES) };
}

function helpOf(row: OptionRow): string {
  if (row.required) return `${row.description} (required)`;
  return row.default === undefined ? row.description : `${row.description} (default: ${row.default})`;
}
