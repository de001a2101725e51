/**
 * The program of `quic-go/`, built into `.venv/` of the repository: by a Go that pip installs there, from modules of the
 * module proxy whose content `go.sum` pins. The machine's own Go, if it has one, is not asked.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { check } from "../harness/command.ts";
import { pythonWith } from "./python.ts";

const SOURCES = fileURLToPath(new URL("quic-go", import.meta.url));
const VENV = fileURLToPath(new URL("../../.venv", import.meta.url));
const PROGRAM = join(VENV, "quic-go-peer");
/** Go downloads and compiles some megabytes the first time. */
const BUILD_TIMEOUT_MS = 300_000;

/** The path of the program. Throws ZG_HOST_COMMAND that says what is missing. */
export async function quicGoPeer(): Promise<string> {
  const python = await pythonWith("go", new URL("quic-go/requirements.txt", import.meta.url));
  // Python's package `go` is Go's folder.
  const where = "import go, os; print(os.path.dirname(go.__file__))";
  const root = (await check([python, "-c", where])).trim();
  const env = {
    GOROOT: root,
    GOTOOLCHAIN: "local",
    GOFLAGS: "-mod=readonly -modcacherw -trimpath -buildvcs=false",
    GOPATH: join(VENV, "go-path"),
    GOCACHE: join(VENV, "go-cache"),
    CGO_ENABLED: "0",
  };
  await check([join(root, "bin/go"), "build", "-C", SOURCES, "-o", PROGRAM, "."], { env, timeoutMs: BUILD_TIMEOUT_MS });
  return PROGRAM;
}
