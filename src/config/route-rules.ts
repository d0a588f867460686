// What routes, the app and our own pages must not do to each other: no path may mean two things.
import { isUnder } from './path-prefix.ts';
import { join } from 'node:path';
import { clientTlsFindings } from './pem.ts';
import { reasonFor } from './read-secret.ts';
import { headerRules } from './route-header-rules.ts';
import type { Config, RouteConfig } from './schema.ts';
import type { Draft } from './shape.ts';
import type { Finding, RuleContext } from './rule.ts';
import { serverOf } from './upstream-address.ts';

export function routeRules(context: RuleContext): Finding[] {
  const perRoute = [
    samePathRules,
    basePathRules,
    wholeSiteRules,
    tokenRules,
    stepUpRules,
    claimRules,
    rewriteRules,
    loopRules,
    upstreamTlsRules,
    headerRules,
    cookieRules,
  ];
  const ofRoutes = (context.draft.routes ?? []).flatMap((route, index) =>
    route === undefined ? [] : perRoute.flatMap((rule) => rule(route, index, context)),
  );
  return [...ofRoutes, ...spaRules(context), ...ownPageRules(context)];
}

type RouteRule = (route: Draft<RouteConfig>, index: number, context: RuleContext) => Finding[];

const samePathRules: RouteRule = ({ path }, index, { draft }) => {
  const first = draft.routes?.findIndex((other) => other?.path === path) ?? index;
  if (path === undefined || first === index) return [];
  return [
    { path: ['routes', index, 'path'], message: `"${path}" is the path of routes[${first}] too; a path has one route` },
  ];
};

const basePathRules: RouteRule = ({ path }, index, { draft: { basePath } }) => {
  if (path === undefined || basePath === undefined || path === '/') return [];
  // Some back ends and caches do not mind case, so /BFF is not left to anybody either.
  const [route, base] = [path.toLowerCase(), basePath.toLowerCase()];
  if (isUnder(route, base)) {
    return [
      {
        path: ['routes', index, 'path'],
        message: `"${path}" is under basePath "${basePath}", where Postern’s own endpoints are`,
      },
    ];
  }
  if (!isUnder(base, route)) return [];
  return [
    {
      path: ['routes', index, 'path'],
      message: `"${path}" has basePath "${basePath}" under it, where Postern’s own endpoints are`,
    },
  ];
};

const wholeSiteRules: RouteRule = ({ path }, index, { isGiven }) => {
  if (path !== '/' || !isGiven(['spa'])) return [];
  return [
    {
      path: ['routes', index, 'path'],
      message: '"/" would take every path from the app (spa); give the API a prefix such as /api',
    },
  ];
};

const tokenRules: RouteRule = ({ auth }, index, { isGiven }) => {
  if (auth !== 'none' || !isGiven(['routes', index, 'token'])) return [];
  return [
    {
      path: ['routes', index, 'token'],
      message: 'auth: none never sends a token; take token out, or set auth to required or optional',
    },
  ];
};

// Somebody who is not signed in has no claims, so only auth: required can ask for any.
const claimRules: RouteRule = ({ auth, require }, index) => {
  if (auth === undefined || auth === 'required' || Object.keys(require ?? {}).length === 0) return [];
  return [
    {
      path: ['routes', index, 'require'],
      message: `asks for claims, and auth: ${auth} lets people in who have none; set auth to required`,
    },
  ];
};

const rewriteRules: RouteRule = ({ stripPath, rewrite }, index) => {
  if (rewrite === undefined || stripPath !== true) return [];
  return [
    {
      path: ['routes', index, 'rewrite'],
      message: 'stands beside stripPath: both say what becomes of the route’s own path; take stripPath out',
    },
  ];
};

const upstreamTlsRules: RouteRule = ({ upstream, tls }, index, context) => {
  const path = ['routes', index, 'tls'];
  if (!context.isGiven(path)) return [];
  if (upstream?.startsWith('https:') === false) {
    return [{ path, message: `would not be used: ${upstream} is not on https` }];
  }
  return clientTlsFindings(path, tls, context);
};

const stepUpRules: RouteRule = ({ auth, token, stepUp }, index) => {
  if (stepUp === undefined) return [];
  const path = ['routes', index, 'stepUp'];
  if (auth === 'none' || token === 'none') {
    return [{ path, message: 'an upstream that gets no token cannot ask for another login; take stepUp out' }];
  }
  if (stepUp.maxAge !== false || stepUp.acrValues?.length !== 0) return [];
  return [{ path, message: 'nothing may be asked for; name acrValues, or set maxAge: true' }];
};

const loopRules: RouteRule = ({ upstream }, index, { draft: { publicUrl } }) => {
  if (upstream === undefined || publicUrl === undefined || serverOf(upstream) !== publicUrl) return [];
  return [
    {
      path: ['routes', index, 'upstream'],
      message: `"${upstream}" is publicUrl itself: Postern would call itself without end`,
    },
  ];
};

const cookieRules: RouteRule = ({ cookies }, index, { draft: { cookie } }) => {
  const base = cookie?.name;
  if (base === undefined) return [];
  return (['request', 'response'] as const).flatMap((direction) =>
    (cookies?.[direction] ?? []).flatMap((name, position) =>
      name === undefined || !isOwnCookie(name, base)
        ? []
        : [
            {
              path: ['routes', index, 'cookies', direction, position],
              message: `"${name}" is a cookie of Postern’s own (cookie.name), and those never pass`,
            },
          ],
    ),
  );
};

// Browsers match cookie prefixes whatever their case, and the loopback names end in a port.
function isOwnCookie(name: string, base: string): boolean {
  const bare = name.toLowerCase().replace(/^__(host-http|host|secure|http)-/, '');
  return bare === base.toLowerCase() || bare.startsWith(`${base.toLowerCase()}-`);
}

function spaRules({ draft: { spa, publicUrl }, readFile }: RuleContext): Finding[] {
  if (spa === undefined) return [];
  if ('upstream' in spa && spa.upstream !== undefined) {
    if (new URL(spa.upstream).origin !== publicUrl) return [];
    return [
      {
        path: ['spa', 'upstream'],
        message: `"${spa.upstream}" is publicUrl itself: Postern would call itself without end`,
      },
    ];
  }
  if (!('directory' in spa) || spa.directory === undefined) return [];
  const page = join(spa.directory, 'index.html');
  try {
    const { noncePlaceholder, contentSecurityPolicy } = spa;
    return nonceRules({ noncePlaceholder, contentSecurityPolicy }, { page, text: readFile(page) });
  } catch (error) {
    return [{ path: ['spa', 'directory'], message: `${page} cannot be read: ${reasonFor(error)}; is the app built?` }];
  }
}

// A nonce that is missing on one side stops the scripts, or protects nothing.
function nonceRules(
  { noncePlaceholder, contentSecurityPolicy }: Record<'noncePlaceholder' | 'contentSecurityPolicy', string | undefined>,
  { page, text }: { page: string; text: string },
): Finding[] {
  if (noncePlaceholder === undefined) return [];
  const findings: Finding[] = [];
  if (!text.includes(noncePlaceholder)) {
    findings.push({
      path: ['spa', 'noncePlaceholder'],
      message: `"${noncePlaceholder}" is not in ${page}; is it the html.cspNonce of the build?`,
    });
  }
  if (contentSecurityPolicy?.includes(`'nonce-${noncePlaceholder}'`) === false) {
    findings.push({
      path: ['spa', 'contentSecurityPolicy'],
      message: `does not name 'nonce-${noncePlaceholder}', so that no script would run under the nonce; name it, or take noncePlaceholder out`,
    });
  }
  return findings;
}

function ownPageRules({ draft }: RuleContext): Finding[] {
  return [
    ...appPageRules(['login', 'errorUrl'], draft.login?.errorUrl, draft),
    ...appPageRules(['logout', 'returnTo'], draft.logout?.returnTo, draft),
  ];
}

// A page that people end on is the app's: under basePath it could loop, under an API route it would show JSON.
function appPageRules(path: string[], page: string | undefined, { basePath, routes }: Draft<Config>): Finding[] {
  if (page === undefined) return [];
  const pagePath = new URL(page, 'https://origin.invalid').pathname;
  if (basePath !== undefined && isUnder(pagePath, basePath)) {
    return [{ path, message: `"${page}" is under basePath "${basePath}"; it must be a page of the app` }];
  }
  const index = (routes ?? []).findIndex(
    (route) => route?.path !== undefined && route.path !== '/' && isUnder(pagePath, route.path),
  );
  if (index < 0) return [];
  return [{ path, message: `"${page}" is under the path of routes[${index}]; it must be a page of the app` }];
}
