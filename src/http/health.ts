// Liveness, readiness and metrics, on a listener that is never public (OWASP ASVS 5.0 V13.4.5).
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Metrics } from '../telemetry/metrics.ts';

/** What readiness says. Only `ready` decides about traffic: an outage of a part must not take every replica out of service at once. */
export interface Health {
  /** Whether this process can answer anything at all: started, not draining. */
  ready: boolean;
  parts: Readonly<Record<string, 'up' | 'down'>>;
}

/** The request handler of the operations listener: GET /livez, /readyz, /metrics; `admin`, where given, answers everything under /admin/. */
export function createOperations(options: {
  health: () => Health;
  metrics: Metrics;
  admin: RequestListener | undefined;
}): RequestListener {
  const { health, metrics, admin } = options;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?')[0];
    if (admin !== undefined && path?.startsWith('/admin/') === true) {
      admin(request, response);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    } else if (path === '/livez') {
      sendJson(response, 200, { status: 'alive' });
    } else if (path === '/readyz') {
      const { ready, parts } = health();
      const degraded = Object.values(parts).includes('down');
      sendJson(response, ready ? 200 : 503, { status: ready ? (degraded ? 'degraded' : 'ready') : 'not ready', parts });
    } else if (path === '/metrics') {
      for (const [part, state] of Object.entries(health().parts))
        metrics.degraded.set({ part }, state === 'down' ? 1 : 0);
      const body = await metrics.registry.metrics();
      response.writeHead(200, { 'content-type': metrics.registry.contentType, 'cache-control': 'no-store' }).end(body);
    } else {
      response.writeHead(404).end();
    }
  }

  return (request, response) => {
    answer(request, response).catch(() => response.destroy());
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
