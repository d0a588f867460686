export function findEnvoy(): string | undefined;
export function findValkey(): string | undefined;
export function findPromtool(): string | undefined;
export function fetchPromtool(): void;
export function findTraefik(): string | undefined;
export function fetchOptionalPrograms(): void;
