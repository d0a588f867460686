// What `postern doctor` and `postern check --online` do alike: load, ask the provider and the store, and judge the answers.
import { randomBytes } from 'node:crypto';
import { formatProblem } from '../config/problem.ts';
import { reportOn } from '../doctor/report.ts';
import type { Report } from '../doctor/report.ts';
import { examineProvider } from '../oidc/examination.ts';
import { examineRedis } from '../store/redis-examination.ts';
import { redisSettings } from '../store/redis-settings.ts';
import type { LoadedConfig, Terminal } from './configuration.ts';

/** Asks both at once; never throws for what they answer. It takes 20 s at the very most. */
export async function examine(file: string, { config, warnings }: LoadedConfig, { now }: Terminal): Promise<Report> {
  const { publicUrl, basePath, provider: settings, redis: section } = config;
  const [provider, redis] = await Promise.all([
    examineProvider({ settings, redirectUri: `${publicUrl}${basePath}/callback`, now, random: randomBytes }),
    section === undefined ? undefined : examineRedis(redisSettings(section), { now, random: Math.random }),
  ]);
  const lines = warnings.map((warning) => formatProblem(warning, 'warning'));
  return reportOn(file, lines, { config, provider, redis, now: now() });
}
