/** `zgate pki show FILE`: what the certificates of a PEM file say. */
import "reflect-metadata";
import { X509Certificate } from "@peculiar/x509";
import { Command } from "commander";
import { messageOf, ZgateError } from "../../shared/errors.ts";
import { MAX_PEM_BYTES } from "../../shared/pki/constants.ts";
import { describeCertificate } from "../../shared/pki/description.ts";
import type { CertificateDescription } from "../../shared/pki/description.ts";
import { pemBlocks } from "../../shared/pki/pem.ts";
import { readTextFile } from "../../shared/yaml/file.ts";

export function showCommand(): Command {
  return new Command("show")
    .description("show what the certificates in a PEM file say")
    .argument("<file>", "a PEM file with one or more certificates")
    .option("--json", "one JSON object a line")
    .action(async (file: string, flags: { readonly json?: true }) => {
      const blocks = pemBlocks(file, await readTextFile(file, MAX_PEM_BYTES), "CERTIFICATE");
      if (blocks.length === 0)
        throw new ZgateError("ZG_PKI_INVALID", `${file}: there is no PEM block of a certificate in it`);
      const descriptions = blocks.map((block) => describeBlock(file, block));
      const texts = descriptions.map((one) => (flags.json === true ? JSON.stringify(one) : tableOf(one)));
      process.stdout.write(`${texts.join(flags.json === true ? "\n" : "\n\n")}\n`);
    });
}

function describeBlock(file: string, block: string): CertificateDescription {
  try {
    return describeCertificate(new X509Certificate(block));
  } catch (error) {
    throw new ZgateError("ZG_PKI_INVALID", `${file}: a certificate in it cannot be parsed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function tableOf(one: CertificateDescription): string {
  return [
    ["subject", one.subject],
    ["issuer", one.issuer],
    ["serial", one.serial],
    ["valid", `${one.notBefore} to ${one.notAfter}`],
    ["key", `${one.key}, signed with ${one.signature}`],
    ["purpose", one.purposes.join(", ") || "none that zgate uses"],
    ["names", one.names.join(" ") || "none"],
    ["key id", one.subjectKey ?? "none"],
    ["issuer's", one.authorityKey ?? "none"],
    ["sha256", one.fingerprint256],
  ]
    .map(([label = "", text = ""]) => `${label.padEnd(9)} ${text}`)
    .join("\n");
}
