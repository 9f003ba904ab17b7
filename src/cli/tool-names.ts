/** Commands that are tools of formats, and what each is called among a format's tools. */
export const TOOLS = { newfs: 'make', fsck: 'check', dumpfs: 'dump', tunefs: 'tune' } as const;
export type ToolName = keyof typeof TOOLS;
