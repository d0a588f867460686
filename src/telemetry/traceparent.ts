// What a request says of the trace that it belongs to (W3C Trace Context, section 3.2).

export interface TraceParent {
  traceId: string;
  parentId: string;
  flags: number;
}

// Versions 00 to fe, ids not all zero; what later versions add at the end is not ours to understand.
const traceparent = /^(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})$/;

/** Undefined for a value that is none: it says nothing, and goes nowhere. */
export function readTraceparent(value: string | string[] | undefined): TraceParent | undefined {
  const [, traceId, parentId, flags] = (typeof value === 'string' && traceparent.exec(value)) || [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  return { traceId, parentId, flags: Number.parseInt(flags, 16) };
}
