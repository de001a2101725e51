/** What is wrong with a policy, and the error that carries it. */
import { type ErrorCode, ZgateError } from "../errors.ts";
import { formatProblem, type SourceProblem } from "../yaml/source.ts";

/** Something wrong at a place of a policy file. */
export type PolicyProblem = SourceProblem;

/** Absolute paths, each with what the file was just before it was read (`signatureOf`). */
export type FilesRead = ReadonlyMap<string, string>;

/** A policy that is refused whole. The message is all its problems, one a line, in the order of the files. */
export class PolicyError extends ZgateError {
  readonly problems: readonly PolicyProblem[];
  /** The files that were read or looked for: what to watch until the policy is right. */
  readonly files: FilesRead;

  constructor(code: ErrorCode, problems: readonly PolicyProblem[], files: FilesRead = new Map()) {
    super(code, problems.map(formatProblem).join("\n"));
    this.problems = problems;
    this.files = files;
  }
}
