// Waiting: back-off with jitter, pauses that end early.

const FIRST = 250;
const LONGEST = 5000;

export function backoff(tries) {
  const full = Math.min(LONGEST, FIRST * 2 ** tries);
  return full / 2 + (Math.random() * full) / 2;
}

/** Resolves after ms, or when the browser is online again; rejects if the signal is aborted. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const end = (finish, value) => {
      clearTimeout(timer);
      removeEventListener("online", wake);
      signal?.removeEventListener("abort", stop);
      finish(value);
    };
    const wake = () => end(resolve);
    const stop = () => end(reject, signal.reason);
    const timer = setTimeout(wake, ms);
    addEventListener("online", wake);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
  });
}
