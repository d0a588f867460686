// The decision alone, for a gateway that carries the bytes itself: nginx auth_request, Caddy forward_auth, Traefik ForwardAuth, Envoy ext_authz.
// A yes carries the Bearer token, so this listener is for the gateway and for nobody else: no browser may reach it.
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { websocketLimitsOf } from '../config/route-schema.ts';
import { PosternError } from '../errors.ts';
import type { SendError } from '../http/error-response.ts';
import { judgeFraming } from '../http/framing.ts';
import { contextFor } from '../http/request-context.ts';
import type { Logger } from '../telemetry/log.ts';
import { createAdmission, crossSiteOf } from './admission.ts';
import type { Admission, AdmissionOptions, Admit, Asked, Target } from './admission.ts';
import { canonicalPath } from './canonical-path.ts';
import type { Route, RouteTable } from './routes.ts';
import { crossSiteOfHandshakes } from './websocket-handshake.ts';

/** Where gateways ask; below it, the original path may follow, with the original method (Envoy asks so). */
const askPath = '/forward-auth';
/** Where nginx, which drops the body of a refusal, asks for it once more. Its answer is never a yes and never carries a token. */
const refusalPath = '/refusal';

export interface ForwardAuthOptions extends Omit<AdmissionOptions, 'config' | 'crossSite'> {
  routes: RouteTable;
  /** The values of `Host` that are ours. */
  hosts: ReadonlySet<string>;
  /** `csrf.requireHeader`. */
  requireHeader: boolean;
  sendProblem: SendError;
  log: Logger;
}

/**
 * Answers 200 with `Authorization` (empty when the call goes without a token), or with the problem that the original request earned.
 * The original request is named by `X-Forwarded-Method`, `X-Forwarded-Uri` and `X-Forwarded-Host`, which the gateway must set itself;
 * all its other headers come along as they are. The request must have been begun (http/request-context).
 */
export function createForwardAuth(options: ForwardAuthOptions): RequestListener {
  const { routes, hosts, publicUrl, sendProblem, metrics, log } = options;
  const calls = new Map<Route, Admit>();
  const handshakes = new Map<Route, Admit>();
  for (const route of routes.routes) {
    const { config } = route;
    calls.set(route, createAdmission({ ...options, config, crossSite: crossSiteOf(config, options) }));
    if (websocketLimitsOf(config.websocket) === undefined) continue;
    handshakes.set(route, createAdmission({ ...options, config, crossSite: crossSiteOfHandshakes(publicUrl) }));
  }

  function refuse(code: 'bad_request' | 'misdirected' | 'no_route' | 'csrf_rejected'): Admission {
    return { kind: 'refused', error: new PosternError(code) };
  }

  function decide(request: IncomingMessage, original: Original): Admission | Promise<Admission> {
    if (!hosts.has(original.host.toLowerCase())) return refuse('misdirected');
    const target = canonicalPath(original.uri);
    if (target.kind === 'malformed') return refuse('bad_request');
    const match = routes.match(target.path);
    const handshake = isHandshake(request.headers);
    // Any site may make one (RFC 6455 section 10.2).
    if (handshake && request.headers.origin !== publicUrl) {
      metrics.crossSiteRejections.inc();
      return refuse('csrf_rejected');
    }
    if (match.kind !== 'route') return refuse(match.kind === 'none' ? 'no_route' : 'bad_request');
    contextFor(request).route = match.route.config.path;
    const admit = (handshake ? handshakes : calls).get(match.route);
    // A route that lets no WebSocket through.
    if (admit === undefined) return refuse('no_route');
    return admit(askedOf(request, original.method, target));
  }

  function answer(request: IncomingMessage, response: ServerResponse, admission: Admission): void {
    switch (admission.kind) {
      case 'refused':
        sendProblem(request, response, admission.error);
        return;
      case 'anonymous':
        if (admission.sessionHasEnded) response.setHeader('Postern-Session', 'ended');
        allow(response, undefined);
        return;
      case 'signed-in':
        allow(response, admission.bearer);
    }
  }

  // What was refused a moment ago and would pass now met an outage that is over: the client may try again at once.
  function explain(request: IncomingMessage, response: ServerResponse, admission: Admission): void {
    const error =
      admission.kind === 'refused' ? admission.error : new PosternError('overloaded', { retryAfterSeconds: 1 });
    sendProblem(request, response, error);
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const original = originalOf(request);
    const admission = original === undefined ? refuse('bad_request') : await decide(request, original);
    if (pathOf(request.url) === refusalPath) explain(request, response, admission);
    else answer(request, response, admission);
  }

  return (request, response) => {
    const framing = judgeFraming(request, 'opinion');
    if (framing === 'ignore') return;
    if (framing === 'close') {
      sendProblem(request, response, new PosternError('bad_request', { headers: { connection: 'close' } }));
      return;
    }
    // Nobody needs the body for a decision; unread, it would block the gateway's connection.
    request.resume();
    serve(request, response).catch((cause: unknown) => {
      log.error({ requestId: contextFor(request).requestId, err: cause }, 'a decision failed unexpectedly');
      sendProblem(request, response, new PosternError('internal_error', { cause }));
    });
  };
}

// Gateways keep its Upgrade to themselves: a handshake is known by its key, which no script can set on a call (W3C Fetch, forbidden request-headers).
function isHandshake(headers: IncomingHttpHeaders): boolean {
  return headers['sec-websocket-key'] !== undefined;
}

// Empty where no token goes along: a gateway that copies the header then overwrites whatever a client sent in it.
function allow(response: ServerResponse, bearer: string | undefined): void {
  const authorization = bearer === undefined ? '' : `Bearer ${bearer}`;
  response.writeHead(200, { authorization, 'content-length': '0', 'cache-control': 'no-store' }).end();
}

interface Original {
  method: string;
  uri: string;
  host: string;
}

/** The request that the gateway asks about, or undefined when it does not say. */
function originalOf({ method = '', url = '', headers }: IncomingMessage): Original | undefined {
  const host = headers['x-forwarded-host'] ?? headers.host;
  if (typeof host !== 'string') return undefined;
  if (url.startsWith(`${askPath}/`)) return { method, uri: url.slice(askPath.length), host };
  // Caddy leaves the original query here as well.
  const path = pathOf(url);
  if (path !== askPath && path !== refusalPath) return undefined;
  const { 'x-forwarded-method': originalMethod, 'x-forwarded-uri': uri } = headers;
  if (typeof originalMethod !== 'string' || typeof uri !== 'string') return undefined;
  return { method: originalMethod, uri, host };
}

function pathOf(url: string | undefined): string | undefined {
  return url?.split('?', 1)[0];
}

function askedOf(request: IncomingMessage, method: string, target: Target): Asked {
  return { method, headers: request.headers, target, waits: contextFor(request) };
}
