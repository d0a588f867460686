import type { ChildProcess } from 'node:child_process';

export const keycloakVersion: string;
export function startKeycloak(
  folder: string,
  environment: Record<string, string>,
  options?: string[],
): { server: ChildProcess; listening: Promise<string> };
