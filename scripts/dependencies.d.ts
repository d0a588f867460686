export function isInstalled(wanted: Record<string, LockedPackage>, installed: Record<string, LockedPackage>): boolean;
export function isSupported(version: string, range?: string): boolean;

interface LockedPackage {
  version?: string;
  integrity?: string;
  optional?: boolean;
}
