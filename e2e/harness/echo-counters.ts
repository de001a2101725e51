/**
 * Pings as the kernel of a network namespace counts them, both families. ping(8) waits for its last answers no longer
 * than for two of the round trips before them: on a busy machine it ends before they come, and calls them lost.
 */

/** Since the namespace was made. */
export interface EchoCount {
  /** Echo requests sent. */
  readonly sent: number;
  /** Echo replies received. */
  readonly received: number;
}

/** Files of /proc in which they stand, whose texts `parseEchoes` takes together (proc_pid_net(5), SNMP). */
export const ECHO_FILES = ["/proc/net/snmp", "/proc/net/snmp6"] as const;

export function parseEchoes(text: string): EchoCount {
  const [names = [], values = []] = [...text.matchAll(/^IcmpMsg: (.*)$/gm)].map(([, line = ""]) => line.split(" "));
  // A type that has not occurred has no column.
  const version4 = (name: string): number => Number(values[names.indexOf(name)] ?? 0);
  const version6 = (name: string): number => Number(new RegExp(`^${name}\\s+(\\d+)$`, "m").exec(text)?.[1] ?? 0);
  return {
    sent: version4("OutType8") + version6("Icmp6OutEchos"),
    received: version4("InType0") + version6("Icmp6InEchoReplies"),
  };
}

/** Of the requests sent since `before`, those without an answer. */
export function unanswered(before: EchoCount, now: EchoCount): number {
  return now.sent - before.sent - (now.received - before.received);
}
