// How an endpoint answers a person: with a page of ours, or with a redirect whose target has been decided.
import type { ServerResponse } from 'node:http';
import { renderPage } from '../http/page.ts';
import type { Page } from '../http/page.ts';
import type { HeaderList } from '../http/security-headers.ts';

/** Sends a page. `headers` are a set for pages from security-headers.ts. */
export function sendPage(response: ServerResponse, answer: { status: number; headers: HeaderList; page: Page }): void {
  const body = renderPage(answer.page);
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-type': 'text/html; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
  });
  response.end(body);
}

/** Redirects without a body. The target goes out byte for byte: Express would encode it anew, after it was checked. */
export function redirect(response: ServerResponse, status: 302 | 303, location: string): void {
  response.statusCode = status;
  response.setHeader('location', location);
  response.end();
}
