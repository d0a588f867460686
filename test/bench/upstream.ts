// The API behind every proxy that is measured: 1 KB of JSON, which tells whether a Bearer token came with the request. Prints its port.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const bodyBytes = 1024;

function bodyFor(bearer: boolean): Buffer {
  const start = `{"bearer":${bearer},"padding":"`;
  return Buffer.from(`${start.padEnd(bodyBytes - 2, 'x')}"}`);
}

const withBearer = bodyFor(true);
const withoutBearer = bodyFor(false);

const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  const bearer = request.headers.authorization?.startsWith('Bearer ') === true;
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bodyBytes });
  response.end(bearer ? withBearer : withoutBearer);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
