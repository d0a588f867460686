// `postern route`: what would happen to a request, decided by the very parts that decide it at run time.
import { METHODS } from 'node:http';
import { endpointsOf } from '../app.ts';
import { isUnder } from '../config/path-prefix.ts';
import type { Config } from '../config/schema.ts';
import { canonicalPath } from '../proxy/canonical-path.ts';
import { createRouteTable } from '../proxy/routes.ts';
import type { Route } from '../proxy/routes.ts';
import { loadOrReport } from './configuration.ts';
import type { LoadedConfig, Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';
import { describeDemands, describeSettings } from './route-settings.ts';
import type { Line } from './route-settings.ts';

interface Request {
  method: string;
  target: string;
}

export function route(request: Request, options: { config: string }, terminal: Terminal): ExitCode {
  const { method, target } = request;
  if (!/^[A-Za-z]+$/.test(method)) {
    terminal.report(`postern: "${method}" is no method; write it as in: postern route GET /api/orders/1`);
    return exitCode.usage;
  }
  if (!target.startsWith('/')) {
    terminal.report(`postern: "${target}" is no path; write it as in: postern route GET /api/orders/1`);
    return exitCode.usage;
  }
  const loaded = loadOrReport(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  const answer = explainRoute({ method: method.toUpperCase(), target }, loaded);
  const width = Math.max(...answer.map(([label]) => label.length));
  terminal.print(answer.map(([label, text]) => `${label.padEnd(width)}  ${text}\n`).join(''));
  return exitCode.ok;
}

function explainRoute({ method, target }: Request, { config, lineOf }: LoadedConfig): Line[] {
  if (!METHODS.includes(method)) return refused('400 bad_request', `${method} is no method of HTTP`);
  if (method === 'CONNECT') return refused('405 method_not_allowed', 'Postern opens no tunnels');
  if (method === 'TRACE') return refused('405 method_not_allowed', 'TRACE would show what only servers may see');
  const canonical = canonicalPath(target);
  if (canonical.kind === 'malformed') {
    return refused(
      '400 bad_request',
      'the path has a second reading (dot segments, //, backslashes, needless or broken escapes), so nobody gets it',
    );
  }
  const { path, query, hasEncodedSlash } = canonical;
  if (isUnder(path, config.basePath)) return explainEndpoint(method, path.slice(config.basePath.length), config);
  const match = createRouteTable(config.routes).match(path);
  switch (match.kind) {
    case 'ambiguous':
      return refused(
        '400 bad_request',
        'a careless upstream could read this path as belonging to another route (case, ;parameters, dots at a name’s end)',
      );
    case 'none':
      return [
        ['route', 'none'],
        ['why', 'the path lies under no route path'],
        ['then', fallback(config)],
      ];
    case 'route':
      return explainMatch(
        match.route,
        { method, target: path + query, path, hasEncodedSlash, query },
        { config, lineOf },
      );
  }
}

function explainEndpoint(method: string, path: string, config: Config): Line[] {
  const here = endpointsOf(config).filter((endpoint) => isPathOf(endpoint.path, path));
  if (here.length === 0)
    return refused('404 no_route', `${config.basePath} holds Postern’s own endpoints, and this is none`);
  const endpoint = here.find((row) => row.method === method);
  const methods = here.map((row) => row.method).join(', ');
  if (endpoint === undefined) return refused('405 method_not_allowed', `this endpoint takes ${methods}`);
  return [
    ['endpoint', `${method} ${config.basePath}${endpoint.path}`],
    ['why', `${config.basePath} holds Postern’s own endpoints`],
  ];
}

// `:name` stands for one segment.
function isPathOf(pattern: string, path: string): boolean {
  const [names, segments] = [pattern.split('/'), path.split('/')];
  return (
    names.length === segments.length &&
    names.every((name, index) => (name.startsWith(':') ? segments[index] !== '' : name === segments[index]))
  );
}

interface MatchedRequest extends Request {
  path: string;
  query: string;
  hasEncodedSlash: boolean;
}

function explainMatch(
  matched: Route,
  request: MatchedRequest,
  { config, lineOf }: Pick<LoadedConfig, 'config' | 'lineOf'>,
): Line[] {
  const { path, auth, token, methods, encodedSlash } = matched.config;
  const index = config.routes.indexOf(matched.config);
  const others = config.routes.filter((other) => other !== matched.config && isUnder(request.path, other.path));
  const longest =
    others.length === 0
      ? 'the only route path that fits'
      : `the longest of the route paths that fit: ${[path, ...others.map((other) => other.path)].join(', ')}`;
  const lines: Line[] = [
    ['route', `${path} (routes[${index}], line ${lineOf(['routes', index]) ?? ''})`],
    ['why', longest],
  ];
  if (request.hasEncodedSlash && encodedSlash === 'reject') {
    return [...lines, ...refused('400 bad_request', 'the path holds %2F, and this route has encodedSlash: reject')];
  }
  if (!(methods as readonly string[]).includes(request.method)) {
    return [...lines, ...refused('405 method_not_allowed', `this route takes ${methods.join(', ')}`)];
  }
  return [
    ...lines,
    ['auth', authSentence[auth]],
    ...describeDemands(matched.config),
    ['token', tokenSentence[auth === 'none' ? 'none' : token]],
    ['upstream', `${request.method} ${upstreamUrl(matched, request)}`],
    ...describeSettings(matched.config),
  ];
}

const authSentence = {
  required: 'required: without a session 401 session_required',
  optional: 'optional: without a cookie it goes through without a token',
  none: 'none: the session is not even looked at',
} as const;

const tokenSentence = {
  access: 'the access token, as Authorization: Bearer',
  id: 'the ID token, as Authorization: Bearer',
  none: 'none',
} as const;

function upstreamUrl(matched: Route, { path, query }: MatchedRequest): string {
  const { protocol, authority, socketPath } = matched.upstream;
  const target = matched.upstreamPath(path) + query;
  return socketPath === undefined ? `${protocol}//${authority}${target}` : `${target} over unix:${socketPath}`;
}

function refused(answer: string, why: string): Line[] {
  return [
    ['answer', answer],
    ['why', why],
  ];
}

function fallback({ spa }: Config): string {
  if (spa === undefined) return '404 no_route (there is no spa section)';
  return 'directory' in spa ? `the app in ${spa.directory}` : `the app behind ${spa.upstream}`;
}
