/* Runs exported networks on this device: onnxruntime-web in a worker, whole or in tiles. No markup.

   Sets `window.ensreproEngine`, which `page.js` calls. `book/_ext/browser_models.py` writes the
   networks; the tiles are those of `ensrepro.evaluate.restore`. Nothing is requested but scripts of
   this site, so that it also works in a page that is opened from a file, and no pixel leaves the
   device.

   A *picture* is {height, width, planes}: float32 (3, height, width), red first, in [0, 1]. */
"use strict";

window.ensreproEngine = (() => {
  /** @typedef {{height: number, width: number, planes: Float32Array}} Picture */
  /** @typedef {{kind: string, name: string, file: string, weights: string, bytes: number,
                 pair: string, architecture: string, width: number, digest: string,
                 multiple: number}} Network - an entry of the index, by its ONNX file's metadata */
  /** @typedef {(done: number, of: number) => void} Report */

  const HERE = new URL(".", document.currentScript.src).href;
  const RUNTIME = `${HERE}../vendor/onnxruntime-web/runtime.js`;
  const RUNTIME_NAME = "onnxruntime-web";
  const THREADS = 1; // more would need headers that a file and many servers cannot send
  const OVERLAP = 32; // pixels that neighboring tiles share; blended linearly

  // ---- files ----------------------------------------------------------------------------------

  /** @param {string} src @returns {Promise<void>} */
  function loadScript(src) {
    return new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), { src });
      script.onload = () => resolve(script.remove());
      script.onerror = () => reject(new Error(`${src.split("/").at(-1)} could not be loaded.`));
      document.head.append(script);
    });
  }

  /** What zlib packed and base64 wrote. @param {string} base64 @returns {Promise<ArrayBuffer>} */
  function unpack(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  /** @type {Map<string, Promise<ArrayBuffer>>} */ const underway = new Map();

  /** A network or a sample that was written at the build. @returns {Promise<ArrayBuffer>} */
  function file(/** @type {string} */ name) {
    const take = () => {
      const { [name]: packed } = window.ensreproFiles;
      delete window.ensreproFiles[name]; // megabytes
      return unpack(packed);
    };
    if (!underway.has(name)) {
      const loading = loadScript(`${HERE}${name}.js`).then(take);
      underway.set(name, loading.finally(() => underway.delete(name)));
    }
    return underway.get(name);
  }

  /** The two pictures of a sample. @returns {Promise<{degraded: Picture, clean: Picture}>} */
  async function sample({ file: name, height, width }) {
    const bytes = new Uint8Array(await file(name));
    const half = bytes.length / 2;
    const picture = (part) => fromBytes(part, 3, height, width);
    return { degraded: picture(bytes.subarray(0, half)), clean: picture(bytes.subarray(half)) };
  }

  // ---- pictures -------------------------------------------------------------------------------

  /** 8-bit pixels of `step` bytes each, red first. @param {ArrayLike<number>} bytes
      @returns {Picture} */
  function fromBytes(bytes, step, height, width) {
    const size = height * width;
    const planes = new Float32Array(3 * size);
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < size; i++) planes[c * size + i] = bytes[i * step + c] / 255;
    }
    return { height, width, planes };
  }

  /** @param {Picture} picture @returns {ImageData} */
  function toImageData({ height, width, planes }) {
    const size = height * width;
    const pixels = new Uint8ClampedArray(4 * size).fill(255); // rounds by itself
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < size; i++) pixels[4 * i + c] = 255 * planes[c * size + i];
    }
    return new ImageData(pixels, width, height);
  }

  /** PSNR over red, green and blue in dB. @param {Picture} picture @param {Picture} target */
  function psnr({ planes }, target) {
    const sum = planes.reduce((total, value, i) => total + (value - target.planes[i]) ** 2, 0);
    return -10 * Math.log10(sum / planes.length);
  }

  /** Where a row or column past the end is mirrored from. */
  function mirrored(/** @type {number} */ i, /** @type {number} */ length) {
    const period = 2 * (length - 1) || 1;
    return Math.min(i % period, period - (i % period)) % length;
  }

  /** A part of a picture, whose sides are mirrored beyond its end up to a multiple.
      @param {Picture} picture @returns {Picture} */
  function cut(picture, top, left, height, width, multiple = 1) {
    const [h, w] = [height, width].map((side) => Math.ceil(side / multiple) * multiple);
    const planes = new Float32Array(3 * h * w);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const from = (top + mirrored(y, height)) * picture.width + left + mirrored(x, width);
        for (let c = 0; c < 3; c++) {
          const plane = c * picture.height * picture.width;
          planes[(c * h + y) * w + x] = picture.planes[plane + from];
        }
      }
    }
    return { height: h, width: w, planes };
  }

  // ---- the worker -----------------------------------------------------------------------------

  /** The worker's program: its text runs there, behind that of onnxruntime-web. */
  function work() {
    const sessions = new Map();
    const jobs = {
      async start({ loader, binary, threads }) {
        const mjs = URL.createObjectURL(new Blob([loader], { type: "text/javascript" }));
        ort.env.logLevel = "error";
        const settings = { wasmBinary: binary, wasmPaths: { mjs }, numThreads: threads };
        Object.assign(ort.env.wasm, settings);
      },
      async load({ name, content }) {
        const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
        sessions.set(name, await ort.InferenceSession.create(new Uint8Array(content), options));
      },
      async run({ name, picture: { planes, height, width } }) {
        const image = new ort.Tensor("float32", planes, [1, 3, height, width]);
        const begin = performance.now();
        const { restored } = await sessions.get(name).run({ image });
        return { ms: performance.now() - begin, picture: { height, width, planes: restored.data } };
      },
    };
    onmessage = async ({ data: { id, job, given } }) => {
      try {
        postMessage({ id, value: await jobs[job](given) });
      } catch (error) {
        postMessage({ id, error: String(error?.message ?? error) });
      }
    };
  }

  /** onnxruntime-web in a worker, with the networks that were asked for. */
  class Runtime {
    #waiting = new Map();
    #loaded = new Map();
    #count = 0;

    constructor(/** @type {string} */ api, /** @type {string} */ version) {
      const program = new Blob([api, `;(${work})();`], { type: "text/javascript" });
      this.version = version;
      this.worker = new Worker(URL.createObjectURL(program));
      this.worker.onmessage = ({ data: { id, value, error } }) => {
        const { resolve, reject } = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (error === undefined) resolve(value);
        else reject(new Error(error));
      };
      this.worker.onerror = ({ message }) => {
        for (const { reject } of this.#waiting.values()) reject(new Error(message));
        this.#waiting.clear();
      };
    }

    ask(/** @type {string} */ job, given) {
      const id = this.#count++;
      return new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        this.worker.postMessage({ id, job, given });
      });
    }

    /** Make a network ready, once. @param {Network} network @returns {Promise<void>} */
    load({ file: name }) {
      if (!this.#loaded.has(name)) {
        const loading = file(name).then((content) => this.ask("load", { name, content }));
        this.#loaded.set(name, loading);
        loading.catch(() => this.#loaded.delete(name)); // it may be tried again
      }
      return this.#loaded.get(name);
    }

    /** One pass, and its milliseconds. @param {Network} network @param {Picture} picture
        @returns {Promise<{ms: number, picture: Picture}>} */
    run({ file: name }, picture) {
      return this.ask("run", { name, picture });
    }
  }

  /** @type {Promise<Runtime> | undefined} */ let starting;

  async function begin() {
    await loadScript(RUNTIME);
    const { version, ...packed } = window.ensreproRuntime;
    delete window.ensreproRuntime; // megabytes
    const [api, loader, binary] = await Promise.all(
      ["api", "loader", "binary"].map((key) => unpack(packed[key])),
    );
    const runtime = new Runtime(new TextDecoder().decode(api), version);
    await runtime.ask("start", { loader, binary, threads: THREADS });
    return runtime;
  }

  /** The one runtime of the page; its 5 MB are loaded when it is first asked for. */
  function start() {
    starting ??= begin().catch((error) => {
      starting = undefined;
      throw error;
    });
    return starting;
  }

  // ---- restoring ------------------------------------------------------------------------------

  /** First pixels of tiles that cover a length, the last one flush with the end. */
  function starts(/** @type {number} */ length, /** @type {number} */ side) {
    if (length <= side) return [0];
    const step = side - OVERLAP;
    const count = Math.ceil((length - side) / step);
    return [...Array.from({ length: count }, (_, i) => i * step), length - side];
  }

  /** Blending weights along one axis of a tile; they fall off where a neighbor overlaps. */
  function ramp(/** @type {number} */ side, isFirst, isLast) {
    const rise = (i) => Math.min(1, (i + 1) / (OVERLAP + 1));
    const weight = (i) => Math.min(isFirst ? 1 : rise(i), isLast ? 1 : rise(side - 1 - i));
    return Float32Array.from({ length: side }, (_, i) => weight(i));
  }

  /** Add a restored tile, times its weights, to the sums. @param {Picture} sums */
  function blend(sums, weights, tile, { top, left, rows, columns }) {
    rows.forEach((down, y) => {
      columns.forEach((across, x) => {
        const to = (top + y) * sums.width + left + x;
        weights[to] += down * across;
        for (let c = 0; c < 3; c++) {
          const value = tile.planes[(c * tile.height + y) * tile.width + x];
          if (!Number.isFinite(value)) throw new Error("The network's output is not finite.");
          const plane = c * sums.height * sums.width;
          sums.planes[plane + to] += Math.min(1, Math.max(0, value)) * down * across;
        }
      });
    });
  }

  /** Where the tiles of a picture lie: one if it is no larger than a tile.
      @param {Picture} picture @param {number} side @param {number} multiple */
  function tilesOf({ height, width }, side, multiple) {
    const [h, w] = [height, width].map((length) => Math.ceil(length / multiple) * multiple);
    const isWhole = h * w <= side * side;
    const along = (length) => {
      const own = isWhole ? length : Math.min(side, length);
      const firsts = isWhole ? [0] : starts(length, side);
      return firsts.map((at, i) => ({ at, weights: ramp(own, i === 0, i === firsts.length - 1) }));
    };
    return along(height).flatMap(({ at: top, weights: rows }) =>
      along(width).map(({ at: left, weights: columns }) => ({ top, left, rows, columns })),
    );
  }

  /** @param {Runtime} runtime @param {Network} network @param {Picture} picture
      @param {number} side - of a tile @param {Report} report @param {AbortSignal} signal
      @returns {Promise<{picture: Picture, seconds: number}>} */
  async function restore(runtime, network, picture, side, report, signal) {
    const tiles = tilesOf(picture, side, network.multiple);
    const sums = { ...picture, planes: new Float32Array(picture.planes.length) };
    const weights = new Float32Array(picture.height * picture.width);
    let ms = 0;
    for (const [done, tile] of tiles.entries()) {
      signal.throwIfAborted();
      report(done, tiles.length);
      const { top, left, rows, columns } = tile;
      const part = cut(picture, top, left, rows.length, columns.length, network.multiple);
      const result = await runtime.run(network, part);
      blend(sums, weights, result.picture, tile);
      ms += result.ms;
    }
    sums.planes = sums.planes.map((value, i) => value / weights[i % weights.length]);
    report(tiles.length, tiles.length);
    return { picture: sums, seconds: ms / 1000 };
  }

  return {
    RUNTIME_NAME, THREADS, start, sample, fromBytes, toImageData, psnr, cut, restore,
  };
})();
