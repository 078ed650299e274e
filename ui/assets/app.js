// What the page needs beyond Gradio: hover labels, the latent map, and a prompt field that is replaced by typing.
(() => {
  const thumbnailStyle = (map, index, size) => {
    const scale = size / map.thumbnail;
    const column = index % map.columns, row = Math.floor(index / map.columns);
    const rows = Math.ceil(map.caption.length / map.columns);
    return `background-image:url(${map.atlasAddress});background-position:${-column * size}px ${-row * size}px;`
      + `background-size:${map.columns * map.thumbnail * scale}px ${rows * map.thumbnail * scale}px`;
  };

  // Hover labels: any element with data-tip; a tap shows them too.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  const showTip = (x, y, fill) => {
    if (!tip.isConnected) document.body.append(tip);
    tip.replaceChildren();
    fill(tip);
    tip.classList.add("on");
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight - 8 ? Math.max(8, y - box.height - 12) : y + 18}px`;
  };
  const hideTip = () => tip.classList.remove("on");
  const follow = (event) => {
    const owner = event.target.closest?.("[data-tip]");
    if (owner) showTip(event.clientX, event.clientY, (box) => box.append(owner.dataset.tip));
    else if (!event.target.closest?.("mvae-map")) hideTip();
  };
  addEventListener("pointermove", follow);
  addEventListener("pointerdown", follow);
  addEventListener("scroll", hideTip, true);

  // The reference drawings, fetched once.
  let loading = null;
  const loadMap = () => (loading ??= (async () => {
    const answer = await fetch("latent-map/points.json");
    if (!answer.ok) throw new Error(`latent map: HTTP ${answer.status}`);
    const map = await answer.json();
    map.atlasAddress = new URL("latent-map/atlas.webp", document.baseURI).href;
    map.atlas = new Image();
    map.atlas.src = map.atlasAddress;
    await map.atlas.decode();
    // Which pictures get the room is scattered over the set: neighbours in the list, such as flags, would crowd out the rest.
    map.order = map.caption.map((_, index) => index).sort((a, b) => (a * 0.618034) % 1 - (b * 0.618034) % 1);
    return map;
  })());

  const MAP_STYLE = `
    :host { display: block; position: relative; background: var(--sunk); overflow: hidden; }
    canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: pan-y; cursor: crosshair; }
    canvas.zoomed { touch-action: none; cursor: grab; }
    .zoom { position: absolute; right: 10px; bottom: 10px; display: flex; border: 1px solid var(--line-2); border-radius: 9px; overflow: hidden; background: var(--card); }
    button { width: 36px; height: 34px; padding: 0; border: 0; background: none; color: var(--ink); font: 16px/1 system-ui, sans-serif; cursor: pointer; }
    button + button { border-left: 1px solid var(--line); }
    button:hover { background: var(--sunk); }
    p { position: absolute; inset: 0; margin: 0; display: grid; place-items: center; color: var(--ink-3); font-size: 13.5px; }
    [hidden] { display: none; }`;

  // <mvae-map data-stickers="[{x, y, label, image, near}]">. Drawn in a shadow tree, which Gradio's updates leave alone.
  class LatentMap extends HTMLElement {
    static observedAttributes = ["data-stickers"];

    constructor() {
      super();
      this.stickers = [];
      this.attachShadow({ mode: "open" }).innerHTML = `<style>${MAP_STYLE}</style><p>Loading the map …</p>
        <canvas hidden role="img" aria-label="Map of real drawings in the latent space"></canvas><div class="zoom" hidden>
        <button type="button" aria-label="Zoom out">−</button><button type="button" aria-label="Show the whole map">1:1</button>
        <button type="button" aria-label="Zoom in">+</button></div>`;
      this.canvas = this.shadowRoot.querySelector("canvas");
      this.listen();
    }

    async connectedCallback() {
      this.observer = new ResizeObserver(() => this.draw());
      this.observer.observe(this);
      this.scheme = new MutationObserver(() => this.draw());
      this.scheme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
      const message = this.shadowRoot.querySelector("p");
      try {
        this.map = await loadMap();
      } catch {
        message.textContent = "The map could not be loaded.";
        return;
      }
      message.hidden = true;
      this.canvas.hidden = this.shadowRoot.querySelector(".zoom").hidden = false;
      this.draw();
    }

    disconnectedCallback() {
      this.observer.disconnect();
      this.scheme.disconnect();
    }

    async attributeChangedCallback(name, before, value) {
      if (before === value) return;
      const stickers = JSON.parse(value || "[]");
      for (const sticker of stickers) {
        sticker.picture = new Image();
        sticker.picture.src = sticker.image;
        await sticker.picture.decode().catch(() => {});
      }
      if (value !== this.dataset.stickers) return; // a newer result came meanwhile
      this.stickers = stickers;
      this.draw();
    }

    listen() {
      const [out, whole, closer] = this.shadowRoot.querySelectorAll("button");
      out.onclick = () => this.zoomAt(1 / 1.6, this.width / 2, this.height / 2);
      closer.onclick = () => this.zoomAt(1.6, ...this.focusPoint());
      whole.onclick = () => { this.view = { zoom: 1, x: 0, y: 0 }; this.draw(); };
      this.canvas.addEventListener("wheel", (event) => { // a plain wheel scrolls the page until one has zoomed in
        if (!event.ctrlKey && !event.metaKey && this.view.zoom === 1) return;
        event.preventDefault();
        this.zoomAt(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
      }, { passive: false });
      let drag = null;
      this.canvas.addEventListener("pointerdown", (event) => {
        if (this.view.zoom > 1) { drag = [event.clientX, event.clientY, this.view.x, this.view.y]; this.canvas.setPointerCapture(event.pointerId); }
        this.point(event);
      });
      this.canvas.addEventListener("pointermove", (event) => {
        if (!drag) { this.point(event); return; }
        this.view.x = drag[2] + event.clientX - drag[0];
        this.view.y = drag[3] + event.clientY - drag[1];
        hideTip();
        this.draw();
      });
      for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => { drag = null; });
      this.canvas.addEventListener("pointerleave", hideTip);
    }

    view = { zoom: 1, x: 0, y: 0 };

    focusPoint() { // zooming in by the button goes to the newest sticker
      const last = this.stickers[this.stickers.length - 1];
      return last ? this.place(last.x, last.y) : [this.width / 2, this.height / 2];
    }

    place(x, y) { // map coordinates (about -1 … 1) to pixels; the far tails are drawn in by tanh
      const soft = (value) => (Math.abs(value) <= 0.8 ? value : Math.sign(value) * (0.8 + 0.25 * Math.tanh((Math.abs(value) - 0.8) / 0.25)));
      const margin = 26;
      const px = this.width / 2 + soft(x) * (this.width / 2 - margin) / 1.06;
      const py = this.height / 2 - soft(y) * (this.height / 2 - margin) / 1.06;
      return [this.width / 2 + (px - this.width / 2) * this.view.zoom + this.view.x, this.height / 2 + (py - this.height / 2) * this.view.zoom + this.view.y];
    }

    zoomAt(factor, x, y) {
      const zoom = Math.min(12, Math.max(1, this.view.zoom * factor)), ratio = zoom / this.view.zoom;
      this.view.x = zoom === 1 ? 0 : x - this.width / 2 - (x - this.width / 2 - this.view.x) * ratio;
      this.view.y = zoom === 1 ? 0 : y - this.height / 2 - (y - this.height / 2 - this.view.y) * ratio;
      this.view.zoom = zoom;
      hideTip();
      this.draw();
    }

    draw() {
      const { map, canvas } = this;
      this.width = this.clientWidth; this.height = this.clientHeight;
      if (!this.width || !map) return;
      canvas.classList.toggle("zoomed", this.view.zoom > 1);
      const dots = devicePixelRatio || 1;
      canvas.width = this.width * dots; canvas.height = this.height * dots;
      const pen = canvas.getContext("2d");
      pen.scale(dots, dots);
      const css = getComputedStyle(this), ink = css.getPropertyValue("--ink"), card = css.getPropertyValue("--card");
      // Every drawing is a dot of its mean colour; where there is room its picture stands in place of the dot.
      const side = 24, taken = new Map(), shown = [];
      const near = (x, y) => {
        const cx = Math.floor(x / side), cy = Math.floor(y / side);
        for (let i = -1; i <= 1; i++) for (let j = -1; j <= 1; j++)
          for (const [ox, oy] of taken.get(`${cx + i},${cy + j}`) || []) if (Math.abs(ox - x) < side && Math.abs(oy - y) < side) return true;
        return false;
      };
      const take = (x, y) => {
        const cell = `${Math.floor(x / side)},${Math.floor(y / side)}`;
        if (!taken.has(cell)) taken.set(cell, []);
        taken.get(cell).push([x, y]);
      };
      const spots = this.stickers.map((sticker) => this.place(sticker.x, sticker.y));
      for (const [x, y] of spots) for (const dx of [-16, 16]) for (const dy of [-16, 16]) take(x + dx, y + dy);
      this.spots = map.position.map(([x, y]) => this.place(x, y));
      pen.globalAlpha = 0.7;
      for (const index of map.order) {
        const [x, y] = this.spots[index];
        if (x < -side || y < -side || x > this.width + side || y > this.height + side) continue;
        if (!near(x, y)) { take(x, y); shown.push(index); continue; }
        const [r, g, b] = map.colour[index];
        pen.fillStyle = `rgb(${r},${g},${b})`;
        pen.beginPath(); pen.arc(x, y, 2.4, 0, 7); pen.fill();
      }
      pen.globalAlpha = 1;
      pen.imageSmoothingQuality = "high";
      for (const index of shown) {
        const [x, y] = this.spots[index], t = map.thumbnail;
        pen.drawImage(map.atlas, index % map.columns * t, Math.floor(index / map.columns) * t, t, t, x - 11, y - 11, 22, 22);
      }
      this.stickers.forEach((sticker, order) => {
        const [x, y] = spots[order];
        for (const index of sticker.near) {
          const [nx, ny] = this.spots[index];
          pen.strokeStyle = ink; pen.globalAlpha = 0.55; pen.lineWidth = 1.2; pen.setLineDash([3, 3]);
          pen.beginPath(); pen.moveTo(x, y); pen.lineTo(nx, ny); pen.stroke();
          pen.setLineDash([]); pen.globalAlpha = 1;
          pen.beginPath(); pen.arc(nx, ny, 13, 0, 7); pen.stroke();
        }
      });
      this.stickers.forEach((sticker, order) => {
        const [x, y] = spots[order], r = 25;
        pen.save();
        pen.shadowColor = "rgb(0 0 0 / .35)"; pen.shadowBlur = 12; pen.shadowOffsetY = 3;
        pen.fillStyle = card; pen.beginPath(); pen.arc(x, y, r, 0, 7); pen.fill();
        pen.restore();
        pen.lineWidth = 2.5; pen.strokeStyle = ink; pen.beginPath(); pen.arc(x, y, r, 0, 7); pen.stroke();
        pen.drawImage(sticker.picture, x - 18, y - 18, 36, 36);
      });
    }

    point(event) {
      if (!this.spots) return;
      const x = event.offsetX, y = event.offsetY;
      const order = this.stickers.findLastIndex((sticker) => { const [sx, sy] = this.place(sticker.x, sticker.y); return Math.hypot(sx - x, sy - y) < 26; });
      if (order >= 0) {
        const sticker = this.stickers[order];
        showTip(event.clientX, event.clientY, (box) => box.append(`${sticker.label}: your sticker, placed by its own tokens`));
        return;
      }
      let best = -1, reach = 18;
      this.spots.forEach(([sx, sy], index) => { const d = Math.hypot(sx - x, sy - y); if (d < reach) { reach = d; best = index; } });
      if (best < 0) { hideTip(); return; }
      showTip(event.clientX, event.clientY, (box) => {
        const thumb = document.createElement("span"), words = document.createElement("span");
        thumb.className = "thumb";
        thumb.style.cssText = thumbnailStyle(this.map, best, 64);
        words.textContent = `${this.map.caption[best]}\n${this.map.style[best]}`;
        words.style.whiteSpace = "pre-line";
        box.append(thumb, words);
      });
    }
  }

  // <mvae-thumbnail data-index>: one reference drawing inside running text.
  class Thumbnail extends HTMLElement {
    static observedAttributes = ["data-index"];

    constructor() {
      super();
      this.attachShadow({ mode: "open" }).innerHTML = "<style>:host { display: inline-block; width: 36px; height: 36px; } span { display: block; width: 36px; height: 36px; }</style><span></span>";
    }

    async attributeChangedCallback() {
      const map = await loadMap().catch(() => null);
      if (map) this.shadowRoot.querySelector("span").style.cssText = thumbnailStyle(map, Number(this.dataset.index), 36);
    }
  }

  // Hands a value to one of Gradio's hidden text fields, as if it had been typed.
  const hand = (id, value) => {
    const field = document.querySelector(`#${id} textarea, #${id} input`);
    if (!field) return;
    const setter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set;
    setter.call(field, value);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new KeyboardEvent("keypress", { bubbles: true })); // Gradio calls that an input, not a value that is set
  };
  document.addEventListener("mvae-hand", (event) => hand(event.target.dataset.target, event.detail)); // an element's own value
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-hand]");
    if (button) hand(button.dataset.hand, button.dataset.value);
  });
  document.addEventListener("keydown", (event) => {
    const mark = event.target.closest?.("[role=button][data-hand]"); // what is no <button> hears no Enter of its own
    if (mark && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      hand(mark.dataset.hand, mark.dataset.value);
    }
  });

  const PAINTER_STYLE = `
    :host { display: block; position: relative; aspect-ratio: 1; border-radius: 14px; overflow: hidden; border: 1px solid var(--line);
      background: repeating-conic-gradient(var(--check-b) 0 25%, var(--check-a) 0 50%) 0 0 / 24px 24px; user-select: none; }
    img { position: absolute; inset: 0; width: 100%; height: 100%; display: block; pointer-events: none; }
    .grid { position: absolute; inset: 0; display: grid; touch-action: none; cursor: crosshair; }
    .grid i { border: 0 solid transparent; }
    .grid:hover i { box-shadow: inset 0 0 0 .5px rgb(120 120 120 / .28); }
    .grid i.on { background: color-mix(in srgb, var(--focus) 55%, transparent); }
    p { position: absolute; inset: 0; margin: 0; display: grid; place-items: center; text-align: center; padding: 24px; color: var(--ink-3); font-size: 14.5px; }
    [hidden] { display: none; }`;

  // <mvae-painter data-image data-rows data-columns data-target>: the places painted over go to the field "data-target".
  class Painter extends HTMLElement {
    static observedAttributes = ["data-image", "data-rows", "data-columns"];

    constructor() {
      super();
      this.attachShadow({ mode: "open" }).innerHTML = `<style>${PAINTER_STYLE}</style><img alt="The sticker to work on" hidden>
        <div class="grid" hidden role="img" aria-label="Paint over what should be drawn anew"></div>
        <p>Draw a sticker, then paint over the part that should change.</p>`;
      this.grid = this.shadowRoot.querySelector(".grid");
      this.listen();
    }

    attributeChangedCallback(name, before, value) {
      if (before === value) return;
      const { image, rows, columns } = this.dataset, picture = this.shadowRoot.querySelector("img");
      if (image) picture.src = image;
      picture.hidden = this.grid.hidden = !image;
      this.shadowRoot.querySelector("p").hidden = Boolean(image);
      this.grid.style.gridTemplate = `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)`;
      this.grid.replaceChildren(...Array.from({ length: rows * columns }, () => document.createElement("i")));
    }

    listen() {
      let putting = null;
      const paint = (event) => {
        const box = this.grid.getBoundingClientRect(), { rows, columns } = this.dataset;
        const column = Math.floor((event.clientX - box.left) / box.width * columns), row = Math.floor((event.clientY - box.top) / box.height * rows);
        if (column < 0 || row < 0 || column >= columns || row >= rows) return;
        const cell = this.grid.children[row * columns + column];
        putting ??= !cell.classList.contains("on");
        cell.classList.toggle("on", putting);
      };
      this.grid.addEventListener("pointerdown", (event) => { putting = null; this.grid.setPointerCapture(event.pointerId); paint(event); });
      this.grid.addEventListener("pointermove", (event) => { if (putting !== null) paint(event); });
      for (const name of ["pointerup", "pointercancel"]) this.grid.addEventListener(name, () => {
        if (putting === null) return;
        putting = null;
        const chosen = [...this.grid.children].flatMap((cell, place) => (cell.classList.contains("on") ? [place] : []));
        hand(this.dataset.target, chosen.join(" "));
      });
    }
  }

  customElements.define("mvae-painter", Painter);
  customElements.define("mvae-map", LatentMap);
  customElements.define("mvae-thumbnail", Thumbnail);

  // The example that stands in the field is replaced by the first word typed.
  document.addEventListener("focusin", (event) => {
    const field = event.target;
    if (field.closest?.("#prompt") && !field.dataset.touched) { field.dataset.touched = "1"; field.select(); }
  });
})();
