/** `zgate relay`: the hub. */
import { Command } from "commander";
import { loadRelayConfig } from "../shared/config/load.ts";
import { relayOptions } from "../shared/config/relay-options.ts";
import { addConfigOptions, configSources } from "./config-options.ts";

export function relayCommand(): Command {
  const command = new Command("relay").description("run the relay: the hub that agents connect to");
  return addConfigOptions(command, relayOptions).action(async (flags: Record<string, unknown>) => {
    const config = await loadRelayConfig(configSources(flags));
    const { runRelay } = await import("../relay/relay.ts");
    await runRelay(config);
  });
}
