// The cross-site rule: a request that carries our cookie must come from our own origin (RFC 10017 section 6.1.3.3, RFC 9110 and W3C Fetch Metadata).
// SameSite alone is not enough: a sibling subdomain is "same site", and older browsers default to Lax.
import type { IncomingHttpHeaders } from 'node:http';
import { isNavigation } from './navigation.ts';

/** What the rule asks of one kind of request. */
export interface CrossSiteRule {
  /** Our own origin, from `publicUrl`. */
  origin: string;
  /** `X-CSRF: 1` is asked for whatever else the request shows. */
  requireHeader: boolean;
  /** GET and HEAD navigations typed into the address bar pass. */
  typedUrl: boolean;
  /** Navigations are let off `requireHeader`. */
  navigation: boolean;
}

/** Whether the request shows that it comes from our own pages. Pure; says nothing about whether it carries a session. */
export function isFromOwnPages(method: string, headers: IncomingHttpHeaders, rule: CrossSiteRule): boolean {
  // `null` is what sandboxed frames and `Referrer-Policy: no-referrer` forms send: nobody's origin, so not ours.
  if (headers.origin !== undefined && headers.origin !== rule.origin) return false;
  const hasHeader = headers['x-csrf'] === '1';
  if (rule.requireHeader && !hasHeader && !(rule.navigation && isNavigation(headers))) return false;
  const site = headers['sec-fetch-site'];
  if (site === undefined) return headers.origin === rule.origin || hasHeader;
  if (site === 'same-origin') return true;
  const reads = method === 'GET' || method === 'HEAD';
  return site === 'none' && rule.typedUrl && reads && isNavigation(headers);
}
