// Durations and sizes as people write them in YAML: `30s 10m 12h 7d`, `64kb 10mb`. Bare numbers are refused: nobody knows their unit.

const secondsPer = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 } as const;
const bytesPer = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const;

export const durationPattern = /^(\d+)(ms|s|m|h|d)$/;
export const sizePattern = /^(\d+)(b|kb|mb|gb)$/;

/** `90s` → 90. The text must match `durationPattern`. */
export function parseDurationSeconds(text: string): number {
  const [, amount, unit] = durationPattern.exec(text) ?? [];
  return Number(amount) * secondsPer[unit as keyof typeof secondsPer];
}

/** `64kb` → 65536. The text must match `sizePattern`. */
export function parseSizeBytes(text: string): number {
  const [, amount, unit] = sizePattern.exec(text) ?? [];
  return Number(amount) * bytesPer[unit as keyof typeof bytesPer];
}

/** 90 → `90s`, 1800 → `30m`: the largest unit that needs no fraction. */
export function formatDuration(seconds: number): string {
  const milliseconds = Math.round(seconds * 1000);
  if (milliseconds === 0) return '0s';
  return inLargestUnit(milliseconds, { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 });
}

/** 65536 → `64kb`: the largest unit that needs no fraction. */
export function formatSize(bytes: number): string {
  return inLargestUnit(bytes, { gb: 1024 ** 3, mb: 1024 ** 2, kb: 1024, b: 1 });
}

/** `units` from the largest to 1. */
function inLargestUnit(amount: number, units: Record<string, number>): string {
  const [unit, per] = Object.entries(units).find(([, per]) => amount % per === 0) ?? ['ms', 1];
  return `${amount / per}${unit}`;
}
