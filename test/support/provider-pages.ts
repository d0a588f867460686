// What a person sees at the real provider, in plain HTML without scripts: who are you, and do you agree.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';

/** Who can log in, with `<user>-password`. */
const people: Record<string, Record<string, unknown>> = {
  alice: { name: 'Alice Example', given_name: 'Alice', email: 'alice@example.test', email_verified: true },
  bob: { name: 'Bob Example', given_name: 'Bob', email: 'bob@example.test', email_verified: false },
};

/** The claims of a person; beside the two there is a crowd of `user-<number>` for tests about mix-ups. */
export function personOf(user: string): Record<string, unknown> | undefined {
  return people[user] ?? (/^user-\d+$/.test(user) ? { name: user, email: `${user}@example.test` } : undefined);
}

/** Answers one request of an interaction; `decision=deny` ends in access_denied. */
export async function interact(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const interaction = await provider.interactionDetails(request, response);
  const { prompt, params, session } = interaction;
  const action = `/interaction/${interaction.uid}`;
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    response.end(prompt.name === 'login' ? loginPage(action) : consentPage(action));
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const form = new URLSearchParams(Buffer.concat(chunks).toString());
  const finish = (result: object, mergeWithLastSubmission: boolean) =>
    provider.interactionFinished(request, response, result, { mergeWithLastSubmission });

  if (form.get('decision') === 'deny')
    return finish({ error: 'access_denied', error_description: 'No, thank you' }, false);
  if (prompt.name === 'login') {
    const user = form.get('username') ?? '';
    if (personOf(user) === undefined || form.get('password') !== `${user}-password`) {
      response.writeHead(401, { 'content-type': 'text/html; charset=utf-8' }).end(loginPage(action));
      return;
    }
    return finish({ login: { accountId: user } }, false);
  }
  const known = interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  const grant =
    known ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params.client_id) });
  const { missingOIDCScope = [], missingOIDCClaims = [], missingResourceScopes = {} } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(' '));
  grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes))
    grant.addResourceScope(resource, (scopes as string[]).join(' '));
  return finish({ consent: { grantId: await grant.save() } }, true);
}

function loginPage(action: string): string {
  return page(
    'Who are you?',
    `<form method="post" action="${action}">
    <label>User <input name="username" value="" autofocus></label>
    <label>Password <input name="password" type="password" value=""></label>
    <button>Log in</button></form>`,
  );
}

function consentPage(action: string): string {
  return page(
    'May Postern know who you are?',
    `<form method="post" action="${action}"><button name="decision" value="allow">Allow</button>
    <button name="decision" value="deny">Deny</button></form>`,
  );
}

/** A whole page, as plain as can be. */
export function page(title: string, content: string): string {
  return `<!doctype html><html lang="en"><title>${title}</title><h1>${title}</h1>${content}</html>`;
}
