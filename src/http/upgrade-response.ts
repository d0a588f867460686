// A request for another protocol comes without a response object. It gets one, so that a refusal is an answer like any other.
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * The response to an upgrade: whoever ends it refuses, and the connection ends with it. It closes when the connection does, upgraded or not.
 * Undefined where an earlier answer is still on its way: the connection has been cut, because nothing may be written into that answer.
 */
export function responseToUpgrade(request: IncomingMessage): ServerResponse | undefined {
  const { socket } = request;
  // Node has let go of this socket: without this a reset would end the process.
  socket.on('error', () => socket.destroy());
  if (isAnswerUnderWay(socket)) {
    socket.destroy();
    return undefined;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  return response;
}

/** Whether an answer is promised or half written on this connection: any other bytes would be read as its own. */
export function isAnswerUnderWay(socket: Duplex & { _httpMessage?: ServerResponse | null }): boolean {
  return Boolean(socket._httpMessage);
}
