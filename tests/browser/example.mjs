// The examples, as processes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { env } from "node:process";

// Whatever ends the tests ends what they started: without a handler, a signal skips "exit".
const running = new Set();
process.on("exit", () => running.forEach(child => child.kill("SIGKILL")));
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** A running example: where it listens, within TLS if the tests are, and how it is ended. */
export class Example {
  static async start(name, ...options) {
    const { TLS_CERT, TLS_KEY } = env;
    if (TLS_CERT) options.push("--tls-cert", TLS_CERT, "--tls-key", TLS_KEY);
    const example = new Example();
    example.process = spawn(`${env.EXAMPLES}/${name}`, options, {
      stdio: ["ignore", "pipe", "inherit"],
    });
    running.add(example.process);
    example.ended = once(example.process, "exit");
    example.ended.then(() => running.delete(example.process));
    const lines = createInterface({ input: example.process.stdout });
    const [line] = await Promise.race([once(lines, "line"), example.ended]);
    const listening = /^listening on ws(s?):\/\/(\S+)/.exec(line);
    if (!listening) throw new Error(`${name} said '${line}'`);
    [, example.s, example.host] = listening;
    return example;
  }

  /** The origin of its page. */
  get origin() {
    return `http${this.s}://${this.host}`;
  }

  /** The address of its page. */
  get page() {
    return `${this.origin}/`;
  }

  get webSocket() {
    return `ws${this.s}://${this.host}/`;
  }

  /** Has it end in good order, and checks that it does. */
  async stop() {
    this.process.kill("SIGINT");
    const [status] = await this.ended;
    if (status !== 0) throw new Error(`the example ended with status ${status}`);
  }

  /** Ends it, if it has not ended, with no chance to say good-bye. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}
