// The provider for as long as the process lives, while its client is replaced: by one with another secret, other scopes.
// What is under way finishes with the client that it began with.
import type { ProviderClient } from './openid-provider.ts';
import type { Provider } from './provider.ts';

export interface ReplaceableProvider extends Provider {
  /** Uses another client as soon as that has the provider's metadata: until then the former one, which has it, serves. */
  replaceBy(client: ProviderClient): void;
}

/** Longer than any call to the provider may take, with its repetition. */
const retireAfterMs = 60_000;

/** `first` serves until a later client is ready. A client that was replaced is closed a minute later, when nothing of it can be under way any more. */
export function createReplaceableProvider(first: ProviderClient): ReplaceableProvider {
  /** Newest first. */
  const clients: ProviderClient[] = [first];
  const retiring = new Map<Provider, NodeJS.Timeout>();
  let inForce = first;
  first.inForce(true);

  function current(): Provider {
    const client = clients.find((client) => client.ready()) ?? clients[0] ?? first;
    if (client !== inForce) {
      inForce.inForce(false);
      client.inForce(true);
      inForce = client;
    }
    if (clients[0] === client && clients.length > 1) clients.splice(1).forEach(retire);
    return client;
  }

  function retire(client: Provider): void {
    const end = (): void => {
      retiring.delete(client);
      void client.close();
    };
    retiring.set(client, setTimeout(end, retireAfterMs).unref());
  }

  return {
    startLogin: (parameters) => current().startLogin(parameters),
    finishLogin: (callbackUrl, checks) => current().finishLogin(callbackUrl, checks),
    refresh: (tokens, signal) => current().refresh(tokens, signal),
    verifyIdToken: (idToken) => current().verifyIdToken(idToken),
    verifyLogoutToken: (logoutToken) => current().verifyLogoutToken(logoutToken),
    revoke: (refreshToken) => current().revoke(refreshToken),
    logoutRequest: (idToken, state) => current().logoutRequest(idToken, state),
    endSessionOrigin: () => current().endSessionOrigin(),
    ready: () => current().ready(),
    replaceBy: (client) => void clients.unshift(client),
    async close() {
      retiring.forEach((timer) => clearTimeout(timer));
      await Promise.all([...clients, ...retiring.keys()].map((client) => client.close()));
    },
  };
}
