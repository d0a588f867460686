// docs/configuration.md, written from the JSON Schema, so that the page cannot say what the program does not do.
import type * as z from 'zod';
import { configJsonSchema } from './json-schema.ts';
import { durationPattern, sizePattern } from './units.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

const opening = `# Configuration

One YAML file configures Postern, \`postern.yaml\` unless \`--config\` names another. This page lists every key; \`config/postern.yaml\` is a file with all of them and a comment for each. The
smallest one that works is on [the front page](../README.md#use-it-with-your-app).

Editors that know YAML check and complete the file when it begins with this line, where \`postern.schema.json\` is what \`postern schema\` prints:

\`\`\`yaml
# yaml-language-server: $schema=./postern.schema.json
\`\`\`

- **It is strict.** Postern does not start on a file with an unknown key or a wrong value. It names every problem at once, with line, column, what was given and what is allowed;
  \`postern check\` does the same without starting. Exit code 78.
- **Durations** are written \`500ms\`, \`30s\`, \`10m\`, \`12h\`, \`7d\`; **sizes** \`64kb\`, \`10mb\`. A bare number is refused: nobody knows its unit.
- **Secrets** are \`{ file: /run/secrets/name }\` (one newline at the end is taken off) or \`{ env: NAME }\`. The secret itself as text is accepted, with a warning. None has a default, and an empty one is an error.
- **Variables** such as \`\${NAME}\` are not replaced in the file: \`{ env: NAME }\` is for secrets alone.
- **Paths** of files and directories are relative to the configuration file.
- **YAML 1.2**, one document. Anchors and aliases work within limits, tags do not. Text that begins with \`*\`, \`&\`, \`!\` or \`@\` needs quotes.
- \`postern print\` shows the configuration in force, defaults included; with \`--explain\` each value says where it comes from (\`line 7\`, \`default\`, \`env NAME\`, \`file /path\`).
  What it prints is a configuration that loads again, save for secrets that stand in the file itself: they are printed as \`[redacted]\`.
`;

const closing = `## Rules across keys

- \`publicUrl\` and \`provider.issuer\` are https, or http on loopback (\`localhost\`, \`*.localhost\`, \`127.0.0.0/8\`, \`[::1]\`). Elsewhere plain http needs \`insecure.httpPublicUrl\` or \`insecure.httpIssuer\`.
- \`provider.scopes\` holds \`openid\`. \`provider.clientSecret\` is there, unless \`insecure.publicClient\` is set; both together are a contradiction.
- \`provider.authorizationParameters\` holds none of the parameters that Postern sets: \`response_type\`, \`response_mode\`, \`client_id\`, \`redirect_uri\`, \`scope\`, \`state\`, \`nonce\`, \`code_challenge\`, \`code_challenge_method\`, \`request\`, \`request_uri\`, \`max_age\` (that is \`login.maxAge\`).
- \`session.keys\` are base64 of at least 32 bytes that are not all the same, and all different. \`insecure.weakKey\` allows short ones. Make one with \`openssl rand -base64 32\`.
- \`session.idleTimeout\` is not longer than \`session.absoluteTimeout\`.
- Each route path stands once. None is \`basePath\`, lies under it or has it underneath; the route \`/\` is possible only without \`spa\`. A route with \`auth: none\` has no \`token\`. No upstream is \`publicUrl\`.
- \`require\` needs \`auth: required\`, and \`headers.claims\` another \`auth\` than \`none\`. \`rewrite\` and \`stripPath: true\` exclude each other. \`tls\` of a route needs an upstream on https; its \`cert\` and \`key\` come together, and its files must fit each other.
- \`headers\` of a route name no field that belongs to one connection, frames the body, or is Postern’s own to say (\`Authorization\`, \`Cookie\`, \`Host\`, \`X-Forwarded-For\` …, in answers \`Set-Cookie\`, \`Content-Security-Policy\`, CORS …), and none twice.
- The allow-lists \`cookies.request\` and \`cookies.response\` name no cookie of Postern’s own. \`cookie.name\` has no \`__Host-\` or \`__Secure-\` in front: Postern adds the prefix.
- \`login.errorUrl\` and \`logout.returnTo\` are pages of the app: not under \`basePath\`, and under no route but \`/\`.
- \`spa.directory\` holds an \`index.html\`, which holds \`spa.noncePlaceholder\` if that is set; \`spa.contentSecurityPolicy\` names it as a nonce then. \`listen\` and \`operations.listen\` differ in port. \`operations.admin.token\` has at least 32 characters.
- \`redis\` holds exactly one of \`url\`, \`sentinel\` and \`cluster\`. \`redis.url\` begins with \`redis://\` or \`rediss://\`, and with \`redis.tls\` only with \`rediss://\`. User name, password and database stand once: in the URL or beside it. \`redis.tls.cert\` and \`redis.tls.key\` come together.
- The environment has no \`NODE_TLS_REJECT_UNAUTHORIZED=0\` and neither \`--insecure-http-parser\` nor \`--inspect\` in \`NODE_OPTIONS\`.

## Warnings

They are printed at start and by \`postern check\`, and stop nothing: secrets written into the file; every \`insecure\` key that is on; a token sent over plain http, or Redis reached without TLS, on a host that is neither loopback nor a cluster’s own
(a single label, \`*.svc\`, \`*.local\`); a route that asks for more than another one that reaches the same paths of the same upstream; \`trustedProxies\` that trust everybody; no \`redis\`.
`;

/** The page, in Markdown. */
export function formatReference(): string {
  const root = configJsonSchema();
  const sections = propertiesOf(root).filter(({ schema }) => isSection(schema));
  return [opening, '## Top level\n', table(rowsOf(root, topLevelRow)), ...sections.map(sectionPage), closing].join(
    '\n',
  );
}

interface Property {
  name: string;
  schema: JsonSchema;
  required: boolean;
}

function sectionPage({ name, schema }: Property): string {
  return [`## ${name}\n`, `${schema.description ?? ''}\n`, table(rowsOf(schema, innerRows))].join('\n');
}

function rowsOf(schema: JsonSchema, toRows: (property: Property) => string[][]): string[][] {
  return propertiesOf(schema).flatMap(toRows);
}

function topLevelRow(property: Property): string[][] {
  const { name, schema, required } = property;
  if (!isSection(schema)) return innerRows(property);
  const kind = schema.type === 'array' ? 'list of sections' : 'section';
  return [[`[\`${name}\`](#${name.toLowerCase()})`, kind, required ? '**required**' : '', schema.description ?? '']];
}

// Within a section, a section is no table of its own but rows with dotted names.
function innerRows({ name, schema, required }: Property): string[][] {
  if (isSection(schema)) {
    return rowsOf(schema, (inner) =>
      innerRows({ ...inner, name: `${name}.${inner.name}`, required: inner.required && required }),
    );
  }
  return [[`\`${name}\``, kindOf(schema), required ? '**required**' : defaultOf(schema), schema.description ?? '']];
}

function table(rows: string[][]): string {
  const cells = (row: string[]) => row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;'));
  const lines = rows.map((row) => `| ${cells(row).join(' | ')} |`);
  return ['| key | value | default | what it is |', '|---|---|---|---|', ...lines, ''].join('\n');
}

// A list is described by its entries, a choice between sections by all of them.
function propertiesOf(schema: JsonSchema): Property[] {
  if (typeof schema.items === 'object' && !Array.isArray(schema.items)) return propertiesOf(schema.items);
  if (schema.anyOf !== undefined) {
    return schema.anyOf.flatMap((one) => propertiesOf(one).map((property) => ({ ...property, required: false })));
  }
  return Object.entries(schema.properties ?? {}).map(([name, child]) => ({
    name,
    schema: child as JsonSchema,
    required: schema.required?.includes(name) === true,
  }));
}

function isSection(schema: JsonSchema): boolean {
  return !isSecret(schema) && propertiesOf(schema).length > 0;
}

function isSecret(schema: JsonSchema): boolean {
  const items = schema.items as JsonSchema | undefined;
  return schema.writeOnly === true || items?.writeOnly === true;
}

function kindOf(schema: JsonSchema): string {
  if (schema.writeOnly === true) return 'secret';
  if (schema.type === 'array') return `list of: ${kindOf(schema.items as JsonSchema)}`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(' or ');
  if (schema.enum !== undefined) return schema.enum.map(code).join(' ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.pattern === durationPattern.source) return 'duration';
  if (schema.pattern === sizePattern.source) return 'size';
  if (schema.type === 'boolean') return '`true` `false`';
  if (schema.type === 'integer') return 'whole number';
  if (schema.type !== 'object') return 'text';
  return isList(schema.additionalProperties) ? 'names and lists' : 'names and texts';
}

function isList(schema: JsonSchema['additionalProperties']): boolean {
  return typeof schema === 'object' && schema.type === 'array';
}

function defaultOf({ default: value }: JsonSchema): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(code).join(' ');
  return isEmptyObject(value) ? 'none' : code(value);
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function code(value: unknown): string {
  return `\`${String(value)}\``;
}
