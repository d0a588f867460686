// The opening handshake of a WebSocket, as a gate between browser and upstream sees it (RFC 6455 section 4).
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { PosternError } from '../errors.ts';
import { isFromOwnPages } from '../http/cross-site.ts';
import type { CrossSiteRule } from '../http/cross-site.ts';
import type { BuildResponseHeaders } from './response-headers.ts';
import type { UpstreamHeaders } from './upstream-headers.ts';

const version = '13';
const keyShape = /^[A-Za-z0-9+/]{22}==$/;
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const negotiated = ['sec-websocket-protocol', 'sec-websocket-extensions'] as const;

/** What the cross-site rule asks of handshakes. No script can set a header on one, so none is asked for: its Origin tells. */
export function crossSiteOfHandshakes(publicUrl: string): CrossSiteRule {
  return { origin: publicUrl, requireHeader: false, typedUrl: false, navigation: false };
}

/**
 * What a handshake itself says against it: `csrf_rejected`, `upgrade_required` or `bad_request`; undefined when it may go on.
 * A handshake is no CORS request: any site may make one with this browser's cookies, and only its Origin tells (RFC 6455 section 10.2).
 */
export function refusalOfHandshake(headers: IncomingHttpHeaders, publicUrl: string): PosternError | undefined {
  const rule = crossSiteOfHandshakes(publicUrl);
  if (headers.origin !== publicUrl || !isFromOwnPages('GET', headers, rule)) return new PosternError('csrf_rejected');
  if (headers['sec-websocket-version'] !== version) {
    return new PosternError('upgrade_required', {
      headers: { connection: 'Upgrade, close', upgrade: 'websocket', 'sec-websocket-version': version },
    });
  }
  if (!keyShape.test(headers['sec-websocket-key'] ?? '')) return new PosternError('bad_request');
  return undefined;
}

/** The fields that make an upstream request a handshake; to be added to those of a call. */
export function handshakeHeaders(headers: IncomingHttpHeaders): UpstreamHeaders {
  const fields: UpstreamHeaders = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': version,
    'sec-websocket-key': headers['sec-websocket-key'] ?? '',
  };
  for (const name of negotiated) {
    const value = headers[name];
    if (typeof value === 'string') fields[name] = value;
  }
  return fields;
}

/** Whether a 101 is the answer to the handshake with this key: nothing else may turn the connection into a tunnel. */
export function isAccepted(key: string | undefined, answer: IncomingHttpHeaders): boolean {
  const accept = createHash('sha1')
    .update(`${key ?? ''}${acceptSuffix}`)
    .digest('base64');
  return answer.upgrade?.toLowerCase() === 'websocket' && answer['sec-websocket-accept'] === accept;
}

/** The fields of a 101 as the browser gets it: the handshake's own, and the cookies that may pass. */
export function acceptanceHeaders(answer: IncomingMessage, toClient: BuildResponseHeaders): OutgoingHttpHeaders {
  const { headers } = answer;
  const cookies = asRecord(toClient(answer.rawHeaders))['set-cookie'];
  return {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-accept': headers['sec-websocket-accept'],
    'sec-websocket-protocol': headers['sec-websocket-protocol'],
    'sec-websocket-extensions': headers['sec-websocket-extensions'],
    'set-cookie': cookies,
  };
}

/** The fields of an upstream's refusal as the browser gets it. The body's coding stays: it is sent as it comes. */
export function refusalHeaders(answer: IncomingMessage, toClient: BuildResponseHeaders): OutgoingHttpHeaders {
  return { ...asRecord(toClient(answer.rawHeaders)), 'transfer-encoding': answer.headers['transfer-encoding'] };
}

function asRecord(list: readonly string[]): Record<string, string[]> {
  const record: Record<string, string[]> = {};
  for (let at = 0; at < list.length; at += 2) {
    (record[(list[at] ?? '').toLowerCase()] ??= []).push(list[at + 1] ?? '');
  }
  return record;
}
