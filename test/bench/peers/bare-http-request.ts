// The least that a proxy on Node can be without another library: http.request with the headers as they came, and two pipes.
import http from 'node:http';
import type { AddressInfo } from 'node:net';

const { hostname, port } = new URL(process.argv[2]!);
const agent = new http.Agent({ keepAlive: true });

const server = http.createServer((request, response) => {
  const { method, url: path, rawHeaders: headers } = request;
  const upstreamRequest = http.request({ hostname, port, agent, method, path, headers }, (upstreamResponse) => {
    response.writeHead(upstreamResponse.statusCode!, upstreamResponse.rawHeaders);
    upstreamResponse.pipe(response);
  });
  upstreamRequest.on('error', () => response.destroy());
  request.pipe(upstreamRequest);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
