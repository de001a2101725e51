/** The questions about one policy in force, as functions: what `PolicyThread` answers, by type. */
import { resolve } from "node:path";
import { ZgateError } from "../shared/errors.ts";
import { signatureOf } from "../shared/host/file-watch.ts";
import type { Explanation, FlowQuestion } from "../shared/policy/explain.ts";
import { PolicyError } from "../shared/policy/problem.ts";
import type { TimeOutlook } from "../shared/policy/time-conditions.ts";
import { type UnixMs, unixMs } from "../shared/units.ts";
import type { AdoptedPolicy, LoadedImage, PolicyAnswer, PolicyFailure, PolicyQuestion } from "./policy-messages.ts";
import type { PolicyThread } from "./policy-thread.ts";

/** What was loaded, and the number to adopt it by. */
export interface Load extends LoadedImage {
  readonly id: number;
}

export class PolicyDesk {
  readonly #thread: PolicyThread;
  readonly #asker: number;

  constructor(thread: PolicyThread) {
    this.#thread = thread;
    this.#asker = thread.newAsker();
  }

  /**
   * Loads a file. Rejects with a `PolicyError` as `loadPolicyFile` does, also when the file makes the thread die; with
   * another error for a fault of ours.
   */
  async load(path: string): Promise<Load> {
    const absolute = resolve(path);
    const files = new Map([[absolute, signatureOf(absolute)]]);
    const { id, answer } = this.#thread.ask(this.#asker, { kind: "load", path, at: unixMs(Date.now()) });
    try {
      return { id, ...expect("load", await answer) };
    } catch (error) {
      if (!(error instanceof ZgateError) || error.code !== "ZG_POLICY_THREAD") throw error;
      const problem = { file: path, line: 1, column: 1, message: `the policy cannot be loaded: ${error.message}` };
      throw new PolicyError("ZG_POLICY_INVALID", [problem], files);
    }
  }

  /** What was loaded is in force from now on: the questions below are about it. */
  adopt({ id, image, text }: AdoptedPolicy & { readonly id: number }): void {
    this.#thread.adopt(this.#asker, id, { image, text });
  }

  /** What the policy in force changed of the one before, in sentences. */
  async changes(): Promise<readonly string[]> {
    return (await this.#ask("changes", { kind: "changes", at: unixMs(Date.now()) })).changes;
  }

  /** A ROUTE_ADVERTISEMENT of what a client may reach at a time. */
  async routes(client: string, at: UnixMs): Promise<Uint8Array> {
    return (await this.#ask("routes", { kind: "routes", client, at })).capsule;
  }

  /** Rejects with a `ZgateError` when the question is wrong. */
  async explain(question: FlowQuestion, at: UnixMs): Promise<Explanation> {
    return (await this.#ask("explain", { kind: "explain", question, at })).explanation;
  }

  /** Which time conditions hold at a time, and until when. */
  async outlook(at: UnixMs): Promise<TimeOutlook> {
    return (await this.#ask("outlook", { kind: "outlook", at })).outlook;
  }

  close(): void {
    this.#thread.leave(this.#asker);
  }

  async #ask<K extends PolicyQuestion["kind"]>(kind: K, question: PolicyQuestion & { kind: K }): Promise<AnswerTo<K>> {
    return expect(kind, await this.#thread.ask(this.#asker, question).answer);
  }
}

type AnswerTo<K> = Extract<PolicyAnswer, { kind: K }>;

function expect<K extends PolicyQuestion["kind"]>(kind: K, answer: PolicyAnswer): AnswerTo<K> {
  if (isAnswerTo(kind, answer)) return answer;
  throw answer.kind === "failure" ? errorOf(answer) : new Error(`the policy thread answers ${answer.kind} to ${kind}`);
}

function isAnswerTo<K extends PolicyQuestion["kind"]>(kind: K, answer: PolicyAnswer): answer is AnswerTo<K> {
  return answer.kind === kind;
}

function errorOf({ code, message, problems, files }: PolicyFailure): Error {
  if (code === undefined) return new Error(message);
  return problems.length > 0 ? new PolicyError(code, problems, files) : new ZgateError(code, message);
}
