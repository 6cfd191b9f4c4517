// What the pages can do beyond links and forms: keys, copying, live tail, and pages that keep themselves fresh. Without it everything
// else works.
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
// Found again when the page refreshes itself.
let list = null;
let live = null;
const main = $('#main');
const say = (text) => {
  const note = $('#say') ?? $('#said');
  if (note) note.textContent = text;
};

// Live tail: the newest record on top, 500 rows at most, closed while nobody looks. It begins behind what the page shows, so that what
// came while somebody read comes too.
const ROWS_MAX = 500;
// A browser comes back by itself when a stream breaks off, but not after an answer that is none, as of a server that starts or a proxy
// in front of it: then we do, later each time.
const AGAIN_MS_MIN = 2_000;
const AGAIN_MS_MAX = 30_000;
let source = null;
let place = '';
let skipped = 0;
let again = 0;
let again_ms = AGAIN_MS_MIN;
function stop(text) {
  clearTimeout(again);
  source?.close();
  source = null;
  say(text);
}
function follow() {
  const url = new URL('/logs/tail', location.href);
  const here = new URL(location.href);
  for (const name of ['q', 'cols']) if (here.searchParams.get(name)) url.searchParams.set(name, here.searchParams.get(name));
  if (place) url.searchParams.set('cursor', place);
  clearTimeout(again);
  source = new EventSource(url);
  const opened = source;
  say('Live: waiting for records.');
  source.onopen = () => {
    again_ms = AGAIN_MS_MIN;
    say('Live: waiting for records.');
  };
  source.addEventListener('ready', (event) => {
    place = event.lastEventId;
  });
  source.addEventListener('skipped', (event) => {
    skipped += JSON.parse(event.data).skipped;
  });
  source.addEventListener('fault', (event) => {
    live.setAttribute('aria-pressed', 'false');
    stop(JSON.parse(event.data).error);
  });
  source.onmessage = (event) => {
    place = event.lastEventId || place;
    const held = document.createElement('template');
    held.innerHTML = event.data;
    const row = held.content.firstElementChild;
    if (!row) return;
    $('#nothing')?.remove();
    // Whoever reads further down keeps the place: the browser's scroll anchoring does it.
    list.prepend(row);
    while (list.children.length > ROWS_MAX) list.lastElementChild.remove();
    say(`Live${skipped ? `, ${skipped} skipped` : ''}. Last record ${row.querySelector('time').textContent}.`);
  };
  source.onerror = () => {
    if (opened !== source) return;
    if (opened.readyState !== EventSource.CLOSED) {
      say('Live: connection lost, trying again.');
      return;
    }
    say(`Live: not connected, trying again in ${again_ms / 1_000} s.`);
    again = setTimeout(follow, again_ms);
    again_ms = Math.min(again_ms * 2, AGAIN_MS_MAX);
  };
}
const isLive = () => live?.getAttribute('aria-pressed') === 'true';
function begin() {
  list = $('.logs');
  live = $('#live');
  if (!live || !list?.dataset.place) return;
  place = list.dataset.place;
  live.hidden = false;
  live.addEventListener('click', () => {
    live.setAttribute('aria-pressed', String(!isLive()));
    if (isLive()) follow();
    else stop('Live tail stopped.');
  });
}
begin();
document.addEventListener('visibilitychange', () => {
  if (!isLive()) return;
  if (document.hidden) stop('Live tail paused.');
  else if (!source) follow();
});

// Copying: buttons come when a record is opened.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say('Copied.');
  } catch {
    say('The browser does not let this page copy.');
  }
}
function button(name, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = name;
  made.addEventListener('click', act);
  return made;
}
main.addEventListener('toggle', (event) => {
  const row = event.target;
  const acts = row.open && $('.acts', row);
  if (!acts || $('button', acts)) return;
  const around = new URL($('.ctx', acts).href);
  acts.append(
    button('copy line', () => copy($('.rec pre', row)?.textContent ?? $('.body', row).lastChild.textContent)),
    button('copy JSON', async () => {
      const cursor = encodeURIComponent(around.searchParams.get('cursor'));
      const answer = await fetch(`/api/v1/logs/context?before=0&after=0&cursor=${cursor}`);
      if (answer.ok) copy((await answer.text()).trim());
      else say('The record is not here any more.');
    }),
    button('copy link', () => copy(around.href)),
  );
}, true);

// A query box: Enter runs it, Shift+Enter is a new line, and what could be written comes with the first letter. In a form that changes
// something Enter is a new line, and Ctrl+Enter its first button, as Enter is in its other fields: one that changes nothing.
main.addEventListener('focusin', async ({ target }) => {
  if (target.dataset?.suggest) (await import(target.dataset.suggest)).suggestIn(target);
});
main.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.isComposing || !event.target.matches('form.ask textarea')) return;
  const { form } = event.target;
  const changes = form.method === 'post';
  if (changes ? !event.ctrlKey && !event.metaKey : event.shiftKey) return;
  event.preventDefault();
  form.requestSubmit(changes ? $('button', form) : null);
});

// Fresh by itself: every half minute, unless somebody is reading, typing or selecting, or the window is fixed.
const REFRESH_MS = 30_000;
const fresh = $('#fresh');
let timer = 0;
// What was typed into a form and not sent yet would be lost, wherever the focus is by now; and so would what came back with its reason.
const isTyped = (field) => {
  if (field.matches('select')) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
  if (field.matches('[type=checkbox], [type=radio]')) return field.checked !== field.defaultChecked;
  return field.type !== 'hidden' && field.value !== field.defaultValue;
};
const holdsWords = () => $('form[data-kept]', main) || $$('input, textarea, select', main).some(isTyped);
const isBusy = () => document.hidden || isLive() || $('details[open], dialog[open]')
  || document.activeElement?.closest('#main input, #main textarea, #main select') || !getSelection().isCollapsed;
async function refresh() {
  if (isBusy()) return;
  const shown = $('.clock time');
  if (holdsWords()) {
    say(`Not refreshed: a form here holds words that were not sent. This is as of ${shown.textContent} UTC.`);
    return;
  }
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (isBusy() || holdsWords()) return;
    const held = document.activeElement?.id;
    for (const part of ['#main', '.top nav', '.clock']) $(part).innerHTML = $(part, next).innerHTML;
    document.title = next.title;
    if (held) document.getElementById(held)?.focus();
    begin();
    document.dispatchEvent(new Event('fresh'));
    say('');
  } catch {
    say(`Not refreshed: no answer. This is as of ${shown.textContent} UTC.`);
  }
}
function keepFresh(on) {
  clearInterval(timer);
  if (on) timer = setInterval(refresh, REFRESH_MS);
  fresh.setAttribute('aria-pressed', String(on));
  try {
    localStorage.setItem('fresh', on ? '1' : '');
  } catch { /* A browser that keeps nothing asks again on each page. */ }
}
if (fresh && !new URL(location.href).searchParams.get('to') && !$('.bad form')) {
  fresh.hidden = false;
  fresh.addEventListener('click', () => keepFresh(fresh.getAttribute('aria-pressed') !== 'true'));
  let was = '';
  try {
    was = localStorage.getItem('fresh') ?? '';
  } catch { /* As above. */ }
  if (was) keepFresh(true);
}

// The time in the reader's own zone, and how long ago, where a time is pointed at.
main.addEventListener('pointerover', (event) => {
  const time = event.target.closest?.('time');
  if (!time || time.title) return;
  const at = new Date(time.dateTime);
  const minutes = Math.round((Date.now() - at) / 60_000);
  const ago = minutes < 120 ? `${minutes} min` : minutes < 2_880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1_440)} d`;
  time.title = `${time.dateTime}\n${at.toLocaleString(undefined, { hour12: false })} here\n${ago} ago`;
});

// Keys, never while something is typed.
const keys = {
  '/': () => $('#main [name=q], #main [name=find]')?.focus(),
  t: () => $('input[name=from]')?.focus(),
  r: () => location.reload(),
  f: () => fresh?.click(),
  '[': () => $('[aria-label=earlier]')?.click(),
  ']': () => $('[aria-label=later]')?.click(),
  '-': () => $('[aria-label="zoom out"]')?.click(),
  j: () => step(1),
  k: () => step(-1),
  e: () => step(1, '.v-error, .v-fatal'),
  E: () => step(-1, '.v-error, .v-fatal'),
  c: () => $('.ctx', current() ?? document)?.click(),
  a: () => ($('.acts a', current() ?? document) ?? $('#take input:not([type=hidden])'))?.[current() ? 'click' : 'focus'](),
  w: () => list?.classList.toggle('nowrap'),
  y: () => copy(new URL($('[data-frozen]')?.dataset.frozen || location.href, location.href).href),
  l: () => live?.click(),
  '?': () => $('#keys')?.showModal(),
};
const pages = { o: '/', m: '/explore', l: '/logs', a: '/alerts', s: '/silences', d: '/notifications', b: '/d', i: '/ingest', ',': '/settings' };
// What j and k walk over: records, alerts, and rows that lead somewhere.
const STOPS = '.logs > details, .alert, tbody tr:has(.name a)';
const current = () => document.activeElement?.closest?.(STOPS);
function step(by, only) {
  const rows = $$(STOPS, main);
  let at = rows.indexOf(current());
  do at = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
  while (only && rows[at] && !rows[at].matches(only));
  if (rows[at]) $('summary, a.name, .name a', rows[at]).focus();
}
for (const hint of $$('.keyed')) hint.hidden = false;
let going = false;
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog')) return;
  if (going) {
    going = false;
    if (pages[event.key]) location.href = pages[event.key];
    return;
  }
  if (event.key === 'g') going = true;
  else if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
