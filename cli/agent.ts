/** `zgate agent`: the spoke. */
import { Command } from "commander";
import { agentOptions } from "../shared/config/agent-options.ts";
import { loadAgentConfig } from "../shared/config/load.ts";
import { compileEarly } from "../shared/host/early-compilation.ts";
import { confine } from "../shared/host/privileges.ts";
import { createLogger } from "../shared/logging.ts";
import { enrollCommand } from "./agent/enroll.ts";
import { addConfigOptions, configSources } from "./config-options.ts";

export function agentCommand(): Command {
  const command = new Command("agent").description("run the agent: the spoke that takes this machine into the network");
  command.addCommand(enrollCommand());
  return addConfigOptions(command, agentOptions).action(async (flags: Record<string, unknown>) => {
    const config = await loadAgentConfig(configSources(flags));
    const { cert, key, ca, crl, renew, admin } = config;
    const own = [cert, key];
    const log = createLogger({ level: config.logLevel, name: "agent" });
    const needs = {
      reads: [ca, crl, ...(renew === null ? own : [])],
      writes: renew === null ? [] : own,
      ports: admin === null ? [] : [admin.port],
    };
    for (const warning of confine(needs)) log.warn(warning);
    compileEarly();
    const { runAgent } = await import("../agent/agent.ts");
    await runAgent(config);
  });
}
