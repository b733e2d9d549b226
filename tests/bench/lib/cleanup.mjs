// What was started or made is ended and taken away, whatever ends this process.

const pending = new Set();

process.once('exit', () => {
  // The newest first: browsers before the network that they live in.
  for (const action of [...pending].reverse()) {
    try {
      action();
    } catch (error) {
      // What comes after has to be taken away all the same.
      console.error(`not cleaned up: ${error.message}`);
    }
  }
});
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) process.on(signal, () => process.exit(code));

/** Does `action`, which must not wait for anything, when this process ends; returns what takes that back. */
export function atExit(action) {
  pending.add(action);
  return () => pending.delete(action);
}

/** Runs a command's `main`, with an error as one line. */
export async function runMain(main) {
  try {
    await main(JSON.parse(process.argv[2] ?? '{}'));
    process.exit(0);
  } catch (error) {
    console.error(`\nfailed: ${process.env.DEBUG ? error.stack : error.message}`);
    process.exit(1);
  }
}
