// What an upstream says in WWW-Authenticate (RFC 9110 section 11.6.1): a list of challenges, in which commas part both challenges and their parameters.
// Read leniently: what cannot be understood is skipped, and says nothing.

/** One challenge. */
export interface Challenge {
  /** In lower case, such as `bearer`. */
  scheme: string;
  /** Names in lower case; of a name given twice the first value counts. */
  parameters: ReadonlyMap<string, string>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameter = new RegExp(`^(${token})[ \\t]*=[ \\t]*(?:(${token})|"((?:[^"\\\\]|\\\\.)*)")$`, 's');
const scheme = new RegExp(`^(${token})(?:[ \\t]+(.*))?$`, 's');

/** Parses the field's value, all its lines joined by commas. Pure; takes time in proportion to the length. */
export function challengesOf(field: string | undefined): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  for (const element of elementsOf(field ?? '')) {
    const trimmed = element.trim();
    if (read(trimmed, challenges.at(-1)?.parameters)) continue;
    const [, name, rest = ''] = scheme.exec(trimmed) ?? [];
    if (name === undefined) continue;
    const parameters = new Map<string, string>();
    challenges.push({ scheme: name.toLowerCase(), parameters });
    // What is no parameter here is a token68, as in `Basic` of old or `Negotiate`.
    read(rest.trim(), parameters);
  }
  return challenges;
}

/** The parameters of the Bearer challenge with this `error` (RFC 6750 section 3), or undefined. */
export function bearerError(challenges: readonly Challenge[], error: string): Challenge['parameters'] | undefined {
  return challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.get('error') === error)
    ?.parameters;
}

// A comma inside a quoted string parts nothing; a quote that never closes reaches to the end.
function elementsOf(field: string): string[] {
  const elements: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < field.length; at += 1) {
    const character = field[at];
    if (character === '"') {
      isQuoted = !isQuoted;
    } else if (isQuoted) {
      if (character === '\\') at += 1;
    } else if (character === ',') {
      elements.push(field.slice(start, at));
      start = at + 1;
    }
  }
  elements.push(field.slice(start));
  return elements;
}

function read(text: string, into: Map<string, string> | undefined): boolean {
  const [matched, name, plain, quoted = ''] = parameter.exec(text) ?? [];
  if (matched === undefined || name === undefined) return false;
  const key = name.toLowerCase();
  if (into?.has(key) === false) into.set(key, plain ?? quoted.replace(/\\(.)/gs, '$1'));
  return true;
}
