/** `zgate audit verify`: was anything in an audit log changed, moved or removed? */
import { styleText } from "node:util";
import { Command, InvalidArgumentError } from "commander";
import type { ChainHead } from "../../relay/audit-chain.ts";
import { type ChainReport, ChainVerifier, type Finding } from "../../relay/audit-verify.ts";
import { EXIT_CODES } from "../failure.ts";
import { readLog } from "./files.ts";

interface VerifyFlags {
  readonly head?: ChainHead;
  readonly json?: true;
}

const AFTER_HELP = `
Give all files of a log, in any order: zgate audit verify audit.jsonl*
The end of a log, and a log that was computed anew, are only checked by --head: keep
"audit.head" of the relay's GET /v1/status elsewhere.

Exit codes: 0 the chain is whole; 3 it is not; 2 a file cannot be read.`;

export function verifyCommand(): Command {
  return new Command("verify")
    .description("check the hash chain of audit files: nothing changed, moved or missing")
    .argument("<FILE...>", "the files of one log, rotated ones too")
    .option("--head <SEQ:HASH>", "a record that has to be there, such as the relay's last one", parseHead)
    .option("--json", "print the report as JSON")
    .addHelpText("after", AFTER_HELP)
    .action(async (files: string[], flags: VerifyFlags) => {
      const verifier = new ChainVerifier(flags.head);
      for await (const line of readLog(files)) verifier.add(line);
      const report = verifier.report();
      process.stdout.write(flags.json ? `${JSON.stringify(report, undefined, 2)}\n` : describe(report));
      if (!report.ok) process.exitCode = EXIT_CODES.refused;
    });
}

function parseHead(text: string): ChainHead {
  const match = /^([1-9][0-9]{0,14}):([0-9a-f]{64})$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new InvalidArgumentError("Expected a record number, a colon and 64 hexadecimal digits.");
  }
  return { seq: Number(match[1]), hash: match[2] };
}

function describe(report: ChainReport): string {
  const notes = report.notes.map((note) => `${at(note)} ${styleText("yellow", "note")}: ${note.message}\n`);
  const problems = report.problems.map(
    (problem) => `${at(problem)} ${styleText("red", problem.kind)}: ${problem.message}\n`,
  );
  const hidden = report.problemCount - report.problems.length;
  if (hidden > 0) problems.push(`… and ${hidden} more problems\n`);
  const range =
    report.records === 0 ? "no records" : `${report.records} records, ${report.first} to ${report.last.seq}`;
  const verdict = report.ok
    ? `${styleText("green", "whole")}: ${range}; head ${report.last.seq}:${report.last.hash}\n`
    : `${styleText("red", "not whole")}: ${range}; ${report.problemCount} problems\n`;
  return [...notes, ...problems, verdict].join("");
}

function at(finding: Finding): string {
  return `${finding.file}:${finding.line}:`;
}
