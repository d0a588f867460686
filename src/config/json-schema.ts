// The configuration's JSON Schema, for editors: draft-07, because that is what yaml-language-server understands.
import * as z from 'zod';
import { createConfigSchema } from './schema.ts';
import { Secret } from './secret.ts';

/** The schema of what may be written in the file (not of what it becomes). */
export function configJsonSchema(): z.core.JSONSchema.JSONSchema {
  const schema = createConfigSchema(() => new Secret(''));
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
  return { ...($schema !== undefined && { $schema }), title: 'The configuration of Postern', ...rest };
}

/** As the file `config/postern.schema.json` has it. */
export function formatJsonSchema(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
}
