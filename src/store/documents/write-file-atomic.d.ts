// Owns the types of the package write-file-atomic, which brings none: the one call that document.ts makes.
declare module 'write-file-atomic' {
  function writeFileAtomic(
    path: string,
    data: string,
    options: { mode: number; fsync: boolean },
  ): Promise<void>;
  export = writeFileAtomic;
}
