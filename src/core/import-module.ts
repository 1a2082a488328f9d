/** Loads modules of the user's: the stages that a topology names by their files. */

/** The module at an absolute URL. Each thread has its own copy. */
export function importModule(url: string): Promise<unknown> {
  return import(url)
}
