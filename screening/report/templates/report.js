/* The run report in the browser: language, plots, crystals, table. Texts from the run reach the page through the
   template (escaped) or as plot labels (escaped by formula_markup); nothing here writes HTML. */
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const root = document.documentElement;
  const percent = (share) => (100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0) + " %";
  const short = (value) => (value === null ? "–" : String(Number(value.toPrecision(3))));
  let language = data.language || ((navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en");
  const say = (english, chinese) => (language === "zh" ? chinese : english);

  /* Figures hold {en, zh} wherever a text stands. */
  function localized(value) {
    if (Array.isArray(value)) return value.map(localized);
    if (value === null || typeof value !== "object") return value;
    if (typeof value.en === "string" && typeof value.zh === "string") return value[language];
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, localized(inner)]));
  }

  /* ---- any two targets against each other ---- */
  const axisX = document.getElementById("axis-x");
  const axisY = document.getElementById("axis-y");

  function axisOf(property) {
    return {
      title: { text: property.axis, standoff: 8 }, ...property.view,
      gridcolor: "#e6e9ed", zeroline: false, linecolor: "#b8bfc7", ticks: "outside", tickcolor: "#b8bfc7", automargin: true,
    };
  }

  function described(all, row) {
    const lines = [`<b>${all.formula[row]}</b>  ` + say(`rank ${all.rank[row]}`, `排序 ${all.rank[row]}`)];
    for (const property of Object.values(all.properties)) {
      const [low, high] = [property.lo[row], property.hi[row]];
      const interval = high === null && low !== null
        ? `≥ ${short(low)}` : say(`${short(low)} to ${short(high)}`, `${short(low)} 至 ${short(high)}`);
      lines.push(`${property.label[language]}${say(": ", "：")}${short(property.pred[row])}${say(` (${interval})`, `（${interval}）`)} ${property.unit}`);
    }
    lines.push(say("all targets: ", "全部目标：") + percent(all.probability[row]));
    return lines.join("<br>");
  }

  function dots(all, rows, x, y, more) {
    return {
      type: "scatter", x: rows.map((row) => x.pred[row]), y: rows.map((row) => y.pred[row]),
      text: rows.map((row) => described(all, row)), hovertemplate: "%{text}<extra></extra>", ...more,
    };
  }

  /* Annotations on a logarithmic axis are placed by exponent, unlike points and shapes. */
  function placed(property, row) {
    return property.view.type === "log" ? Math.log10(property.pred[row]) : property.pred[row];
  }

  /* An open interval goes to the edge of the figure. */
  function bars(property, rows) {
    const upper = (row) => property.hi[row] ?? Math.max(property.ends[1], property.pred[row]);
    return {
      type: "data", symmetric: false, color: "rgba(213,94,0,0.65)", thickness: 1.4, width: 4,
      array: rows.map((row) => upper(row) - property.pred[row]),
      arrayminus: rows.map((row) => property.pred[row] - property.lo[row]),
    };
  }

  function tradeoff() {
    const all = data.tradeoff;
    const [first, second] = [axisX.value, axisY.value];
    const [x, y] = [all.properties[first], all.properties[second]];
    const rows = all.place.map((_, row) => row);
    const others = rows.filter((row) => !all.place[row]).reverse();
    const chosen = rows.filter((row) => all.place[row]);
    const known = all.known.formula.map((_, row) => row)
      .filter((row) => all.known[first][row] !== null && all.known[second][row] !== null);
    const traces = [
      {
        type: "scatter", mode: "markers", name: say("known compounds, computed", "已知化合物（计算值）"),
        x: known.map((row) => all.known[first][row]), y: known.map((row) => all.known[second][row]),
        text: known.map((row) => all.known.formula[row]),
        hovertemplate: `%{text}${say(": ", "：")}%{x} ${x.unit}${say(", ", "，")}%{y} ${y.unit}<extra></extra>`,
        marker: { color: "#b4bcc5", size: 4, opacity: 0.75 },
      },
      dots(all, others, x, y, {
        mode: "markers", name: say("ranked candidates", "已排序候选材料"),
        marker: {
          size: 8, color: others.map((row) => all.probability[row]),
          colorscale: [[0, "#cfe3f0"], [0.5, "#4292c6"], [1, "#08306b"]], line: { color: "white", width: 0.5 },
          showscale: others.length > 0,
          colorbar: {
            title: { text: say("probability of<br>all targets", "满足全部<br>目标的概率"), font: { size: 12 } },
            tickformat: ".0%", thickness: 10, len: 0.5, outlinewidth: 0,
          },
        },
      }),
      dots(all, chosen, x, y, {
        mode: "markers", name: say("shortlisted, with 90 % interval", "入选，附 90 % 区间"),
        error_x: bars(x, chosen), error_y: bars(y, chosen),
        marker: { size: 12, color: "#d55e00", symbol: "diamond", line: { color: "white", width: 1 } },
      }),
    ];
    const ends = (property) => [property.wanted[0] ?? property.ends[0], property.wanted[1] ?? property.ends[1]];
    const [[x0, x1], [y0, y1]] = [ends(x), ends(y)];
    const limit = { type: "line", layer: "below", line: { color: "#009e73", width: 1.5 } };
    const finite = (property) => property.wanted.filter((end) => end !== null);
    const labels = chosen.slice(0, 20).map((row) => ({
      x: placed(x, row), y: placed(y, row),
      text: `<b>${all.formula[row]}</b>`, showarrow: false, xanchor: "left", yanchor: "bottom", xshift: 7, yshift: 5,
      font: { color: "#a34700", size: 13 }, bgcolor: "rgba(255,255,255,0.7)", borderpad: 1,
    }));
    const layout = {
      xaxis: axisOf(x), yaxis: axisOf(y), margin: { l: 60, r: 16, t: 16, b: 50 }, font: { color: "#1f2933", size: 13 },
      hovermode: "closest", legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      hoverlabel: { bgcolor: "white", bordercolor: "#b8bfc7", font: { color: "#1f2933" }, align: "left" },
      shapes: [
        { type: "rect", x0, x1, y0, y1, layer: "below", fillcolor: "rgba(0,158,115,0.10)", line: { width: 0 } },
        ...finite(x).map((end) => ({ ...limit, x0: end, x1: end, y0, y1 })),
        ...finite(y).map((end) => ({ ...limit, y0: end, y1: end, x0, x1 })),
      ],
      annotations: labels,
    };
    return localized({ data: traces, layout });
  }

  function fillAxes() {
    const all = data.tradeoff;
    if (!all) return;
    for (const [select, value] of [[axisX, all.first[0]], [axisY, all.first[1]]]) {
      const kept = select.value || value;
      select.replaceChildren(...Object.entries(all.properties).map(([name, property]) => new Option(property.label[language], name)));
      select.value = kept;
      select.onchange = () => draw(document.querySelector('[data-figure="tradeoff"]'));
    }
  }

  /* ---- plots, drawn when they come near the window ---- */
  const plots = [...document.querySelectorAll(".plot")];
  const drawn = new Set();

  function draw(holder) {
    const name = holder.dataset.figure;
    const figure = name === "tradeoff" ? tradeoff() : localized(data.figures[name]);
    figure.layout.font.family = getComputedStyle(document.body).fontFamily;
    const first = !drawn.has(holder);
    drawn.add(holder);
    const done = Plotly.react(holder, figure.data, figure.layout, {
      responsive: true, displaylogo: false, displayModeBar: "hover",
      // By default plotly.js offers to send the data of a plot to its maker's server.
      showSendToCloud: false, plotlyServerURL: "", modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]],
      doubleClick: name === "tradeoff" || name === "distribution" ? "reset" : "reset+autosize", // codespell:ignore
    });
    if (first) holder.on("plotly_relayout", (changes) => freeTicks(holder, changes));
    return done;
  }

  /* The ticks of a plot are those of its first view; once a reader zooms in, plotly chooses them. */
  function freeTicks(holder, changes) {
    if (!Object.keys(changes).some((key) => /^[xy]axis\.range/.test(key))) return;
    if (holder.layout.xaxis.tickmode !== "array" && holder.layout.yaxis.tickmode !== "array") return;
    Plotly.relayout(holder, { "xaxis.tickmode": "auto", "yaxis.tickmode": "auto" });
  }

  /* ---- crystals ---- */
  const stages = [...document.querySelectorAll(".stage[data-crystal]")];
  const live = []; // browsers keep some 16 drawing contexts alive; the oldest viewer gives its own back

  function hasWebGL() {
    try {
      const canvas = document.createElement("canvas");
      return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
    } catch (error) {
      return false;
    }
  }
  const webgl = typeof window.$3Dmol !== "undefined" && hasWebGL();

  function retire(stage) {
    const canvas = stage.querySelector("canvas");
    const context = canvas && (canvas.getContext("webgl2") || canvas.getContext("webgl"));
    const loss = context && context.getExtension("WEBGL_lose_context");
    if (loss) loss.loseContext();
    stage.querySelector(".viewer").remove();
    stage.classList.remove("live");
  }

  function point(values, at) {
    return { x: values[at], y: values[at + 1], z: values[at + 2] };
  }

  function showCrystal(stage) {
    const scene = data.crystals[Number(stage.dataset.crystal)];
    if (!webgl || !scene || stage.classList.contains("live")) return;
    const box = document.createElement("div");
    box.className = "viewer";
    // The wheel scrolls the page, as everywhere else on it, unless Ctrl is held.
    box.addEventListener("wheel", (event) => { if (!event.ctrlKey) event.stopImmediatePropagation(); }, true);
    stage.append(box);
    let viewer;
    try {
      viewer = $3Dmol.createViewer(box, { backgroundColor: "white", antialias: true, orthographic: true, disableFog: true });
    } catch (error) {
      viewer = null;
    }
    if (!viewer) {
      box.remove();
      return;
    }
    const atoms = scene.atoms.map(([kind, x, y, z], index) => (
      { elem: scene.kinds[kind][0], x, y, z, index, serial: index, bonds: [], bondOrder: [] }
    ));
    for (const [one, other] of scene.bonds) {
      atoms[one].bonds.push(other);
      atoms[one].bondOrder.push(1);
      atoms[other].bonds.push(one);
      atoms[other].bondOrder.push(1);
    }
    viewer.addModel().addAtoms(atoms);
    for (const [elem, color, radius] of scene.kinds) {
      viewer.setStyle({ elem }, { sphere: { radius, color }, stick: { radius: 0.08, color } });
    }
    scene.edges.forEach((edge, index) => {
      const [start, end] = [point(edge, 0), point(edge, 3)];
      viewer.addCylinder({ start, end, radius: 0.025, color: "#7b8794", fromCap: 1, toCap: 1 });
      if (index < 3) {
        const beyond = (from, to) => to + 0.06 * (to - from);
        const position = { x: beyond(start.x, end.x), y: beyond(start.y, end.y), z: beyond(start.z, end.z) };
        viewer.addLabel("abc"[index], {
          position, fontSize: 14, fontColor: "#52606d", showBackground: false, alignment: "center",
        });
      }
    });
    viewer.zoomTo();
    viewer.zoom(1.75);
    viewer.render();
    stage.classList.add("live");
    live.push(stage);
    if (live.length > 8) retire(live.shift());
  }

  /* ---- table of ranked candidates ---- */
  const table = document.getElementById("ranked-table");
  const FIRST = 20;

  function refreshTable() {
    if (!table) return;
    const filter = document.getElementById("filter");
    const expand = document.getElementById("expand");
    const open = Boolean(expand && expand.classList.contains("open"));
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let matching = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      const matches = words.every((word) => text.includes(word));
      matching += matches;
      row.hidden = !matches || (!open && matching > FIRST);
    }
    const visible = open ? matching : Math.min(matching, FIRST);
    document.getElementById("shown").textContent = say(`${visible} of ${matching} shown`, `显示 ${visible} / ${matching}`);
    filter.placeholder = filter.dataset[language === "zh" ? "placeholderZh" : "placeholderEn"];
  }

  function sortBy(heading) {
    const column = [...heading.parentNode.children].indexOf(heading);
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.value;
    const order = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // nothing predicted comes last either way
      const [x, y] = [Number(a), Number(b)];
      const difference = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
      return descending ? -difference : difference;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => order(key(a), key(b))));
    refreshTable();
  }

  if (table) {
    table.tHead.querySelectorAll("[data-sort]").forEach((heading) => {
      heading.querySelector("button").onclick = () => sortBy(heading);
    });
    document.getElementById("filter").oninput = refreshTable;
    const expand = document.getElementById("expand");
    if (expand) expand.onclick = () => { expand.classList.toggle("open"); refreshTable(); };
  }

  /* ---- language ---- */
  function speak(chosen) {
    language = chosen;
    root.dataset.language = chosen;
    root.lang = chosen === "zh" ? "zh-CN" : "en";
    if (data.title) document.title = `${data.title[chosen]} – matloop`;
    document.querySelectorAll("[data-choose]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.choose === chosen));
      button.onclick = () => speak(button.dataset.choose);
    });
    fillAxes();
    refreshTable();
    drawn.forEach(draw);
  }
  speak(language);

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      if (entry.target.classList.contains("plot")) {
        watcher.unobserve(entry.target);
        if (!drawn.has(entry.target)) draw(entry.target);
      } else {
        showCrystal(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  [...plots, ...stages].forEach((element) => watcher.observe(element));
  /* On paper plots have the width that the style sheet leaves them there: pairs half the page each. */
  const titleSize = (size) => ({ "xaxis.title.font.size": size, "yaxis.title.font.size": size });
  const paper = (holder) => (holder.classList.contains("tall") ? [670, 430] : [325, 300]);
  window.addEventListener("beforeprint", () => {
    for (const holder of plots) {
      if (!drawn.has(holder)) draw(holder);
      const [width, height] = paper(holder);
      Plotly.relayout(holder, { width, height, ...titleSize(10), "font.size": 10 });
    }
  });
  window.addEventListener("afterprint", () => plots.forEach((holder) => {
    Plotly.relayout(holder, { width: null, height: null, autosize: true, ...titleSize(null), "font.size": 13 });
  }));
})();
