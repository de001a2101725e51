/**
 * A verdict as a flow table keeps it: the integer of `ClientPolicy.decide`, from which the packet path reads the action
 * without the policy. 2 × the verdict's index in its policy, + 1 when it allows.
 */
import type { CompiledPolicy, Verdict } from "../shared/policy/compiled-policy.ts";

export function isAllowed(packed: number): boolean {
  return (packed & 1) === 1;
}

/** The verdict itself; `policy` is the one that made it. */
export function unpackVerdict(packed: number, policy: CompiledPolicy): Verdict {
  return policy.verdict(packed >>> 1);
}
