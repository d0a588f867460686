// How many of a kind work at once: what strangers can make us ask of the provider must not become a flood there, nor a queue here.
import type { RequestHandler } from 'express';
import { PosternError } from '../errors.ts';

/** Refuses with `overloaded` while `most` requests are at work in the handler. */
export function atMostAtOnce(most: number, handler: RequestHandler): RequestHandler {
  let working = 0;
  return async (request, response, next) => {
    if (working >= most) throw new PosternError('overloaded', { retryAfterSeconds: 1 });
    working += 1;
    try {
      await handler(request, response, next);
    } finally {
      working -= 1;
    }
  };
}
