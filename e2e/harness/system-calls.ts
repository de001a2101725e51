/** System calls of a program that answer otherwise than the kernel did, by strace(1). */

/**
 * What to run a program under, so that `fault`, in strace's words for `inject`, befalls its calls of `call`. Only those
 * with the file at `path`, where one is given.
 */
export function underFault(call: string, fault: string, path?: string): readonly string[] {
  // -D: the process is the program's own, to be stopped as such.
  const tracing = ["-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", ...(path === undefined ? [] : ["-P", path])];
  return ["strace", ...tracing, "-e", `trace=${call}`, "-e", `inject=${call}:${fault}`];
}
