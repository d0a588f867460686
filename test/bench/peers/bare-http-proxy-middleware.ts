// The baseline: the proxy library that Postern uses, and nothing else. Its plugins are out, its connections are kept, nobody is authenticated.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProxyMiddleware } from 'http-proxy-middleware';

const proxy = createProxyMiddleware({
  target: process.argv[2]!,
  agent: new http.Agent({ keepAlive: true }),
  ejectPlugins: true,
  plugins: [(events) => void events.on('error', (error) => console.error(error))],
});
const server = http.createServer((request, response) => void proxy(request, response));
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
