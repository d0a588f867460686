// Where a request of the public listener goes: the same for a call and for a WebSocket handshake.
import type { IncomingMessage } from 'node:http';
import { isUnder } from '../config/path-prefix.ts';
import { methods } from '../config/route-schema.ts';
import { PosternError } from '../errors.ts';
import { acceptedHosts, isForUs } from '../http/hosts.ts';
import type { Target } from './admission.ts';
import { canonicalPath } from './canonical-path.ts';
import type { Route, RouteTable } from './routes.ts';
import { viaNameOf } from './upstream-headers.ts';

export type Destination =
  | { kind: 'refused'; error: PosternError }
  /** Under the base path: Postern's own endpoints. */
  | { kind: 'own' }
  | { kind: 'route'; route: Route; target: Target }
  /** What is neither ours nor an API's. */
  | { kind: 'app'; target: Target };

export interface DestinationOptions {
  publicUrl: string;
  basePath: string;
  routes: RouteTable;
}

/** Checks the host, the path and the way of a request so far, and says where it goes. Pure. */
export function createDestinations({ publicUrl, basePath, routes }: DestinationOptions) {
  const hosts = acceptedHosts(publicUrl);
  const viaName = viaNameOf(publicUrl);

  return function destinationOf(request: IncomingMessage): Destination {
    const target = canonicalPath(request.url ?? '');
    if (!isForUs(request, hosts)) return refused(new PosternError('misdirected'));
    if (request.method === 'TRACE') {
      return refused(new PosternError('method_not_allowed', { headers: { allow: methods.join(', ') } }));
    }
    // Sent by us before: it would go round for ever (RFC 9110 section 7.6.3).
    if (request.headers.via?.includes(viaName) === true) return refused(new PosternError('bad_request'));
    if (target.kind === 'malformed') return refused(new PosternError('bad_request'));
    if (isUnder(target.path, basePath)) return { kind: 'own' };
    const match = routes.match(target.path);
    switch (match.kind) {
      case 'route':
        return { kind: 'route', route: match.route, target };
      case 'ambiguous':
        return refused(new PosternError('bad_request'));
      case 'none':
        return { kind: 'app', target };
    }
  };
}

function refused(error: PosternError): Destination {
  return { kind: 'refused', error };
}
