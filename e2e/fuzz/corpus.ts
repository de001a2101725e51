/** Inputs in files: hexadecimal, one a line, what it is behind a `#`. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Kept with the sources: each input has a reason to be there. */
export const CORPUS = join(import.meta.dirname, "corpus");

/** The inputs of a parser in a folder, none when it has no file there. */
export function readInputs(folder: string, name: string): Uint8Array[] {
  const file = fileOf(folder, name);
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").replaceAll(/\s/g, ""))
    .filter((line) => line !== "")
    .map((line) => Uint8Array.from(Buffer.from(line, "hex")));
}

export function appendInput(folder: string, name: string, input: Uint8Array): void {
  mkdirSync(folder, { recursive: true });
  appendFileSync(fileOf(folder, name), `${Buffer.from(input).toString("hex")}\n`);
}

function fileOf(folder: string, name: string): string {
  return join(folder, `${name}.hex`);
}
