/**
 * Policy files from disk: read with what they include → parse → compile → the policy's own tests. The only
 * part of the policy that touches files.
 */
import { realpath, stat } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { messageOf, ZgateError } from "../errors.ts";
import { signatureOf } from "../host/file-watch.ts";
import { type UnixMs, unixMs } from "../units.ts";
import { readTextFile } from "../yaml/file.ts";
import { entryOf, type YamlNode } from "../yaml/node.ts";
import { parseYaml } from "../yaml/parse.ts";
import { SourceText } from "../yaml/source.ts";
import { compilePolicy } from "./compile.ts";
import type { CompiledPolicy } from "./compiled-policy.ts";
import { MAX_INCLUDE_DEPTH, MAX_POLICY_BYTES, MAX_POLICY_FILES } from "./constants.ts";
import type { PolicyDocument } from "./document.ts";
import { parsePolicyFiles, type PolicyFile } from "./parse.ts";
import { type FilesRead, PolicyError, type PolicyProblem } from "./problem.ts";
import { assertTests } from "./policy-tests.ts";

/** A policy as it was read. */
export interface ReadPolicy {
  readonly document: PolicyDocument;
  /** Every file that the policy consists of, the main one first: what to watch. */
  readonly files: FilesRead;
  /** What was read, to read it again when the files are others. */
  readonly text: PolicyText;
}

export interface LoadedPolicy extends ReadPolicy {
  readonly policy: CompiledPolicy;
}

/** The text of a file and of those that it includes, in memory that threads share. */
export interface PolicyText {
  /** As messages show its path. */
  readonly file: string;
  /** UTF-8. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly includes: readonly PolicyText[];
}

export interface LoadOptions {
  /** The time for tests that name none; now when absent. */
  readonly at?: UnixMs;
}

/**
 * Loads a policy for use. Throws a `PolicyError`: `ZG_POLICY_INVALID` with every problem, or
 * `ZG_POLICY_TESTS_FAILED` when it is right but its tests fail.
 */
export async function loadPolicyFile(path: string, options: LoadOptions = {}): Promise<LoadedPolicy> {
  const read = await readPolicyFile(path);
  const policy = compilePolicy(read.document);
  assertTests(read.document, policy, options.at ?? unixMs(Date.now()), read.files);
  return { ...read, policy };
}

/** Reads and checks a policy without compiling it or running its tests. Throws a `PolicyError`. */
export async function readPolicyFile(path: string): Promise<ReadPolicy> {
  const reader = new PolicyReader();
  const main = await reader.readMain(path);
  const { files } = reader;
  try {
    return { document: parsePolicyFiles(main), files, text: textOf(main) };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw new PolicyError(error.code, error.problems, files);
  }
}

/** The document that was once made of this text. */
export function rereadPolicy(text: PolicyText): PolicyDocument {
  return parsePolicyFiles(fileOf(text));
}

function textOf({ source, includes = [] }: PolicyFile): PolicyText {
  const bytes = new Uint8Array(new SharedArrayBuffer(Buffer.byteLength(source.text)));
  new TextEncoder().encodeInto(source.text, bytes);
  return { file: source.file, bytes, includes: includes.map(textOf) };
}

function fileOf({ file, bytes, includes }: PolicyText): PolicyFile {
  const source = new SourceText(file, Buffer.from(bytes.buffer).toString());
  return { source, ...parseYaml(source), includes: includes.map(fileOf) };
}

/** An `include` entry, or the main file, for which there is none. */
interface Reference {
  readonly source: SourceText;
  readonly offset: number;
}

class PolicyReader {
  readonly files = new Map<string, string>();
  #bytesLeft = MAX_POLICY_BYTES;
  /** Real paths of the files that were read, and where each was asked for. */
  readonly #known = new Set<string>();

  async readMain(path: string): Promise<PolicyFile> {
    const absolute = resolve(path);
    this.files.set(absolute, signatureOf(absolute));
    try {
      this.#known.add(await realpath(absolute));
      return await this.#read(path, absolute, []);
    } catch (error) {
      const problem = { file: path, line: 1, column: 1, message: reasonOf(error) };
      throw new PolicyError("ZG_POLICY_INVALID", [problem], this.files);
    }
  }

  /** `shown` is the path as messages show it; `chain` holds the real paths from the main file to this one. */
  async #read(shown: string, absolute: string, chain: readonly string[]): Promise<PolicyFile> {
    if (!(await stat(absolute)).isFile()) throw new ZgateError("ZG_FILE_UNREADABLE", "this is not a regular file");
    const text = await readTextFile(absolute, this.#bytesLeft);
    this.#bytesLeft -= Buffer.byteLength(text);
    const source = new SourceText(shown, text);
    const { root, problems } = parseYaml(source);
    const here = [...chain, await realpath(absolute)];
    const includes: PolicyFile[] = [];
    const wrong: PolicyProblem[] = [...problems];
    for (const { value, offset } of includesOf(root)) {
      const included = await this.#include(value, { source, offset }, dirname(absolute), here);
      if ("message" in included) wrong.push(included);
      else includes.push(included);
    }
    return { source, root, problems: wrong, includes };
  }

  async #include(
    value: string,
    { source, offset }: Reference,
    directory: string,
    chain: readonly string[],
  ): Promise<PolicyFile | PolicyProblem> {
    const absolute = resolve(directory, value);
    const shown = isAbsolute(value) ? value : joinShown(source.file, value);
    if (!this.files.has(absolute)) this.files.set(absolute, signatureOf(absolute));
    if (this.files.size > MAX_POLICY_FILES)
      return source.problem(offset, `the policy has more than ${MAX_POLICY_FILES} files`);
    if (chain.length > MAX_INCLUDE_DEPTH)
      return source.problem(offset, `includes are nested more than ${MAX_INCLUDE_DEPTH} deep`);
    try {
      const real = await realpath(absolute);
      if (chain.includes(real)) return source.problem(offset, `${value} includes itself`, "remove it from the circle");
      if (this.#known.has(real)) return source.problem(offset, `${value} is included twice`, "remove one of them");
      this.#known.add(real);
      return await this.#read(shown, absolute, chain);
    } catch (error) {
      return source.problem(offset, `${value} cannot be included: ${reasonOf(error)}`);
    }
  }
}

function joinShown(file: string, included: string): string {
  const directory = dirname(file);
  return directory === "." ? included : `${directory}/${included}`;
}

/** The strings under `include`; anything else there is the schema's to refuse. */
function includesOf(root: YamlNode | undefined): { value: string; offset: number }[] {
  const list = root === undefined ? undefined : entryOf(root, "include")?.value;
  if (list?.kind !== "sequence") return [];
  return list.items.flatMap((item) =>
    item.kind === "scalar" && typeof item.value === "string" && item.value !== ""
      ? { value: item.value, offset: item.offset }
      : [],
  );
}

/** Without the path that Node puts into its messages: the place is in front of it already. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && "code" in error) {
    if (error.code === "ENOENT") return "there is no such file";
    if (error.code === "EACCES") return "this process may not read it";
    if (error.code === "ELOOP") return "its symbolic links go in a circle";
  }
  return messageOf(error);
}
