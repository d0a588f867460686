export const greeting: string = 'first words';
