// The Systems tab: maps of latents, a canvas to draw on, and tables that sort.
(() => {
  const PLANE_STYLE = `
    :host { display: block; }
    .map { position: relative; height: 230px; background: var(--sunk); border-radius: 10px; overflow: hidden; }
    canvas { position: absolute; inset: 0; width: 100%; height: 100%; cursor: pointer; touch-action: pan-x pan-y; }
    p { position: absolute; inset: 0; margin: 0; display: grid; place-items: center; color: var(--ink-3); font-size: 13px; }
    .way { margin-top: 10px; height: 62px; }
    img { display: block; max-width: 100%; height: 42px; object-fit: contain; object-position: left; image-rendering: pixelated; }
    .one { display: flex; gap: 12px; align-items: center; } .one img { height: 62px; }
    .said { font-size: 12.5px; line-height: 18px; color: var(--ink-2); margin-top: 2px; }
    [hidden] { display: none; }`;
  const REACH = 24, MARGIN = 18;

  // <mvae-plane data-source="systems/mnist/vae" data-version>: points of test images; one pressed is decoded, two are joined.
  class Plane extends HTMLElement {
    static observedAttributes = ["data-source", "data-version"];

    constructor() {
      super();
      this.ends = [];
      this.hovered = -1;
      this.attachShadow({ mode: "open" }).innerHTML = `<style>${PLANE_STYLE}</style><div class="map"><p></p>
        <canvas hidden role="img" tabindex="0"></canvas></div><div class="way"><img alt="" hidden><div class="said"></div></div>`;
      this.canvas = this.shadowRoot.querySelector("canvas");
      this.picture = this.shadowRoot.querySelector("img");
      this.said = this.shadowRoot.querySelector(".said");
      this.listen();
    }

    connectedCallback() {
      this.sizes = new ResizeObserver(() => this.draw());
      this.sizes.observe(this.canvas.parentNode);
      this.scheme = new MutationObserver(() => this.draw());
      this.scheme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
      this.seen = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) this.load(); }, { rootMargin: "300px" });
      this.seen.observe(this);
    }

    attributeChangedCallback(name, before, value) { // Gradio gives an element that is there already another source
      if (!this.seen || before === value) return;
      this.map = this.spots = null;
      this.ends = [];
      this.hovered = -1;
      this.picture.hidden = this.canvas.hidden = true;
      this.said.textContent = "";
      this.shadowRoot.querySelector("p").hidden = false;
      this.seen.disconnect();
      this.seen.observe(this);
    }

    disconnectedCallback() {
      for (const observer of [this.sizes, this.scheme, this.seen]) observer.disconnect();
    }

    async load() {
      this.seen.disconnect();
      const message = this.shadowRoot.querySelector("p"), address = `${this.dataset.source}/points.json?v=${this.dataset.version}`;
      message.textContent = "Loading …";
      try {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
        const map = await answer.json();
        if (address !== `${this.dataset.source}/points.json?v=${this.dataset.version}`) return; // another source came meanwhile
        this.map = map;
      } catch {
        message.textContent = "The points could not be loaded.";
        return;
      }
      message.hidden = true;
      this.canvas.hidden = false;
      this.canvas.setAttribute("aria-label", `Map of ${this.map.points.length} test images; arrow keys and Enter choose one`);
      const xs = this.map.points.map(([x]) => x), ys = this.map.points.map(([, y]) => y);
      this.bounds = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
      // Something to look at before the first press: from one class to another.
      const begin = [3, 8].map((label) => this.map.labels.indexOf(label));
      this.ends = begin.every((index) => index >= 0) ? begin : [0];
      this.show();
    }

    place(index) {
      const [left, right, low, high] = this.bounds, [x, y] = this.map.points[index];
      return [
        MARGIN + (this.width - 2 * MARGIN) * (right > left ? (x - left) / (right - left) : 0.5),
        this.height - MARGIN - (this.height - 2 * MARGIN) * (high > low ? (y - low) / (high - low) : 0.5),
      ];
    }

    nearest(event) {
      if (!this.spots) return -1;
      const box = this.canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
      let best = -1, reach = REACH;
      this.spots.forEach(([x, y], index) => { const gap = Math.hypot(x - px, y - py); if (gap < reach) { reach = gap; best = index; } });
      return best;
    }

    listen() {
      let pressed = -1;
      this.canvas.addEventListener("pointerdown", (event) => { pressed = this.nearest(event); });
      this.canvas.addEventListener("pointermove", (event) => {
        const index = this.nearest(event);
        if (index >= 0) this.dataset.tip = this.map.classes[this.map.labels[index]]; else delete this.dataset.tip;
        if (index !== this.hovered) { this.hovered = index; this.draw(); }
      });
      this.canvas.addEventListener("pointerleave", () => { this.hovered = -1; delete this.dataset.tip; this.draw(); });
      this.canvas.addEventListener("pointercancel", () => { pressed = -1; }); // the page is being scrolled
      this.canvas.addEventListener("pointerup", (event) => {
        const index = this.nearest(event);
        if (index < 0 || pressed < 0) return;
        if (index !== pressed) this.ends = [pressed, index]; // dragged from one to the other
        else this.choose(index);
        pressed = -1;
        this.show();
      });
      this.canvas.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (step && this.map) { this.hovered = (this.hovered + step + this.map.points.length) % this.map.points.length; this.draw(); }
        else if (event.key === "Enter" && this.hovered >= 0) { this.choose(this.hovered); this.show(); }
        else return;
        event.preventDefault();
      });
    }

    choose(index) { this.ends = this.ends.length === 1 ? [this.ends[0], index] : [index]; }

    show() {
      const [from, to] = this.ends.map((index) => this.map.points[index].join(",")), names = this.ends.map((index) => this.map.classes[this.map.labels[index]]);
      this.picture.src = `${this.dataset.source}/way.png?v=${this.dataset.version}&from=${from}${to ? `&to=${to}` : ""}`;
      this.said.textContent = to ? `From ${names[0]} to ${names[1]}` : `${names[0]}, decoded. Press another to see the way there.`;
      this.picture.alt = this.said.textContent;
      this.picture.parentNode.classList.toggle("one", !to);
      this.picture.hidden = false;
      this.draw();
    }

    draw() {
      const { canvas, map } = this, box = canvas.parentNode;
      this.width = box.clientWidth; this.height = box.clientHeight;
      if (!this.width || !map) return;
      const dots = devicePixelRatio || 1, pen = canvas.getContext("2d"), css = getComputedStyle(this);
      canvas.width = this.width * dots; canvas.height = this.height * dots;
      pen.scale(dots, dots);
      const colours = Array.from({ length: 10 }, (_, label) => css.getPropertyValue(`--class-${label}`)), ink = css.getPropertyValue("--ink"), card = css.getPropertyValue("--card");
      this.spots = map.points.map((_, index) => this.place(index));
      pen.globalAlpha = 0.75;
      this.spots.forEach(([x, y], index) => { pen.fillStyle = colours[map.labels[index] % 10]; pen.beginPath(); pen.arc(x, y, 3, 0, 7); pen.fill(); });
      pen.globalAlpha = 1;
      if (this.ends.length === 2) {
        pen.strokeStyle = ink; pen.lineWidth = 1.4; pen.setLineDash([4, 4]);
        pen.beginPath(); pen.moveTo(...this.spots[this.ends[0]]); pen.lineTo(...this.spots[this.ends[1]]); pen.stroke(); pen.setLineDash([]);
      }
      for (const index of [...new Set([...this.ends, this.hovered])].filter((place) => place >= 0)) {
        pen.fillStyle = colours[map.labels[index] % 10]; pen.strokeStyle = this.ends.includes(index) ? ink : card; pen.lineWidth = 2;
        pen.beginPath(); pen.arc(...this.spots[index], 6.5, 0, 7); pen.fill(); pen.stroke();
      }
    }
  }

  const DOODLE_STYLE = `
    :host { display: block; position: relative; width: 168px; height: 168px; border: 1px dashed var(--line-2); border-radius: 10px; background: var(--card); overflow: hidden; }
    canvas { width: 100%; height: 100%; display: block; touch-action: none; cursor: crosshair; }
    p { position: absolute; inset: 0; margin: 0; display: grid; place-items: center; color: var(--ink-3); font-size: 13px; pointer-events: none; }
    button { position: absolute; right: 6px; bottom: 6px; padding: 3px 9px; border: 1px solid var(--line-2); border-radius: 8px; background: var(--card); color: var(--ink-2); font: 12.5px/1.4 system-ui, sans-serif; cursor: pointer; }
    [hidden] { display: none; }`;
  const GRID = 168, PEN = 15;

  // <mvae-doodle data-target>: what is drawn goes, black on white as a PNG, to the field "data-target".
  class Doodle extends HTMLElement {
    constructor() {
      super();
      this.strokes = [];
      this.attachShadow({ mode: "open" }).innerHTML = `<style>${DOODLE_STYLE}</style><canvas role="img" aria-label="Draw here"></canvas>
        <p>Draw here</p><button type="button" hidden>Wipe</button>`;
      this.canvas = this.shadowRoot.querySelector("canvas");
      this.listen();
    }

    connectedCallback() {
      this.scheme = new MutationObserver(() => this.draw());
      this.scheme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    }

    disconnectedCallback() { this.scheme.disconnect(); }

    hand(value) { this.dispatchEvent(new CustomEvent("mvae-hand", { bubbles: true, detail: value })); }

    listen() {
      let stroke = null;
      const place = (event) => {
        const box = this.canvas.getBoundingClientRect();
        return [(event.clientX - box.left) / box.width * GRID, (event.clientY - box.top) / box.height * GRID];
      };
      this.canvas.addEventListener("pointerdown", (event) => {
        this.canvas.setPointerCapture(event.pointerId);
        stroke = [place(event)];
        this.strokes.push(stroke);
        this.draw();
      });
      this.canvas.addEventListener("pointermove", (event) => { if (stroke) { stroke.push(place(event)); this.draw(); } });
      for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => {
        if (!stroke) return;
        stroke = null;
        const page = document.createElement("canvas");
        page.width = page.height = GRID;
        const pen = page.getContext("2d");
        pen.fillStyle = "#fff";
        pen.fillRect(0, 0, GRID, GRID);
        this.ink(pen, "#000");
        this.hand(page.toDataURL("image/png"));
      });
      this.shadowRoot.querySelector("button").onclick = () => { this.strokes = []; this.draw(); this.hand("none"); };
    }

    ink(pen, colour) {
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = PEN; pen.lineCap = pen.lineJoin = "round";
      for (const stroke of this.strokes) {
        pen.beginPath();
        pen.moveTo(...stroke[0]);
        for (const [x, y] of stroke) pen.lineTo(x, y);
        pen.stroke();
      }
    }

    draw() {
      const dots = devicePixelRatio || 1, pen = this.canvas.getContext("2d");
      this.canvas.width = this.canvas.height = GRID * dots;
      pen.scale(dots, dots);
      this.ink(pen, getComputedStyle(this).getPropertyValue("--ink"));
      for (const [name, hidden] of [["p", this.strokes.length > 0], ["button", this.strokes.length === 0]]) this.shadowRoot.querySelector(name).hidden = hidden;
    }
  }

  customElements.define("mvae-plane", Plane);
  customElements.define("mvae-doodle", Doodle);

  // A press on a head of table.sortable sorts by its column, a second one the other way round; cells without data-value come last.
  document.addEventListener("click", (event) => {
    const head = event.target.closest?.("table.sortable th");
    if (!head) return;
    const place = [...head.parentNode.children].indexOf(head), body = head.closest("table").tBodies[0];
    const first = head.dataset.first; // ascending or descending: with the best on top
    const way = head.getAttribute("aria-sort") !== first ? first : first === "ascending" ? "descending" : "ascending";
    for (const other of head.parentNode.children) other.setAttribute("aria-sort", other === head ? way : "none");
    const value = (row) => row.children[place].dataset.value;
    const rows = [...body.rows].sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return way === "ascending" ? a - b : b - a;
    });
    body.append(...rows);
  });
})();
