// The Cookie field of a request (RFC 6265bis section 5.8.3), read as browsers write it. Spaces and tabs around a name are no part of it, and nothing else is
// trimmed: browsers guard the prefix of `__Host-x` and see none in a name that begins with another byte, such as a no-break space.

/** The raw values of every cookie of a name, in order. Takes time in proportion to the header's length. */
export function valuesOf(cookieHeader: string | undefined, name: string): string[] {
  const values: string[] = [];
  if (cookieHeader === undefined) return values;
  let equals = cookieHeader.indexOf('=');
  for (let start = 0; start < cookieHeader.length;) {
    const semicolon = cookieHeader.indexOf(';', start);
    const end = semicolon === -1 ? cookieHeader.length : semicolon;
    if (equals !== -1 && equals < start) equals = cookieHeader.indexOf('=', start);
    const hasValue = equals !== -1 && equals < end;
    // A lone word is a name and its own value.
    const nameEnd = hasValue ? equals : end;
    const valueStart = hasValue ? equals + 1 : start;
    let nameStart = start;
    while (nameStart < nameEnd && isBlank(cookieHeader[nameStart])) nameStart += 1;
    // Every call asks, about cookies that are mostly others': those are not even cut out.
    if (
      cookieHeader.startsWith(name, nameStart) &&
      withoutBlanks(cookieHeader.slice(nameStart + name.length, nameEnd)) === ''
    ) {
      values.push(withoutBlanks(cookieHeader.slice(valueStart, end)));
    }
    start = end + 1;
  }
  return values;
}

/** The names of all cookies, in order. */
export function namesIn(cookieHeader: string | undefined): string[] {
  return (cookieHeader ?? '').split(';').map((pair) => withoutBlanks(pair.split('=', 1)[0] ?? ''));
}

/** The field with those of its cookies whose names pass; empty when none does. A lone word never passes. */
export function cookiesThatPass(cookieHeader: string, passes: (name: string) => boolean): string {
  return cookieHeader
    .split(';')
    .map(withoutBlanks)
    .filter((pair) => pair.includes('=') && passes(withoutBlanks(pair.slice(0, pair.indexOf('=')))))
    .join('; ');
}

/** Without the spaces and tabs at either end, which are all that a browser takes for blanks around a cookie's name. */
export function withoutBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start])) start += 1;
  while (end > start && isBlank(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}
