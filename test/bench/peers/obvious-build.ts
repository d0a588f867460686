// What somebody would build from the same packages by their READMEs: tokens in the session, the session in Redis, the Bearer header set in `proxyReq`.
// It logs in by POST /login with tokens as long as the real ones, because only its API calls are measured.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { RedisStore } from 'connect-redis';
import express from 'express';
import type { Request } from 'express';
import session from 'express-session';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { Redis } from 'ioredis';

interface Tokens {
  accessToken: string;
  refreshToken: string;
  idToken: string;
}

declare module 'express-session' {
  interface SessionData {
    tokens: Tokens;
  }
}

const [target, redisUrl] = process.argv.slice(2) as [string, string];
const tokenOf = (length: number): string => randomBytes(length).toString('base64url').slice(0, length);

const app = express();
app.use(
  session({
    store: new RedisStore({ client: new Redis(redisUrl) }),
    secret: tokenOf(32),
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'strict', maxAge: 30 * 60 * 1000 },
  }),
);
app.post('/login', (request, response) => {
  request.session.tokens = { accessToken: tokenOf(700), refreshToken: tokenOf(43), idToken: tokenOf(900) };
  response.sendStatus(204);
});
app.use('/api', (request, response, next) => {
  if (request.session.tokens === undefined) response.sendStatus(401);
  else next();
});
app.use(
  '/api',
  createProxyMiddleware<Request>({
    target,
    agent: new http.Agent({ keepAlive: true }),
    on: {
      proxyReq(upstreamRequest, request) {
        upstreamRequest.setHeader('authorization', `Bearer ${request.session.tokens!.accessToken}`);
        upstreamRequest.removeHeader('cookie');
      },
    },
  }),
);
const server = app.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
