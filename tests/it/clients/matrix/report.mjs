// What the drivers of the matrix in JavaScript do alike: report.py says it.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

// Packages are those of the folder where the driver is run.
export const require = createRequire(`${process.cwd()}/`);

const isStream = (made) => made != null && typeof made[Symbol.asyncIterator] === "function";

async function outcome(action, asked, failure) {
  const report = { class: null, code: null, message: null, status: null, events: 0, value: null };
  try {
    const made = await action(asked);
    if (isStream(made)) {
      for await (const event of made) {
        report.events += 1;
        report.value = event;
      }
    } else {
      report.value = made;
    }
  } catch (error) {
    Object.assign(report, { class: error.constructor.name, message: error.message, value: null }, failure(error));
  }
  return report;
}

// `actions`: by operation; `failure`: what can be read off an error besides its class and text.
export async function run(version, actions, failure) {
  const all = JSON.parse(await text(process.stdin));
  console.log(JSON.stringify({ client: version }));
  for (const { operation, case: name, directive } of all.cases) {
    const credential = name === "wrong_key" ? all.wrong : all.right;
    const asked = { url: all.url, model: all.model, directive, ...credential };
    console.log(JSON.stringify({ operation, case: name, ...(await outcome(actions[operation], asked, failure)) }));
  }
}
