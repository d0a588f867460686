// What the process says to its caller: the codes of sysexits.h where there is one.

export const exitCode = {
  ok: 0,
  /** It failed while running. */
  failed: 1,
  /** EX_USAGE: an unknown command or option. */
  usage: 64,
  /** EX_CONFIG: the configuration is wrong. */
  configuration: 78,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];
