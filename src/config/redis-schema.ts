// The `redis` section: one server, a Sentinel group or a Cluster, and how to be let in. What contradicts itself there is in redis-rules.ts.
import * as z from 'zod';
import { serverAddress, text } from './values.ts';
import type { machinePath, secretValue } from './values.ts';

export function redisSection(secret: ReturnType<typeof secretValue>, path: ReturnType<typeof machinePath>) {
  const nodes = z.array(serverAddress).min(1);
  const pem = (what: string) => z.strictObject({ file: path.describe(what) }).optional();

  return z.strictObject({
    url: secret
      .optional()
      .describe('One server: redis://… or rediss://… (TLS); a secret, because it may hold a password.'),
    sentinel: z
      .strictObject({
        name: text.describe('What the sentinels call the group, such as mymaster.'),
        nodes: nodes.describe('The sentinels, host:port each; those they know of are found.'),
        username: text.optional().describe('The ACL user at the sentinels themselves.'),
        password: secret.optional().describe('The password at the sentinels themselves.'),
      })
      .optional()
      .describe('A primary that Sentinel replaces when it fails.'),
    cluster: z
      .strictObject({ nodes: nodes.describe('Some nodes of the Cluster, host:port each; the others are found.') })
      .optional()
      .describe('A Redis Cluster.'),
    username: text.optional().describe('The ACL user.'),
    password: secret.optional().describe('The password of the ACL user, or of the server.'),
    database: z
      .int('a whole number')
      .min(0, 'a number of at least 0')
      .optional()
      .describe('The number of the database; a Cluster has only one.'),
    tls: z
      .strictObject({
        ca: pem('PEM file with the authority that signed the servers’ certificates; by default the public ones.'),
        cert: pem('PEM file with the client certificate, where the servers ask for one.'),
        key: pem('PEM file with the client certificate’s key.'),
      })
      .optional()
      .describe('TLS to every node and sentinel ({} is enough); with url it needs rediss://.'),
  });
}
