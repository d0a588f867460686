// What the endpoints share in front of a browser: the cross-site rule as a gate, pages of ours, redirects whose target is final.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PosternError } from '../errors.ts';
import { isFromOwnPages } from '../http/cross-site.ts';
import type { CrossSiteRule } from '../http/cross-site.ts';
import { renderPage } from '../http/page.ts';
import type { Page } from '../http/page.ts';
import type { HeaderList } from '../http/security-headers.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Refuses what other sites send in the name of our user (RFC 10017 section 6.1.3.3). Throws PosternError `csrf_rejected`. */
export type RequireOwnPages = (request: IncomingMessage) => void;

export function createOwnPagesGate(options: { rule: CrossSiteRule; metrics: Metrics }): RequireOwnPages {
  return (request) => {
    if (isFromOwnPages(request.method ?? '', request.headers, options.rule)) return;
    options.metrics.crossSiteRejections.inc();
    throw new PosternError('csrf_rejected');
  };
}

/** The query as it came, with its question mark; empty when there is none. */
export function queryOf(request: IncomingMessage): string {
  const { url = '' } = request;
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start);
}

/** Sends a page. `headers` are a set for pages from security-headers.ts. */
export function sendPage(response: ServerResponse, answer: { status: number; headers: HeaderList; page: Page }): void {
  const body = renderPage(answer.page);
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-type': 'text/html; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    vary: 'Cookie',
  });
  response.end(body);
}

/** Redirects without a body. The target goes out byte for byte: Express would encode it anew, after it was checked. */
export function redirect(response: ServerResponse, status: 302 | 303, location: string): void {
  response.statusCode = status;
  response.setHeader('location', location);
  response.end();
}
