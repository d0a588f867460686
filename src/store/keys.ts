// The names under which things are kept. `h` is a hash of the session id: who reads the names cannot make a cookie of them.

/** One channel for all messages. */
export const messagesChannel = 'postern:messages';

/** Both records of a session; the braces keep them in one slot of a Redis Cluster, so that one script can write both. */
export const tokensKey = (h: string) => `postern:{${h}}:tokens`;
export const sessionKey = (h: string) => `postern:{${h}}:session`;

/** Things that may happen once; the key names its kind, such as `tx:…`. */
export const claimKey = (key: string) => `postern:${key}`;

/** Sessions of one user, or of one session at the provider; and what has been noted of either. The key names its kind, such as `sub:…` or `ended:…`. */
export const indexKey = (key: string) => `postern:${key}`;
export const markKey = (key: string) => `postern:${key}`;

export const logoutTicketKey = (key: string) => `postern:logout:${key}`;
