export function chartFiles(): Record<string, string>;
export function allValues(): DocumentedValue[];
export function documentedValues(text: string): DocumentedValue[];

interface DocumentedValue {
  path: string[];
  text: string;
  schema: Record<string, unknown>;
  value: unknown;
  isLeaf: boolean;
}
