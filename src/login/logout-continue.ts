// GET /bff/logout/continue and /bff/logout/callback: out to the provider's logout and back (OIDC RP-Initiated Logout 1.0, sections 2 and 3).
// By now the session is gone here; these two only move the browser, and only to the provider or to our own signed-out page.
import type { RequestHandler, Response } from 'express';
import { PosternError } from '../errors.ts';
import { isNavigation } from '../http/navigation.ts';
import type { SecurityHeaders } from '../http/security-headers.ts';
import type { LogoutRequest, Provider } from '../oidc/provider.ts';
import { redirect, sendPage } from './answers.ts';
import type { LogoutTickets } from './logout-ticket.ts';
import { queryOf, singleValue } from './query.ts';

export interface LogoutContinueOptions {
  provider: Pick<Provider, 'logoutRequest'>;
  tickets: LogoutTickets;
  securityHeaders: SecurityHeaders;
  /** The signed-out page, a path of the app. */
  returnTo: string;
  randomId: () => string;
}

// Gateways and providers commonly refuse longer ones.
const longestUrl = 2000;

/** Answers 302 or a self-submitting form to the provider, 303 to the signed-out page, 403 `navigation_required`, 503. */
export function createLogoutContinue(options: LogoutContinueOptions): RequestHandler {
  const { provider, tickets } = options;

  // The ID token is in this page, so it is served to a navigation with a ticket, once, and is gone as soon as it is there.
  function postToProvider(response: Response, { endpoint, parameters }: LogoutRequest): void {
    const nonce = options.randomId();
    sendPage(response, {
      status: 200,
      headers: options.securityHeaders.page({ scriptNonce: nonce, formTargets: [new URL(endpoint).origin] }),
      page: {
        title: 'Logging out',
        paragraphs: ['You are logged out here. One more step logs you out at the identity provider.'],
        form: { action: endpoint, fields: parameters, button: 'Go on' },
        script: { nonce, source: 'document.forms[0].submit()' },
      },
    });
  }

  return async (request, response) => {
    // Before the ticket is spent: a prefetch must not use it up, and a script must not read where it leads.
    if (!isNavigation(request.headers)) throw new PosternError('navigation_required');
    const ticket = singleValue(queryOf(request), 'ticket');
    const idToken = ticket === undefined ? undefined : await tickets.take(ticket);
    const logoutRequest = idToken === undefined ? null : await provider.logoutRequest(idToken, options.randomId());
    if (logoutRequest === null) {
      redirect(response, 303, options.returnTo);
      return;
    }
    const url = urlOf(logoutRequest);
    if (url.length > longestUrl) postToProvider(response, logoutRequest);
    else redirect(response, 302, url);
  };
}

function urlOf({ endpoint, parameters }: LogoutRequest): string {
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/** The post-logout redirect URI. Answers 303 to the signed-out page, whatever `state` says: nothing depends on it. */
export function createLogoutCallback(options: { returnTo: string }): RequestHandler {
  return (_request, response) => {
    redirect(response, 303, options.returnTo);
  };
}
