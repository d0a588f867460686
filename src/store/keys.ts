// The names under which things are kept. `h` is a hash of the session id: who reads the names cannot make a cookie of them.

/** One channel for all messages. */
export const messagesChannel = 'postern:messages';

/** Both records of a session; the braces keep them in one slot of a Redis Cluster, so that one script can write both. */
export const tokensKey = (h: string) => `postern:{${h}}:tokens`;
export const sessionKey = (h: string) => `postern:{${h}}:session`;

/** Everything that is not one session's record. The name begins with its kind, so that no two kinds meet: `tx:…` is claimed, `sub:…` an index, `ended:…` a mark. */
export const namedKey = (name: string) => `postern:${name}`;
export const logoutTicketKey = (name: string) => namedKey(`logout:${name}`);
