// Where the files beside the scripts are.

declare global {
  /** By the files' names: set where a bundler gives each file a name of its own (`public/package-files.ts`), and handed on to the worker. */
  var potluckFiles: Readonly<Record<string, string>> | undefined;
}

/** URL of a file that is built beside this script. */
export function fileUrl(name: string): string {
  return globalThis.potluckFiles?.[name] ?? new URL(name, import.meta.url).href;
}
