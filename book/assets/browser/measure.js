/* Times networks in turn on this device, and says in a record what was measured. No markup.

   Sets `window.ensreproMeasure`, which `page.js` calls. The statistics are those of
   `ensrepro.timing`, the names those of `ensrepro.records`, and the file is one that
   `ensrepro.exchange` reads. A *round* runs every network once. */
"use strict";

window.ensreproMeasure = (() => {
  /** At least so many rounds, and seconds of all networks together.
      @typedef {{side: number, minRuns: number, minSeconds: number, warmUp: number}} Plan */
  /** @typedef {{p50_ms: number, p90_ms: ?number, p99_ms: ?number, n: number, seconds: number,
                 drift: number}} Timing - no percentile that n runs do not show */
  /** @typedef {{median: number, low: number, high: number, n: number}} Spread - of n rounds; low
                 and high are those of one round of ten and of nine */

  const { RUNTIME_NAME, THREADS } = window.ensreproEngine;
  const SCHEMA = "ensrepro-latency-1";
  // runs that a percentile needs, as in `ensrepro.devices.measuring`: one of them takes longer
  const [FEWEST_FOR_P90, FEWEST_FOR_P99] = [10, 100];

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
    const shown = (share, fewest) => sorted.length < fewest ? null : percentile(sorted, share);
    const p50_ms = percentile(sorted, 0.5);
    const [p90_ms, p99_ms] = [shown(0.9, FEWEST_FOR_P90), shown(0.99, FEWEST_FOR_P99)];
    const drift = median(times.slice(-tenth)) / median(times.slice(0, tenth));
    const seconds = times.reduce((total, ms) => total + ms / 1000, 0);
    return { p50_ms, p90_ms, p99_ms, n: times.length, seconds, drift };
  }

  /** How many times longer a run of `slow` takes than that of `fast` in the same round.
      @param {number[]} slow @param {number[]} fast @returns {Spread} */
  function ratio(slow, fast) {
    const sorted = ascending(slow.map((ms, i) => ms / fast[i]));
    const [low, high] = [0.1, 0.9].map((share) => percentile(sorted, share));
    return { median: median(sorted), low, high, n: sorted.length };
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
    const share = (rounds) => {
      const seconds = times.flat().reduce((total, ms) => total + ms / 1000, 0);
      return Math.min(1, Math.max(0, rounds) / plan.minRuns, seconds / plan.minSeconds);
    };
    for (let round = -plan.warmUp; share(round) < 1; round++) {
      for (let turn = 0; turn < networks.length; turn++) {
        signal.throwIfAborted();
        const i = (turn + Math.max(0, round)) % networks.length;
        const { ms } = await runtime.run(networks[i], picture);
        if (round >= 0) times[i].push(ms);
      }
      report(share(round + 1));
    }
    return times;
  }

  // ---- the record -----------------------------------------------------------------------------

  /** What a record says of a network; its fields are those of `ensrepro.records`. */
  const subject = ({ pair, task, architecture, width, weights, digest }) => {
    const own = weights === "random" ? "random weights" : digest;
    return { pair, task, part: "network", architecture, width, weights: own };
  };

  /** How many times as long each network but the first takes as the first, round by round. */
  function comparisons(networks, times, plan) {
    const { architecture: reference } = networks[0];
    const { p50_ms: reference_ms } = summarize(times[0]);
    return networks.slice(1).map((network, i) => {
      const { pair, task, part, architecture } = subject(network);
      const own = { side: plan.side, threads: THREADS, pair, task, part, architecture, reference };
      return { ...own, ...ratio(times[i + 1], times[0]), reference_ms };
    });
  }

  /** A name for a device that has none: no two visitors share it. */
  function anonymous() {
    const [number] = crypto.getRandomValues(new Uint32Array(1));
    return `unnamed device ${number.toString(16).padStart(8, "0")}`;
  }

  /** What was measured, ready to be written as JSON, and for `import-record` to read. A browser
      tells neither the processor's model nor how busy it is; what it says of itself goes with the
      version, and keeps two browsers apart. @param {number[][]} times @param {Plan} plan
      @param {string} device - empty if the visitor gave no name */
  function record(runtime, networks, times, plan, device) {
    const conditions = {
      device: device || anonymous(),
      cpu: "unknown",
      runtime: RUNTIME_NAME,
      version: `${runtime.version} in ${navigator.userAgent}`,
      threads: THREADS,
      resolution: `${plan.side}x${plan.side}`,
      dtype: "float32",
    };
    const created = new Date().toISOString();
    const rest = { load: null, peak_memory_mib: null, source: "measured here", created };
    return {
      schema: SCHEMA,
      records: networks.map((network, i) => {
        return { ...conditions, ...subject(network), ...summarize(times[i]), ...rest };
      }),
      comparisons: comparisons(networks, times, plan),
    };
  }

  return { measure, summarize, ratio, record };
})();
