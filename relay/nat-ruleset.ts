/**
 * The relay's nft table as text: everything that zgate wants of the kernel's packet filter stands in one table
 * of its own, so deleting the table is the whole clean-up.
 *
 *   prerouting   what comes out of the tunnel carries a pool address, what comes from elsewhere does not
 *   forward      out of the tunnel: anything (the policy has judged it); into it: replies only; TCP's MSS
 *                is clamped to the tunnel's MTU
 *   input        what a client sends to the relay's own machine is dropped, but for addresses that the policy
 *                names one by one
 *   postrouting  pool addresses are masqueraded
 *
 * What another table drops stays dropped: a base chain's accept ends only that table's judgement (nft(8)).
 * `forwardBlockers` finds such tables.
 */
import { z } from "zod";
import { formatPrefix, type Prefix } from "../shared/packet/address.ts";
import { IPV4_TCP_HEADERS, IPV6_TCP_HEADERS } from "./constants.ts";

/** What the table is made from. */
export interface NatRules {
  /** Name of the relay's TUN device. */
  readonly device: string;
  /** MTU of the TUN device in bytes. */
  readonly mtu: number;
  /** The tunnel addresses, one prefix a family. */
  readonly pools: readonly Prefix[];
  /** Masquerade pool addresses: behind this interface only, behind any, or not at all. */
  readonly masquerade: { readonly interface: string } | "any" | "off";
  /** Addresses of the relay's own machine that clients may reach where the policy lets them. */
  readonly reachable: readonly Prefix[];
}

/** The name of the table, `inet` family, for a TUN device. */
export function tableName(device: string): string {
  return `zgate_${device}`;
}

/** A transaction that leaves no table, whether there was one or not. */
export function deletionRuleset(device: string): string {
  const table = `inet ${tableName(device)}`;
  return `add table ${table}\ndelete table ${table}\n`;
}

/** A transaction for `nft -f` that replaces the table. */
export function natRuleset(rules: NatRules): string {
  const { device, mtu, pools, masquerade, reachable } = rules;
  const own = `"${device}"`;
  const spoofs = pools.flatMap((pool) => [
    `iifname ${own} ${family(pool)} saddr != ${formatPrefix(pool)} counter drop comment "not a tunnel address"`,
    `iifname != { ${own}, "lo" } ${family(pool)} saddr ${formatPrefix(pool)} counter drop comment "a tunnel address from elsewhere"`,
  ]);
  const out = typeof masquerade === "object" ? `oifname "${masquerade.interface}"` : `oifname != ${own}`;
  const masquerades = pools.map((pool) => `${out} ${family(pool)} saddr ${formatPrefix(pool)} masquerade`);
  return [
    deletionRuleset(device).trimEnd(),
    `table inet ${tableName(device)} {`,
    ...chain("prerouting", "filter hook prerouting priority raw", spoofs),
    ...chain("forward", "filter hook forward priority filter", [
      `oifname ${own} tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu`,
      `iifname ${own} meta nfproto ipv4 tcp flags & (syn | rst) == syn tcp option maxseg size set ${mtu - IPV4_TCP_HEADERS}`,
      `iifname ${own} meta nfproto ipv6 tcp flags & (syn | rst) == syn tcp option maxseg size set ${mtu - IPV6_TCP_HEADERS}`,
      `iifname ${own} accept`,
      `oifname ${own} ct state established,related accept`,
      `oifname ${own} counter drop comment "nobody asked for it"`,
    ]),
    ...chain("input", "filter hook input priority filter", [
      `iifname != ${own} accept`,
      `ct state established,related accept`,
      ...reachable.map((prefix) => `${family(prefix)} daddr ${formatPrefix(prefix)} accept`),
      `counter drop comment "the relay itself"`,
    ]),
    ...(masquerade === "off" ? [] : chain("postrouting", "nat hook postrouting priority srcnat", masquerades)),
    `}`,
    ``,
  ].join("\n");
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, `    type ${hook}; policy accept;`, ...rules.map((rule) => `    ${rule}`), `  }`];
}

function family({ version }: Prefix): "ip" | "ip6" {
  return version === 4 ? "ip" : "ip6";
}

const chainsSchema = z.object({
  nftables: z.array(
    z.object({
      chain: z
        .object({
          family: z.string(),
          table: z.string(),
          name: z.string(),
          hook: z.string().optional(),
          policy: z.string().optional(),
        })
        .optional(),
    }),
  ),
});

/**
 * Base chains of other tables that drop what they do not accept on its way through this machine, as
 * `ip filter FORWARD`, from the JSON of `nft -j list chains`.
 */
export function forwardBlockers(json: string, device: string): string[] {
  return chainsSchema
    .parse(JSON.parse(json))
    .nftables.flatMap(({ chain: found }) =>
      found?.hook === "forward" && found.policy === "drop" && found.table !== tableName(device)
        ? [`${found.family} ${found.table} ${found.name}`]
        : [],
    );
}
