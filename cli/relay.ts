/** `zgate relay`: the hub. */
import { Command } from "commander";
import { loadRelayConfig } from "../shared/config/load.ts";
import { relayOptions } from "../shared/config/relay-options.ts";
import type { RelayConfig } from "../shared/config/relay-options.ts";
import { compileEarly } from "../shared/host/early-compilation.ts";
import { confine } from "../shared/host/privileges.ts";
import type { Needs } from "../shared/host/privileges.ts";
import { createLogger } from "../shared/logging.ts";
import { loadSteering } from "../shared/native/steering.ts";
import { addConfigOptions, configSources } from "./config-options.ts";

export function relayCommand(): Command {
  const command = new Command("relay").description("run the relay: the hub that agents connect to");
  return addConfigOptions(command, relayOptions).action(async (flags: Record<string, unknown>) => {
    const config = await loadRelayConfig(configSources(flags));
    const log = createLogger({ level: config.logLevel, name: "relay" });
    for (const warning of confine(needsOf(config), loadSteering)) log.warn(warning);
    compileEarly();
    const { runRelay } = await import("../relay/relay.ts");
    await runRelay(config);
  });
}

/** What a relay does with its machine beyond the network. */
function needsOf(config: RelayConfig): Needs {
  const { cert, key, ca, crl, policy, shadowPolicy, authority, stateDir, auditFile, listen, enroll, admin } = config;
  return {
    reads: [cert, key, ca, crl, policy, shadowPolicy],
    writes: [authority, stateDir, auditFile === "-" ? undefined : auditFile],
    ports: [listen, enroll, admin].flatMap((address) => (address === null ? [] : [address.port])),
  };
}
