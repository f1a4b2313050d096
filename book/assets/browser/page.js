/* The page `book/in_your_browser.md`: restores a sample or a photo, and measures on this device.

   The page holds the markup, `engine.js` and `measure.js` do the work, and `index.js`, written by
   `book/_ext/browser_models.py`, sets `window.ensreproBrowser`: which networks there are. */
"use strict";

(() => {
  /** @typedef {{task: string, what: string, sample: {file: string, photo: string, height: number,
                 width: number}, networks: Network[]}} Task */
  /** @typedef {{profile: string, colors: Object<string, string>, tasks: Task[]}} Index */
  /** What is before the visitor; only a sample has a target.
      @typedef {{picture: Picture, clean?: Picture, name: string}} Shown */

  const { ensreproEngine: engine, ensreproMeasure: measuring } = window;
  const WARM_UP = 2; // rounds
  const PSNR = "PSNR over RGB"; // for every task, whatever its protocol
  const MEGABYTE = 1e6;
  const LARGEST = 40e6; // pixels of a photo; more do not fit the memory of a phone

  // ---- words ----------------------------------------------------------------------------------

  const decibels = (/** @type {number} */ value) => `${value.toFixed(2)} dB`;
  const THREE_DIGITS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
  const milliseconds = (/** @type {?number} */ value) =>
    value === null ? "–" : THREE_DIGITS.format(value);
  const times = ({ median, low, high }) =>
    `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  const sizeOf = ({ height, width }) => `${width} × ${height} pixels`;

  /** What went wrong, as a sentence. */
  function told(/** @type {Error} */ error) {
    return error.name === "AbortError" ? "Canceled." : `That did not work: ${error.message}`;
  }

  // ---- markup ---------------------------------------------------------------------------------

  /** An element with text and children. @param {string} tag @param {...(string | Node)} parts */
  function element(tag, ...parts) {
    const made = document.createElement(tag);
    made.append(...parts);
    return made;
  }

  /** Fill a selector. @param {HTMLSelectElement} select @param {string[]} names */
  const fill = (select, names) => {
    select.replaceChildren(...names.map((name) => element("option", name)));
  };

  /** Fill a table; the first cell of a row is its title. @param {HTMLTableElement} table
      @param {string[]} titles @param {(string | Node)[][]} rows */
  function tabulate(table, titles, rows) {
    const head = element("tr", ...titles.map((title) => element("th", title)));
    for (const cell of head.cells) cell.scope = "col";
    const line = ([first, ...rest]) => {
      const title = Object.assign(element("th", first), { scope: "row" });
      return element("tr", title, ...rest.map((cell) => element("td", cell)));
    };
    table.replaceChildren(element("thead", head), element("tbody", ...rows.map(line)));
    table.hidden = false;
  }

  /** A name with its color; it says if the weights are random. @param {Network} network
      @param {Object<string, string>} colors */
  function marked(network, colors) {
    const mark = Object.assign(element("span"), { className: "browser-mark", ariaHidden: "true" });
    mark.style.setProperty("--color", colors[network.kind]);
    const remark = network.weights === "random" ? " (random weights)" : "";
    return element("span", mark, network.name, remark);
  }

  /** Offer a file. @param {HTMLAnchorElement} link @param {Blob} content @param {string} name */
  function offer(link, content, name) {
    URL.revokeObjectURL(link.href);
    Object.assign(link, { href: URL.createObjectURL(content), download: name, hidden: false });
  }

  /** @param {HTMLCanvasElement} canvas @param {Picture} picture @param {string} label */
  function draw(canvas, picture, label) {
    Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.setAttribute("aria-label", label);
    canvas.getContext("2d").putImageData(engine.toImageData(picture), 0, 0);
  }

  /** A form that does one thing at a time: runs `work`, tells how it went, can be canceled.
      @param {HTMLFormElement} form
      @param {(say: (text: string) => void, share: (value: number) => void,
               signal: AbortSignal) => Promise<void>} work */
  function worker(form, work) {
    const [status, progress] = ["[role=status]", "progress"].map((s) => form.querySelector(s));
    const say = (text) => (status.textContent = text);
    const share = (value) => (progress.value = value);
    let abort = new AbortController();

    const { cancel } = form.elements;
    const submit = form.querySelector("[type=submit]");

    async function start() {
      const others = [...form.elements].filter((e) => e.name !== "cancel" && e.name !== "slider");
      const setBusy = (isBusy) => {
        const [from, to] = isBusy ? [submit, cancel] : [cancel, submit];
        const hadFocus = document.activeElement === from; // a disabled button would lose it
        form.ariaBusy = String(isBusy);
        for (const other of others) other.disabled = isBusy;
        cancel.disabled = !isBusy;
        if (hadFocus) to.focus({ preventScroll: true });
      };
      abort = new AbortController();
      setBusy(true);
      share(0);
      try {
        await work(say, share, abort.signal);
      } catch (error) {
        share(0);
        say(told(error));
      }
      setBusy(false);
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (form.ariaBusy !== "true") start();
    });
    cancel.addEventListener("click", () => {
      abort.abort();
      say("Canceling after what is running …");
    });
    return { say };
  }

  // ---- a photo --------------------------------------------------------------------------------

  /** The pixels of an image file, turned as it says; transparency becomes white.
      @param {File} photo @param {number} part - side of the middle to take, 0 for everything
      @returns {Promise<Picture>} */
  async function read(photo, part) {
    const bitmap = await createImageBitmap(photo).catch(() => {
      throw new Error(`${photo.name} is no image that this browser can read.`);
    });
    const cutTo = (side) => (part ? Math.min(part, side) : side);
    const [width, height] = [cutTo(bitmap.width), cutTo(bitmap.height)];
    if (width * height > LARGEST) {
      const most = `expected at most ${LARGEST / 1e6} million`;
      throw new Error(`${photo.name} has ${sizeOf(bitmap)}; ${most}.`);
    }
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.fillStyle = "white";
    pen.fillRect(0, 0, width, height);
    const [left, top] = [bitmap.width - width, bitmap.height - height].map((r) => r >> 1);
    pen.drawImage(bitmap, -left, -top);
    bitmap.close();
    return engine.fromBytes(pen.getImageData(0, 0, width, height).data, 4, height, width);
  }

  // ---- restoring ------------------------------------------------------------------------------

  /** @param {HTMLFormElement} form @param {Index} index */
  function startRestoring(form, { tasks }) {
    const { task, network, tile, part, photo, sample, slider } = form.elements;
    const find = (/** @type {string} */ selector) => form.querySelector(selector);
    const pictures = find(".browser-pictures");
    const [before, after] = pictures.children;
    const link = find("[name=save]");
    /** @type {Shown | undefined} */ let shown;
    /** @type {(string | Node)[][]} */ let rows = [];
    let turns = 0;

    const current = () => tasks[task.selectedIndex];
    // those with random weights restore nothing
    const usable = () => current().networks.filter(({ weights }) => weights === "trained");

    function show(/** @type {Shown} */ next) {
      shown = next;
      rows = [];
      draw(before, shown.picture, `${shown.name}, as it came`);
      Object.assign(after, { width: 1, height: 1 });
      after.setAttribute("aria-label", "nothing restored yet");
      pictures.classList.remove("has-result");
      [link.hidden, find("table").hidden] = [true, true];
      find("figcaption").textContent = `${shown.name}, ${sizeOf(shown.picture)}.`;
      if (shown.clean) addRow("as it came", shown.picture, "");
    }

    function addRow(name, picture, seconds) {
      const quality = shown.clean ? [decibels(engine.psnr(picture, shown.clean))] : [];
      rows = [...rows.filter(([other]) => other !== name), [name, ...quality, seconds]];
      const titles = ["picture", ...(shown.clean ? [PSNR] : []), "seconds"];
      tabulate(find("table"), titles, rows);
    }

    /** @returns {Promise<Shown>} */
    async function ownSample() {
      const { sample: own, what, task: name } = current();
      const { degraded, clean } = await engine.sample(own);
      const text = `Sample for ${name}: the test photo ${own.photo} with ${what}`;
      return { picture: degraded, clean, name: text };
    }

    /** @returns {Promise<Shown>} */
    async function ownPhoto() {
      const [file] = photo.files;
      return { picture: await read(file, Number(part.value)), name: file.name };
    }

    const { say } = worker(form, async (say, share, signal) => {
      const chosen = usable()[network.selectedIndex];
      if (!shown) throw new Error("there is no picture yet.");
      say("Loading the runtime and the network …");
      const runtime = await engine.start();
      await runtime.load(chosen);
      const report = (done, of) => {
        share(done / of);
        say(`${chosen.name}: ${done} of ${of} ${of === 1 ? "tile" : "tiles"}`);
      };
      const side = Number(tile.value);
      const result = await engine.restore(runtime, chosen, shown.picture, side, report, signal);
      draw(after, result.picture, `${shown.name}, restored by the ${chosen.name}`);
      pictures.classList.add("has-result");
      addRow(`${chosen.name} (${chosen.architecture})`, result.picture, result.seconds.toFixed(2));
      const quality = shown.clean ? `, ${rows.at(-1)[1]} over RGB` : "";
      say(`Restored by the ${chosen.name} in ${result.seconds.toFixed(2)} seconds${quality}.`);
      after.toBlob((blob) => offer(link, blob, "restored.png"));
    });

    /** Show what the visitor asked for, unless something else was asked for meanwhile. */
    async function renew() {
      const turn = ++turns;
      const [next, text] = await (photo.files.length ? ownPhoto() : ownSample()).then(
        (picture) => [picture, ""],
        (error) => [undefined, told(error)],
      );
      if (turn !== turns) return;
      if (next) show(next);
      say(text);
    }

    function changeTask() {
      fill(network, usable().map(({ name, architecture }) => `${name} (${architecture})`));
      renew();
    }

    slider.addEventListener("input", () => {
      pictures.style.setProperty("--shown", `${slider.value}%`);
    });
    task.addEventListener("change", changeTask);
    for (const choice of [photo, part]) choice.addEventListener("change", renew);
    sample.addEventListener("click", () => {
      photo.value = "";
      renew();
    });
    const drop = find(".browser-drop");
    for (const type of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(type, (event) => {
        event.preventDefault();
        drop.classList.toggle("is-over", type === "dragover");
        const isFree = form.ariaBusy !== "true";
        if (type !== "drop" || !event.dataTransfer.files.length || !isFree) return;
        photo.files = event.dataTransfer.files;
        renew();
      });
    }
    fill(task, tasks.map(({ task: name }) => name));
    find("[data-several]").hidden = tasks.length === 1;
    changeTask();
  }

  // ---- measuring ------------------------------------------------------------------------------

  /** @param {HTMLFormElement} form @param {Index} index */
  function startMeasuring(form, { tasks, colors }) {
    const { networks } = tasks[0];
    const { side, runs, seconds, device } = form.elements;

    worker(form, async (say, share, signal) => {
      say("Loading the runtime and the networks …");
      const runtime = await engine.start();
      for (const network of networks) await runtime.load(network);
      const plan = {
        side: Number(side.value),
        minRuns: runs.valueAsNumber,
        minSeconds: seconds.valueAsNumber,
        warmUp: WARM_UP,
      };
      say("Measuring: please leave this page in front and the device alone.");
      const measured = await measuring.measure(runtime, networks, plan, share, signal);
      const made = measuring.record(runtime, networks, measured, plan, device.value.trim());
      showRecord(made);
      const { device: name, n, runtime: what, threads, resolution } = made.records[0];
      say(`${name}: ${n} rounds at ${resolution}, ${what} ${runtime.version}, ${threads} thread.`);
    });

    function showRecord(made) {
      const titles = ["network", "times as long as Restormer", "p50 (ms)", "p90 (ms)", "p99 (ms)",
        "runs", "drift", "stages"];
      const row = (one, i) => [
        marked(networks[i], colors),
        i === 0 ? "1" : times(made.comparisons[i - 1]),
        ...[one.p50_ms, one.p90_ms, one.p99_ms].map(milliseconds),
        String(one.n),
        one.drift.toFixed(2),
        one.architecture,
      ];
      tabulate(form.querySelector("table"), titles, made.records.map(row));
      const text = `${JSON.stringify(made, null, 1)}\n`;
      const json = new Blob([text], { type: "application/json" });
      offer(form.querySelector("[name=save]"), json, "ensrepro-latency.json");
    }
  }

  /** @param {HTMLElement} app @param {HTMLFormElement} form */
  function start(app, form) {
    const index = window.ensreproBrowser ?? { missing: "The networks of this page are missing." };
    document.getElementById("browser-missing").textContent = index.missing ?? "";
    if (index.missing) return;
    startRestoring(document.getElementById("browser-restore"), index);
    startMeasuring(form, index);
    [app.hidden, form.hidden] = [false, false];
    const sizes = index.tasks[0].networks.map(
      ({ name, bytes }) => `${name} ${(bytes / MEGABYTE).toFixed(1)} MB`,
    );
    const text = `Networks of ${index.tasks[0].task}, CC BY 4.0: ${sizes.join(", ")}.`;
    document.querySelector("#browser-footer [data-sizes]").textContent = text;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const [app, form] = ["browser-app", "browser-measure"].map((id) => document.getElementById(id));
    if (app && form) start(app, form);
  });
})();
