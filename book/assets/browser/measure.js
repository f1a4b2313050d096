/* Times networks in turn on this device, and says in a record what was measured. No markup.

   Sets `window.ensreproMeasure`, which `page.js` calls. The statistics are those of
   `ensrepro.timing`, and so are the names in a record. A *round* runs every network once. */
"use strict";

window.ensreproMeasure = (() => {
  /** @typedef {{side: number, minRuns: number, minSeconds: number, warmUp: number}} Plan */
  /** @typedef {{p50_ms: number, p90_ms: number, p99_ms: number, n: number, seconds: number,
                 drift: number}} Timing */
  /** @typedef {{median: number, low: number, high: number}} Spread - of rounds, 10 % to 90 % */

  const { RUNTIME_NAME, THREADS } = window.ensreproEngine;
  const SCHEMA = "ensrepro-latency-1";

  /** The smallest value that at least this share of all values does not exceed. */
  const percentile = (/** @type {number[]} */ sorted, /** @type {number} */ share) =>
    sorted[Math.max(0, Math.ceil(share * sorted.length - 1e-9) - 1)];
  const ascending = (/** @type {number[]} */ values) => [...values].sort((a, b) => a - b);

  function median(/** @type {number[]} */ values) {
    const sorted = ascending(values);
    const middle = (sorted.length - 1) / 2;
    return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  }

  /** @param {number[]} times - in milliseconds, in order @returns {Timing} */
  function summarize(times) {
    const sorted = ascending(times);
    const tenth = Math.ceil(times.length / 10);
    const [p50_ms, p90_ms, p99_ms] = [0.5, 0.9, 0.99].map((share) => percentile(sorted, share));
    const drift = median(times.slice(-tenth)) / median(times.slice(0, tenth));
    const seconds = times.reduce((total, ms) => total + ms / 1000, 0);
    return { p50_ms, p90_ms, p99_ms, n: times.length, seconds, drift };
  }

  /** How many times longer a run of `slow` takes than that of `fast` in the same round.
      @param {number[]} slow @param {number[]} fast @returns {Spread} */
  function ratio(slow, fast) {
    const sorted = ascending(slow.map((ms, i) => ms / fast[i]));
    return { median: median(sorted), low: percentile(sorted, 0.1), high: percentile(sorted, 0.9) };
  }

  /** A picture of noise that is always the same. @returns {Picture} */
  function noise(/** @type {number} */ side) {
    let state = 1;
    const planes = Float32Array.from({ length: 3 * side * side }, () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    });
    return { height: side, width: side, planes };
  }

  /** Milliseconds of each network in rounds, each of which runs all of them once; the first of a
      round changes, so that none always follows the same one. @param {Runtime} runtime
      @param {Network[]} networks @param {Plan} plan @param {(share: number) => void} report
      @param {AbortSignal} signal @returns {Promise<number[][]>} */
  async function measure(runtime, networks, plan, report, signal) {
    const picture = noise(plan.side);
    const times = networks.map(() => []);
    const share = (own) => {
      const seconds = own.reduce((total, ms) => total + ms / 1000, 0);
      return Math.min(1, own.length / plan.minRuns, seconds / plan.minSeconds);
    };
    for (let round = -plan.warmUp; Math.min(...times.map(share)) < 1; round++) {
      for (let turn = 0; turn < networks.length; turn++) {
        signal.throwIfAborted();
        const i = (turn + Math.max(0, round)) % networks.length;
        const { ms } = await runtime.run(networks[i], picture);
        if (round >= 0) times[i].push(ms);
      }
      report(Math.min(...times.map(share)));
    }
    return times;
  }

  // ---- the record -----------------------------------------------------------------------------

  /** What a record says of a network; its fields are those of `ensrepro.records`. */
  const subject = ({ pair, task, architecture, width, weights, digest }) => {
    const own = weights === "random" ? "random weights" : digest;
    return { pair, task, part: "network", architecture, width, weights: own };
  };

  /** What was measured, ready to be written as JSON, and for `import-record` to read. A browser
      tells neither the processor's model nor how busy it is; that the browser is named in its place
      keeps those of two browsers apart. @param {number[][]} times @param {Plan} plan
      @param {string} device */
  function record(runtime, networks, times, plan, device) {
    const conditions = {
      device,
      cpu: `${navigator.hardwareConcurrency} logical processors, ${navigator.userAgent}`,
      runtime: RUNTIME_NAME,
      version: runtime.version,
      threads: THREADS,
      resolution: `${plan.side}x${plan.side}`,
      dtype: "float32",
    };
    const created = new Date().toISOString();
    const rest = { load: null, peak_memory_mib: null, source: "measured here", created };
    return {
      schema: SCHEMA,
      user_agent: navigator.userAgent,
      times_as_fast: times.map((own) => ratio(times[0], own)), // as the first, round by round
      plan: { min_runs: plan.minRuns, min_seconds: plan.minSeconds, warm_up: plan.warmUp },
      records: networks.map((network, i) => {
        return { ...conditions, ...subject(network), ...summarize(times[i]), ...rest };
      }),
    };
  }

  return { measure, summarize, ratio, record };
})();
