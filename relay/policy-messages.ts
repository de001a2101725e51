/**
 * What the relay's thread asks of the policy thread, and what that answers: plain data, which is copied on its way,
 * and columns in shared memory, which are not.
 */
import type { ErrorCode } from "../shared/errors.ts";
import type { Explanation, FlowQuestion } from "../shared/policy/explain.ts";
import type { PolicyText } from "../shared/policy/load.ts";
import type { PolicyImage } from "../shared/policy/policy-image.ts";
import type { FilesRead, PolicyProblem } from "../shared/policy/problem.ts";
import type { TimeOutlook } from "../shared/policy/time-conditions.ts";
import type { UnixMs } from "../shared/units.ts";

/** A question about the policy that its asker has in force, or the one that it may have next. */
export type PolicyQuestion =
  /** Load this file. */
  | { readonly kind: "load"; readonly path: string; readonly at: UnixMs }
  /** What did the policy in force change of the one before? */
  | { readonly kind: "changes"; readonly at: UnixMs }
  /** What may this client reach? */
  | { readonly kind: "routes"; readonly client: string; readonly at: UnixMs }
  | { readonly kind: "explain"; readonly question: FlowQuestion; readonly at: UnixMs }
  /** Which time conditions hold, and until when? */
  | { readonly kind: "outlook"; readonly at: UnixMs };

export type PolicyAnswer =
  | ({ readonly kind: "load" } & LoadedImage)
  | { readonly kind: "changes"; readonly changes: readonly string[] }
  /** A whole ROUTE_ADVERTISEMENT capsule. */
  | { readonly kind: "routes"; readonly capsule: Uint8Array }
  | { readonly kind: "explain"; readonly explanation: Explanation }
  | { readonly kind: "outlook"; readonly outlook: TimeOutlook }
  | PolicyFailure;

/** A policy that was loaded. */
export interface LoadedImage {
  readonly image: PolicyImage;
  readonly outlook: TimeOutlook;
  readonly files: FilesRead;
  readonly text: PolicyText;
}

/** A policy in force, as the thread has to know it. */
export type AdoptedPolicy = Pick<LoadedImage, "image" | "text">;

/** What was thrown, as far as it can be copied: a `PolicyError` when it has problems, a fault of ours without a code. */
export interface PolicyFailure {
  readonly kind: "failure";
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly problems: readonly PolicyProblem[];
  readonly files: FilesRead;
}

/** Asked by `asker`, each of whom has one policy in force. */
export type PolicyRequest =
  | { readonly id: number; readonly asker: number; readonly ask: PolicyQuestion }
  /** The policy of the asker's load `id` is in force now. Not answered. */
  | { readonly id: number; readonly asker: number; readonly adopt: AdoptedPolicy }
  /** The asker is gone. Not answered. */
  | { readonly asker: number; readonly gone: true };

export interface PolicyResponse {
  readonly id: number;
  readonly answer: PolicyAnswer;
  /** What V8 keeps for the thread's heap by now, bytes. */
  readonly heapBytes: number;
}
