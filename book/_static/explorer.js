/* The architecture explorer of `book/explorer.md`: fill every stage and see what it costs.

   The page holds the markup; `book/_ext/explorer_data.py` writes the data, a script that sets
   `window.ensreproExplorer`. On a page without `#explorer-app` nothing happens. What is shown is
   kept in the address: `#architecture-T-4-2-8-T-T-4-2`, and `_<cost>` if it is not the first.

   A *number* is an architecture's position in the table: its choices are the digits, the last stage
   varies fastest. A *drop* is the PSNR drop from the teacher in dB. */
"use strict";

(() => {
  /** @typedef {{label: string, blocks: number, color: string, ink: string}} Choice */
  /** @typedef {{name: string, choices: Choice[]}} Stage */
  /** @typedef {{step: number, low: number, base64: string}} Packed - a 16-bit count per number */
  /** The cost of choices c is teacher + the sum of swaps[stage][c[stage]]; `front` is by drop.
      @typedef {{key: string, name: string, unit: string, per: number, decimals: number,
                 teacher: number, swaps: number[][], front: number[]}} Cost */
  /** @typedef {Cost & {values: Float64Array}} FullCost - with the value of every number */
  /** @typedef {{stages: Stage[], drop: Packed, ssim: Packed, costs: Cost[], caption: string,
                 named: Object<string, number>, colors: Object<string, string>}} Data */
  /** @typedef {{number: number, cost: FullCost}} State - what the page shows */
  /** @typedef {{name: string, values: Float64Array, text: (value: number) => string}} Figure */

  const MARGIN = { left: 58, right: 16, top: 12, bottom: 50 }; // of the cloud, in CSS pixels
  const FOUR_DIGITS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });

  // ---- the table ------------------------------------------------------------------------------

  /** @param {Packed} packed @returns {Float64Array} */
  function unpack({ step, low, base64 }) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const counts = new DataView(bytes.buffer);
    const value = (_, n) => (low + counts.getUint16(2 * n, true)) * step; // true: little-endian
    return Float64Array.from({ length: bytes.length / 2 }, value);
  }

  /** @param {Cost} cost @returns {FullCost} - rounded: equal sums can differ in their last bits */
  function inFull(cost) {
    let values = [cost.teacher];
    for (const added of cost.swaps) values = values.flatMap((v) => added.map((a) => v + a));
    return { ...cost, values: Float64Array.from(values, (v) => Number(v.toFixed(cost.decimals))) };
  }

  /** @param {Stage[]} stages @param {number[]} choices */
  const numberOf = (stages, choices) =>
    choices.reduce((number, c, i) => number * stages[i].choices.length + c, 0);

  /** @param {Stage[]} stages @param {number} number @returns {number[]} */
  function choicesOf(stages, number) {
    const digits = [...stages].reverse().map(({ choices: { length } }) => {
      const digit = number % length;
      number = Math.floor(number / length);
      return digit;
    });
    return digits.reverse();
  }

  /** `T 4 2 8 T T 4 2`. @param {Stage[]} stages @param {number} number */
  const labelOf = (stages, number, between = " ") =>
    choicesOf(stages, number).map((c, i) => stages[i].choices[c].label).join(between);

  /** The nearest cheaper or better point of the true front, if any: of a point on it, its neighbor.
      @param {State} state @param {Float64Array} drop @param {"cheaper" | "better"} way */
  function nextOnFront({ number, cost }, drop, way) {
    const at = cost.front.indexOf(number);
    if (at >= 0) return cost.front[way === "better" ? at - 1 : at + 1];
    if (way === "better") return cost.front.findLast((n) => drop[n] < drop[number]);
    return cost.front.find((n) => cost.values[n] < cost.values[number]);
  }

  // ---- the address ----------------------------------------------------------------------------

  /** @param {Data} data @param {State} state */
  function hashOf(data, { number, cost }) {
    const shown = cost.key === data.costs[0].key ? "" : `_${cost.key}`;
    return `#architecture-${labelOf(data.stages, number, "-")}${shown}`;
  }

  /** What an address asks for, if that exists.
      @param {Data} data @param {FullCost[]} costs @param {string} hash @returns {?State} */
  function stateOf({ stages }, costs, hash) {
    const [, architecture, key] = /^#architecture-([^_]*)_?(.*)$/.exec(hash) ?? [];
    const labels = architecture?.split("-") ?? [];
    const choices = stages.map((s, i) => s.choices.findIndex((c) => c.label === labels[i]));
    const cost = key ? costs.find((c) => c.key === key) : costs[0];
    if (labels.length !== stages.length || choices.includes(-1) || !cost) return undefined;
    return { number: numberOf(stages, choices), cost };
  }

  // ---- words ----------------------------------------------------------------------------------

  /** @param {Cost} cost @param {number} value */
  const withUnit = (cost, value) => `${FOUR_DIGITS.format(value / cost.per)} ${cost.unit}`.trim();
  /** @param {Cost} cost */
  const axisTitle = (cost) => `${cost.name} (${cost.unit || "no unit"})`;
  /** @param {number} drop - never printed as a negative zero */
  const decibels = (drop) => `${drop.toFixed(3).replace(/^-(?=0\.000)/, "")} dB`;

  /** Where an architecture stands. @param {State} state @param {Float64Array} drop */
  function standing({ number, cost }, drop) {
    if (cost.front.includes(number)) return `On the true front of PSNR drop and ${cost.name}.`;
    const best = cost.front.find((n) => cost.values[n] <= cost.values[number]);
    const gain = decibels(drop[number] - drop[best]);
    return `For no more ${cost.name}, the true front has one that drops ${gain} less.`;
  }

  /** The cloud in words. @param {State} state @param {Float64Array} drop */
  function describe({ number, cost }, drop) {
    const place = (n) => `${decibels(drop[n])} at ${withUnit(cost, cost.values[n])}`;
    const ends = `${place(cost.front[0])} to ${place(cost.front.at(-1))}`;
    return `Scatter plot of all architectures: ${axisTitle(cost)} across, PSNR drop up. The true
      front has ${cost.front.length} points, from ${ends}. Selected: ${place(number)}.`;
  }

  // ---- markup ---------------------------------------------------------------------------------

  /** @param {string[]} texts */
  const options = (texts) => texts.map((text) => `<option>${text}</option>`).join("");

  /** A stage: its name, its selector, and room for its blocks. @param {Stage} stage */
  const stageBox = ({ name, choices }) => `
    <div class="explorer-stage" style="grid-area: ${name}">
      <label for="explorer-${name}">${name}</label>
      <select id="explorer-${name}">${options(choices.map((c) => c.label))}</select>
      <span class="explorer-blocks" aria-hidden="true"></span>
    </div>`;

  /** Head and rows of the table of the front, where each architecture is a link that selects it.
      @param {Data} data @param {FullCost} cost @param {Float64Array} drop */
  function frontTable(data, cost, drop) {
    const row = (number) => `<tr>
      <td><a href="${hashOf(data, { number, cost })}">${labelOf(data.stages, number)}</a></td>
      <td>${drop[number].toFixed(3)}</td>
      <td>${FOUR_DIGITS.format(cost.values[number] / cost.per)}</td></tr>`;
    const head = ["architecture", "PSNR drop (dB)", axisTitle(cost)].join('</th><th scope="col">');
    return `<thead><tr><th scope="col">${head}</th></tr></thead>
      <tbody>${cost.front.map(row).join("")}</tbody>`;
  }

  // ---- the cloud ------------------------------------------------------------------------------

  /** Round numbers from low to high, about `count`. @returns {number[]} */
  function ticks({ low, high }, count) {
    const rough = (high - low) / Math.max(count, 2);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const [first, last] = [Math.ceil(low / step), Math.floor(high / step)];
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  }

  /** Lowest and highest value, and a little beyond. @param {Float64Array} values */
  function range(values) {
    const [low, high] = [Math.min, Math.max].map((of) => values.reduce((a, b) => of(a, b)));
    const margin = 0.04 * (high - low || 1);
    return { low: low - margin, high: high + margin };
  }

  /** The plot of all architectures: `show` draws a state, `nearest` is the number at a place.
      Colors come from the style sheet, marks from the legend.
      @param {HTMLCanvasElement} canvas @param {Data} data @param {Float64Array} drop */
  function cloud(canvas, { named }, drop) {
    const pen = canvas.getContext("2d");
    const yRange = range(drop);
    let xRange = yRange; // of the shown cost, in its printed unit
    let [width, height] = [0, 0]; // between the axes
    /** @type {State} */ let shown;

    const share = ({ low, high }, value) => (value - low) / (high - low);
    const toX = (printed) => MARGIN.left + width * share(xRange, printed);
    const toY = (loss) => MARGIN.top + height * (1 - share(yRange, loss));
    const place = (n) => ({ x: toX(shown.cost.values[n] / shown.cost.per), y: toY(drop[n]) });

    const write = (text, x, y, textAlign = "center") =>
      Object.assign(pen, { textAlign }).fillText(text, x, y);

    function drawAxes(ink, grid) {
      const bottom = MARGIN.top + height;
      const [columns, rows] = [ticks(xRange, width / 60), ticks(yRange, height / 60)];
      pen.fillStyle = grid;
      for (const t of columns) pen.fillRect(toX(t), MARGIN.top, 1, height);
      for (const t of rows) pen.fillRect(MARGIN.left, toY(t), width, 1);
      pen.fillStyle = ink;
      for (const t of columns) write(FOUR_DIGITS.format(t), toX(t), bottom + 14);
      for (const t of rows) write(FOUR_DIGITS.format(t), MARGIN.left - 8, toY(t), "right");
      write(axisTitle(shown.cost), MARGIN.left + width / 2, bottom + 37);
      pen.save();
      pen.rotate(-Math.PI / 2);
      write("PSNR drop from the teacher (dB)", -MARGIN.top - height / 2, 12);
      pen.restore();
    }

    function drawFront(ink) {
      const points = shown.cost.front.map(place);
      Object.assign(pen, { fillStyle: ink, strokeStyle: ink, lineWidth: 1.5 });
      pen.setLineDash([5, 3]);
      pen.beginPath();
      points.forEach(({ x, y }, i) => {
        pen.lineTo(points[Math.max(i - 1, 0)].x, y); // up to there, this is the best drop
        pen.lineTo(x, y);
      });
      pen.stroke();
      pen.setLineDash([]);
      for (const { x, y } of points) pen.fillRect(x - 2, y - 2, 4, 4);
    }

    function drawMark(number, name, style) {
      const { x, y } = place(number);
      const path = new Path2D(document.getElementById(`explorer-mark-${name}`).getAttribute("d"));
      pen.save();
      pen.translate(x - 10, y - 10); // the legend's marks stand in boxes of 20 by 20
      Object.assign(pen, style);
      pen.fill(path);
      pen.stroke(path);
      pen.restore();
    }

    function draw() {
      if (!shown || !canvas.clientWidth) return;
      width = canvas.clientWidth - MARGIN.left - MARGIN.right;
      height = canvas.clientHeight - MARGIN.top - MARGIN.bottom;
      const style = getComputedStyle(canvas);
      const color = (name) => style.getPropertyValue(`--explorer-${name}`);
      const ratio = window.devicePixelRatio;
      canvas.width = Math.round(canvas.clientWidth * ratio); // this also clears it
      canvas.height = Math.round(canvas.clientHeight * ratio);
      pen.scale(ratio, ratio);
      Object.assign(pen, { font: `13px ${style.fontFamily}`, textBaseline: "middle" });
      drawAxes(color("ink"), color("grid"));
      pen.fillStyle = color("dot");
      drop.forEach((_, n) => pen.fillRect(place(n).x - 1, place(n).y - 1, 2, 2));
      drawFront(color("ink"));
      const edge = { strokeStyle: color("paper"), lineWidth: 1.5 };
      drawMark(named.teacher, "teacher", { fillStyle: color("teacher"), ...edge });
      drawMark(named.knee, "knee", { fillStyle: color("knee"), ...edge });
      const ring = { fillStyle: "transparent", strokeStyle: color("paper"), lineWidth: 6 };
      drawMark(shown.number, "hybrid", ring);
      drawMark(shown.number, "hybrid", { ...ring, strokeStyle: color("hybrid"), lineWidth: 3 });
    }

    function show(/** @type {State} */ state) {
      shown = state;
      xRange = range(state.cost.values.map((value) => value / state.cost.per));
      draw();
    }

    function nearest(x, y) {
      const distances = drop.map((_, n) => Math.hypot(place(n).x - x, place(n).y - y));
      return distances.indexOf(distances.reduce((a, b) => Math.min(a, b)));
    }

    new ResizeObserver(draw).observe(canvas);
    const theme = { attributeFilter: ["data-theme"] };
    new MutationObserver(draw).observe(document.documentElement, theme);
    return { show, nearest };
  }

  // ---- the page -------------------------------------------------------------------------------

  /** What is printed of an architecture, by the keys in the markup. @param {FullCost[]} costs
      @param {Float64Array} drop @param {Float64Array} ssim @returns {Object<string, Figure>} */
  function figuresOf(costs, drop, ssim) {
    const named = {
      drop: { name: "PSNR drop", values: drop, text: decibels },
      ssim: { name: "SSIM", values: ssim, text: (value) => value.toFixed(4) },
    };
    for (const cost of costs) named[cost.key] = { ...cost, text: (v) => withUnit(cost, v) };
    return named;
  }

  /** @param {HTMLFormElement} root @param {Data} data */
  function start(root, data) {
    const [drop, ssim] = [unpack(data.drop), unpack(data.ssim)];
    const costs = data.costs.map(inFull);
    const figures = figuresOf(costs, drop, ssim);
    const find = (/** @type {string} */ selector) => root.querySelector(selector);
    find(".explorer-unet").insertAdjacentHTML("afterbegin", data.stages.map(stageBox).join(""));
    find("#explorer-cost").innerHTML = options(costs.map(axisTitle));
    find("figcaption").append(data.caption);
    for (const kind in data.colors) root.style.setProperty(`--explorer-${kind}`, data.colors[kind]);
    root.hidden = false; // before the cloud measures itself
    const boxes = [...root.querySelectorAll(".explorer-stage")];
    const plot = cloud(find("canvas"), data, drop);
    /** @type {State} */ let state = { number: data.named.knee, cost: costs[0] };

    function showStage(/** @type {number} */ choice, /** @type {number} */ i) {
      const { blocks, color, ink } = data.stages[i].choices[choice];
      boxes[i].style.cssText += `--choice: ${color}; --on-choice: ${ink}`;
      boxes[i].querySelector("select").selectedIndex = choice;
      boxes[i].querySelector(".explorer-blocks").innerHTML = "<i></i>".repeat(blocks);
    }

    function showFigure(/** @type {HTMLElement} */ place) {
      const { name, values, text } = figures[place.dataset.figure];
      const [value, teacher] = [state.number, data.named.teacher].map((n) => values[n]);
      place.innerHTML = `<data value="${value}">${text(value)}</data>
        <small>teacher ${text(teacher)}</small>`;
      return `${name} ${text(value)}`;
    }

    function show(/** @type {State} */ next, remark = "") {
      state = next;
      choicesOf(data.stages, state.number).forEach(showStage);
      find("#explorer-cost").selectedIndex = costs.indexOf(state.cost);
      const words = [...root.querySelectorAll("[data-figure]")].map(showFigure).join(", ");
      const summary = `${labelOf(data.stages, state.number)}: ${words}. ${standing(state, drop)}`;
      find("[role=status]").textContent = remark + summary;
      for (const way of ["cheaper", "better"]) {
        find(`[name=${way}]`).ariaDisabled = String(nextOnFront(state, drop, way) === undefined);
      }
      find("canvas").setAttribute("aria-label", describe(state, drop));
      find("table").innerHTML = frontTable(data, state.cost, drop);
      plot.show(state);
    }

    function choose(/** @type {number | undefined} */ number, cost = state.cost) {
      if (number === undefined) return; // the true front goes no farther
      show({ number, cost });
      history.replaceState(null, "", hashOf(data, state));
    }

    function follow() {
      const asked = stateOf(data, costs, location.hash);
      const isWrong = !asked && location.hash.startsWith("#architecture-");
      show(asked ?? state, isWrong ? "The address names no architecture of this space. " : "");
    }

    root.addEventListener("click", ({ target }) => {
      const name = target.closest("button")?.name;
      if (name in data.named) choose(data.named[name]);
      if (name === "random") choose(Math.floor(Math.random() * drop.length));
      if (name === "cheaper" || name === "better") choose(nextOnFront(state, drop, name));
    });
    root.addEventListener("change", () => {
      const choices = boxes.map((box) => box.querySelector("select").selectedIndex);
      choose(numberOf(data.stages, choices), costs[find("#explorer-cost").selectedIndex]);
    });
    find("canvas").addEventListener("click", (e) => choose(plot.nearest(e.offsetX, e.offsetY)));
    window.addEventListener("hashchange", follow);
    follow();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("explorer-app");
    if (!root) return;
    const data = window.ensreproExplorer ?? { missing: "The data of this page are missing." };
    document.getElementById("explorer-missing").textContent = data.missing ?? "";
    if (!data.missing) start(root, data);
  });
})();
