// One handler in a real Express app on a real socket, for parts that speak Express and need no more of the house.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { ErrorRequestHandler, Request, Response } from 'express';
import { createRequestContexts } from '../../src/http/request-context.ts';

export interface ServedHandler extends AsyncDisposable {
  publicUrl: string;
  address: string;
}

/** Answers every request with `handler`. `publicUrl` is what browsers see, when that is not the socket itself. */
export async function serve(
  handler: (request: Request, response: Response) => unknown,
  options: { publicUrl?: string; onError?: ErrorRequestHandler } = {},
): Promise<ServedHandler> {
  const begin = createRequestContexts({ trusted: [], randomId: () => 'request-id-1', monotonicNow: () => 0 });
  const app = express();
  app.use(async (request, response) => {
    begin(request);
    if (options.publicUrl?.startsWith('https:')) request.headers['x-forwarded-proto'] = 'https';
    await handler(request, response);
  });
  if (options.onError !== undefined) app.use(options.onError);
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    publicUrl: options.publicUrl ?? `http://localhost:${port}`,
    address: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
