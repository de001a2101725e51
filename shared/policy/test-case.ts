/** A `tests:` entry as a question to the policy: what depends on several of its keys is checked here. */
import { PROTO_ICMP, PROTO_ICMPV6 } from "../packet/constants.ts";
import type { FlowTarget } from "../packet/flow.ts";
import type { Prefix } from "./address.ts";
import { Complaint } from "./complaint.ts";
import type { Place, PolicyTest } from "./document.ts";
import { formatProtocol, hasPorts } from "./port-selector.ts";
import type { ParsedTest } from "./schema.ts";

/** Echo request: what `ping` sends (RFC 792, RFC 4443 section 4.1). */
const ECHO_REQUEST = 8;
const ECHO_REQUEST_V6 = 128;

/** What a question names besides the address. */
export interface ProtocolQuestion {
  readonly protocol: number;
  readonly port: number | undefined;
  readonly icmpType: number | undefined;
}

export function testOf(parsed: ParsedTest, place: Place): PolicyTest | Complaint {
  const target = targetOf(parsed.dst, { protocol: parsed.proto, port: parsed.port, icmpType: parsed.icmp_type });
  if (target instanceof Complaint) return target;
  return {
    name: parsed.name,
    client: parsed.client,
    destination: parsed.dst,
    protocol: target.protocol,
    port: parsed.port,
    icmpType: target.icmpType,
    at: parsed.at,
    expect: parsed.expect,
    rule: parsed.rule,
    place,
  };
}

/** The flow that a test, `explain` or a recorded flow asks about. */
export function targetOf(destination: Prefix, question: ProtocolQuestion): FlowTarget | Complaint {
  const { protocol, port, icmpType } = question;
  const name = formatProtocol(protocol);
  if (destination.length !== (destination.version === 4 ? 32 : 128)) {
    return new Complaint("dst is a prefix", "a flow goes to one address");
  }
  if (hasPorts(protocol) && port === undefined) return new Complaint(`${name} needs a port`);
  if (!hasPorts(protocol) && port !== undefined) return new Complaint(`${name} has no ports`, "remove the port");
  const isIcmp = protocol === PROTO_ICMP || protocol === PROTO_ICMPV6;
  if (!isIcmp && icmpType !== undefined) return new Complaint(`${name} has no ICMP type`, "remove the ICMP type");
  const echo = protocol === PROTO_ICMP ? ECHO_REQUEST : ECHO_REQUEST_V6;
  return {
    version: destination.version,
    protocol,
    dst0: destination.w0,
    dst1: destination.w1,
    dst2: destination.w2,
    dst3: destination.w3,
    hasPorts: port !== undefined,
    dstPort: port ?? 0,
    icmpType: isIcmp ? (icmpType ?? echo) : -1,
  };
}
