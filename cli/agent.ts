/** `zgate agent`: the spoke. */
import { Command } from "commander";
import { agentOptions } from "../shared/config/agent-options.ts";
import { loadAgentConfig } from "../shared/config/load.ts";
import { enrollCommand } from "./agent/enroll.ts";
import { addConfigOptions, configSources } from "./config-options.ts";

export function agentCommand(): Command {
  const command = new Command("agent").description("run the agent: the spoke that takes this machine into the network");
  command.addCommand(enrollCommand());
  return addConfigOptions(command, agentOptions).action(async (flags: Record<string, unknown>) => {
    const config = await loadAgentConfig(configSources(flags));
    const { runAgent } = await import("../agent/agent.ts");
    await runAgent(config);
  });
}
