// What charts can do beyond being looked at: a crosshair with the values under it, shared by all charts of a page; dragging to zoom;
// one series alone. Values come from the drawing itself, so they are as exact as a pixel. Without this script the sentence above a
// chart and the table below say the same.
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const SVG = 'http://www.w3.org/2000/svg';
// The plot's own units, as the server draws it.
const WIDTH = 1200;
const HEIGHT = 400;
// How far from the pointer a point may be, in those units.
const NEAR = 15;
const SERIES_MAX = 8;
// Fewer pixels than this are a click.
const DRAG_PX_MIN = 8;

const significant = (value) => String(Number(value.toPrecision(3)));
function scaled(value, base, prefixes) {
  let place = 0;
  for (; Math.abs(value) >= base && place + 1 < prefixes.length; place += 1) value /= base;
  return significant(value) + prefixes[place];
}
const units = {
  number: (value) => scaled(value, 1_000, ['', 'k', 'M', 'G', 'T', 'P']),
  bytes: (value) => scaled(value, 1_024, [' B', ' KiB', ' MiB', ' GiB', ' TiB', ' PiB']),
  ratio: (value) => `${significant(value * 100)} %`,
  seconds: (value) => (Math.abs(value) < 1 ? `${significant(value * 1_000)} ms` : `${significant(value)} s`),
};
const clock = (ms) => new Date(ms).toISOString().slice(5, 19).replace('T', ' ');

/** What tells a series from the others: of `{host="a"}` only the value. */
const short = (name) => name.replace(/^\{[^=,]+="([^"]*)"\}$/, '$1').slice(0, 60);

/** The points of a path of relative steps, in the plot's units. */
function pointsOf(path) {
  const out = [];
  for (const run of path.split('M').slice(1)) {
    const [start, steps = ''] = run.split(/[lh]/);
    const numbers = (text) => (text.match(/-?\d+/g) ?? []).map(Number);
    let [x, y] = numbers(start);
    out.push([x, y]);
    const rest = numbers(steps);
    for (let at = 0; at + 1 < rest.length; at += 2) {
      x += rest[at];
      y += rest[at + 1];
      out.push([x, y]);
    }
  }
  return out;
}

function nearest(points, x) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle + 1;
    else high = middle;
  }
  const found = [points[low - 1], points[low]].filter(Boolean).sort((a, b) => Math.abs(a[0] - x) - Math.abs(b[0] - x))[0];
  return found && Math.abs(found[0] - x) <= NEAR ? found : null;
}

const charts = [];
/** Puts the line at a time in every chart, and tells the values under it. */
function showAt(ms) {
  for (const chart of charts) chart.showAt(ms);
}

function chartOf(box) {
  const { from, to, low, high, unit } = Object.fromEntries(
    Object.entries(box.dataset).map(([name, text]) => [name, name === 'unit' ? text : Number(text)]),
  );
  const plot = $('.pl', box);
  const rows = $$('tbody tr', box.parentElement.querySelector('table') ?? document.createElement('table'));
  const series = $$('path:not(.thr)', plot).map((path, at) => ({ path, points: pointsOf(path.getAttribute('d')), row: rows[at] }));
  const make = (name, kind) => {
    const made = document.createElementNS(SVG, name);
    made.setAttribute('class', kind);
    made.setAttribute('visibility', 'hidden');
    plot.append(made);
    return made;
  };
  const shade = make('rect', 'shade');
  const line = make('line', 'cross');
  line.setAttribute('y2', '100%');
  const readout = $('.readout', box);
  let at = null;
  const timeOf = (event) => {
    const { left, width } = plot.getBoundingClientRect();
    return from + Math.min(1, Math.max(0, (event.clientX - left) / width)) * (to - from);
  };
  const percent = (ms) => `${((ms - from) / (to - from)) * 100}%`;
  const chart = {
    showAt(ms) {
      at = ms;
      const inside = ms !== null && ms >= from && ms <= to;
      line.setAttribute('visibility', inside ? 'visible' : 'hidden');
      if (!inside) return void (readout.textContent = '');
      line.setAttribute('x1', percent(ms));
      line.setAttribute('x2', percent(ms));
      const x = ((ms - from) / (to - from)) * WIDTH;
      const values = series.filter(({ path }) => !path.classList.contains('off')).map(({ points, row }) => {
        const found = nearest(points, x);
        return found && { name: $('code', row ?? box)?.textContent ?? '', value: low + ((HEIGHT - found[1]) / HEIGHT) * (high - low) };
      }).filter(Boolean).sort((a, b) => b.value - a.value);
      const told = values.slice(0, SERIES_MAX).map(({ name, value }) => `${short(name)} ${(units[unit] ?? units.number)(value)}`);
      const more = values.length > SERIES_MAX ? [`and ${values.length - SERIES_MAX} more`] : [];
      readout.textContent = [`${clock(ms)} UTC`, ...(told.length ? told : ['no data']), ...more].join(' · ');
    },
  };
  let start = null;
  plot.addEventListener('pointermove', (event) => {
    const ms = timeOf(event);
    showAt(ms);
    if (!start) return;
    const [a, b] = [start.ms, ms].sort((a, b) => a - b);
    shade.setAttribute('visibility', 'visible');
    shade.setAttribute('x', percent(a));
    shade.setAttribute('width', `${((b - a) / (to - from)) * 100}%`);
    shade.setAttribute('height', '100%');
  });
  plot.addEventListener('pointerleave', () => start || showAt(null));
  plot.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || event.pointerType === 'touch') return;
    event.preventDefault();
    plot.setPointerCapture(event.pointerId);
    start = { ms: timeOf(event), x: event.clientX };
  });
  plot.addEventListener('pointerup', (event) => {
    const begun = start;
    start = null;
    shade.setAttribute('visibility', 'hidden');
    if (begun && Math.abs(event.clientX - begun.x) >= DRAG_PX_MIN) zoom(box, ...[begun.ms, timeOf(event)].sort((a, b) => a - b));
  });
  plot.setAttribute('tabindex', '0');
  plot.addEventListener('blur', () => showAt(null));
  plot.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    showAt(Math.min(to, Math.max(from, (at ?? to) + (by * (to - from)) / 120)));
  });
  for (const { path, row } of series) if (row) solo(series, path, row);
  return chart;
}

/** A click on a series of the legend shows it alone; another brings all back. */
function solo(series, path, row) {
  const key = $('.line', row);
  if (!key || series.length < 2) return;
  key.setAttribute('role', 'button');
  key.setAttribute('tabindex', '0');
  key.setAttribute('aria-pressed', 'false');
  key.title = 'Only this series, or all again';
  const toggle = () => {
    const alone = key.getAttribute('aria-pressed') !== 'true';
    for (const other of series) {
      other.path.classList.toggle('off', alone && other.path !== path);
      $('.line', other.row ?? row)?.setAttribute('aria-pressed', String(alone && other.path === path));
    }
  };
  key.addEventListener('click', toggle);
  key.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    toggle();
  });
}

/**
 * To the same view between two times: this page where it has a window, the metrics page otherwise. Whole seconds around what was
 * chosen, so that nothing of it is cut off; and no less than one, which is the shortest window.
 */
function zoom(box, from, to) {
  from = Math.floor(from / 1_000) * 1_000;
  to = Math.max(Math.ceil(to / 1_000) * 1_000, from + 1_000);
  const own = $('#main input[name=from]:not([type=hidden])');
  const url = new URL(own ? location.href : $('a[href^="/explore"]', box.closest('section'))?.href ?? location.href, location.href);
  for (const [name, ms] of [['from', from], ['to', to]]) url.searchParams.set(name, new Date(ms).toISOString().replace(/\.\d+Z/, 'Z'));
  url.searchParams.delete('cursor');
  location.href = url.href;
}

/** The bars of the logs page: each is a link to its time; dragging over several leads to all of them. */
function bars(box) {
  const links = $$('a', box);
  const indexAt = (event) => {
    const { left, width } = box.getBoundingClientRect();
    return Math.min(links.length - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * links.length)));
  };
  const side = (link, name) => Date.parse(new URL(link.href.baseVal, location.href).searchParams.get(name));
  let start = null;
  let dragged = false;
  box.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || event.pointerType === 'touch') return;
    start = { at: indexAt(event), x: event.clientX };
    dragged = false;
  });
  box.addEventListener('dragstart', (event) => event.preventDefault());
  box.addEventListener('pointermove', (event) => {
    if (!start) return;
    const [a, b] = [start.at, indexAt(event)].sort((a, b) => a - b);
    dragged = Math.abs(event.clientX - start.x) >= DRAG_PX_MIN;
    links.forEach((link, at) => link.classList.toggle('on', dragged && at >= a && at <= b));
  });
  document.addEventListener('pointerup', (event) => {
    if (!start) return;
    const [a, b] = [start.at, indexAt(event)].sort((a, b) => a - b);
    start = null;
    if (dragged) zoom(box, side(links[a], 'from'), side(links[b], 'to'));
  });
  box.addEventListener('click', (event) => dragged && event.preventDefault(), true);
}

function begin() {
  charts.length = 0;
  charts.push(...$$('.chart[data-from]').map(chartOf));
  $$('.hist .bars').forEach(bars);
}
begin();
document.addEventListener('fresh', begin);
