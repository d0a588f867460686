// What we use of negotiator, which brings no types.
declare module 'negotiator' {
  export class Negotiator {
    constructor(request: { headers: Record<string, string | string[] | undefined> });
    /** The encodings of `available` that the request accepts, best first; among equals in the order of `preferred` (RFC 9110 section 12.5.3). */
    encodings<Coding extends string>(available: readonly Coding[], options: { preferred: readonly Coding[] }): Coding[];
  }
}
