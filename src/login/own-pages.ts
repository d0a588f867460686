// The cross-site rule as the endpoints apply it: what another site sends in the name of our user is refused and counted (RFC 10017 section 6.1.3.3).
import type { IncomingMessage } from 'node:http';
import { PosternError } from '../errors.ts';
import { isFromOwnPages } from '../http/cross-site.ts';
import type { CrossSiteRule } from '../http/cross-site.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Throws PosternError `csrf_rejected` unless the request shows that it comes from our own pages. */
export type RequireOwnPages = (request: IncomingMessage) => void;

/** Counts what it refuses. */
export function createOwnPagesGate(options: { rule: CrossSiteRule; metrics: Metrics }): RequireOwnPages {
  return (request) => {
    if (isFromOwnPages(request.method ?? '', request.headers, options.rule)) return;
    options.metrics.crossSiteRejections.inc();
    throw new PosternError('csrf_rejected');
  };
}
