// Looks at every page of a running server in a real browser: `node run.mjs http://127.0.0.1:8080 [path ...]`.
// Without paths it visits every page that the navigation has, and what they link to. `SHOTS=DIR` keeps pictures.
// Prints `N passed, M failed`; exits 0 only if none failed, or if there is no browser to look with.
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';

import { livesOn } from './live.mjs';

const WIDTHS = [320, 360, 390, 768, 1366];
const BYTES_MAX = 100_000;
const REQUESTS_MAX = 4;
const AXE_RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const base = process.argv[2]?.replace(/\/$/, '');
if (!base) {
  console.error('usage: node run.mjs http://HOST:PORT [path ...]');
  process.exit(2);
}
const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
if (!browserPath || !existsSync(new URL('node_modules/playwright-core', import.meta.url))) {
  console.log('skipped: no chromium or no node_modules here; run tests/ui/setup');
  process.exit(0);
}
const { chromium } = await import('playwright-core');
const axe = createRequire(import.meta.url)('axe-core').source;

let passed = 0;
const failures = [];
function check(holds, name, detail = '') {
  if (holds) passed += 1;
  else failures.push(`${name}${detail ? `: ${detail}` : ''}`);
}

const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });

/** A page that reports what it should not have. */
async function open(context, path, complaints) {
  const page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith('data:')) complaints.push(`asks a third party: ${url}`);
  });
  const response = await page.goto(base + path, { waitUntil: 'load' });
  return { page, response };
}

/** The pages of this server, with the states that its data allows. */
async function discover() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const paths = ['/', '/explore', '/explore?q=1%2B1', '/explore?q=sum(rate(x%5B5m%5D)', '/explore?q=up%7B&from=nonsense',
    '/logs', '/logs?q=severity%3A%3E%3Dwarn&cols=http.route,severity', '/logs?view=patterns', '/logs?q=servce.name%3Ax',
    '/logs/context?cursor=1-1-1', '/logs/trace?id=x', '/logs?q=nothing-has-this-word-in-it', '/logs?q=(', '/alerts',
    '/alerts?tab=pending', '/alerts?tab=resolved', '/alerts?tab=history', '/alerts?tab=noise', '/alerts?tab=rules', '/notifications',
    '/silences', '/silences?matchers=severity%3D~%22.%2B%22&lasts=1h', '/silences?matchers=severity%3D', '/ingest', '/settings', '/d', '/d/binnacle', '/d/services?service=api&from=now-15m', '/status',
    '/nothing-here'];
  const first = async (from, selector) => {
    await page.goto(base + from);
    const found = page.locator(selector).first();
    return (await found.count()) ? found.getAttribute('href') : null;
  };
  const metric = await first('/explore', 'td.name a');
  if (metric) paths.push(metric, `${metric}&view=table`, `${metric}&view=heatmap`, `${metric}&from=now-7d`);
  paths.push('/explore?q=sum+by+(le)+(rate(http_server_request_duration_seconds_bucket%5B5m%5D))&view=heatmap');
  for (const selector of ['.ctx', '.acts a[href^="/logs/trace"]']) {
    const around = await first('/logs', selector);
    if (around) paths.push(around);
  }
  const rule = await first('/alerts?tab=rules', 'td.name a');
  if (rule) paths.push(rule);
  for (const selector of ['.alert a.name', '.alert a.lbl']) {
    const about = await first('/alerts', selector);
    if (about) paths.push(about);
  }
  const host = await first('/', 'td.name a[href^="/h/"]');
  if (host) paths.push(host);
  const why = await first('/alerts', 'a[href^="/alerts/why/"]');
  if (why) paths.push(why);
  await context.close();
  return paths;
}

const paths = process.argv.length > 3 ? process.argv.slice(3) : await discover();

/** What axe finds wrong with a page. */
async function looksWell(page) {
  return page.evaluate(async ([source, rules]) => {
    if (!window.axe) (0, eval)(source);
    const result = await window.axe.run(document, { runOnly: rules });
    return result.violations.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 120)}`);
  }, [axe, AXE_RULES]).catch((error) => [String(error)]);
}

async function looksRight(path) {
  for (const colorScheme of ['light', 'dark']) {
    const complaints = [];
    const context = await browser.newContext({ colorScheme, viewport: { width: 1366, height: 900 } });
    const { page, response } = await open(context, path, complaints);
    const expected = path === '/nothing-here' ? 404 : 200;
    check(response.status() === expected, `${path} answers ${expected}`, String(response.status()));
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      for (const opened of [false, true]) {
        await page.evaluate((opened) => document.querySelectorAll('details').forEach((d, n) => { d.open = opened && n < 3; }), opened);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        check(wide <= 0, `${path} does not scroll sideways at ${width}px${opened ? ' with details open' : ''}`, `${wide}px too wide`);
      }
      if (width === 390 || width === 1366) {
        const found = await looksWell(page);
        check(found.length === 0, `${path} has no axe violations, ${colorScheme} ${width}px`, found.join('; '));
        if (process.env.SHOTS) {
          mkdirSync(process.env.SHOTS, { recursive: true });
          await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = false; }));
          const name = path.replace(/[^a-z0-9]+/gi, '-').slice(0, 60) || 'root';
          await page.screenshot({ path: `${process.env.SHOTS}/${name}-${width}-${colorScheme}.png`, fullPage: true });
        }
      }
    }
    const odd = complaints.filter((text) => expected === 200 || !text.includes('404'));
    check(odd.length === 0, `${path} has no console message, ${colorScheme}`, odd.join('; '));
    await context.close();
  }
}

async function isSmall(path) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  let requests = 0;
  session.on('Network.loadingFinished', (event) => {
    bytes += event.encodedDataLength;
    requests += 1;
  });
  await page.goto(base + path, { waitUntil: 'networkidle' });
  check(bytes > 0 && bytes <= BYTES_MAX, `${path} transfers at most ${BYTES_MAX} bytes`, `${bytes}`);
  check(requests <= REQUESTS_MAX, `${path} needs at most ${REQUESTS_MAX} requests`, `${requests}`);
  await context.close();
  return bytes;
}

async function worksWithoutScript(path) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(base + path);
  const heading = await page.locator('h1').count();
  const main = (await page.locator('main').innerText()).trim();
  check(heading === 1 && main.length > 20, `${path} is whole without JavaScript`, `${heading} headings, ${main.length} characters`);
  await context.close();
}

/** From the list of alerts to one that somebody looks after and that is silent, with as few pages as that needs. */
async function quiets(page, why) {
  let loads = 0;
  const count = (request) => { if (request.isNavigationRequest() && request.method() === 'GET') loads += 1; };
  page.on('request', count);
  await why.click();
  const address = page.url();
  const words = page.locator('h2:text-is("Who knows of it") ~ ul li');
  check((await words.count()) > 0, 'an alert says who knows of it, and why', address);
  const take = async (comment, button) => {
    await page.getByLabel('Who', { exact: true }).first().fill('ann');
    await page.getByLabel('Why, or what you know').fill(comment);
    await page.locator('#take button', { hasText: button }).click();
  };
  await take('on it', 'Acknowledge');
  check((await page.locator('main').innerText()).includes('ann has it'), 'an alert is acknowledged on a phone', page.url());
  check(loads <= 2, 'from the list to an acknowledgement it takes one page and its answer', `${loads}`);
  await page.locator('a', { hasText: 'Silence more' }).click();
  const silences = page.locator('section[aria-label=Silences] tbody tr');
  const before = await silences.count();
  await page.locator('button', { hasText: 'Preview' }).click();
  const held = page.locator('h2:text-is("What it would hold back") ~ ul li');
  check((await held.count()) > 0, 'a silence shows beforehand what it holds back', page.url());
  check((await silences.count()) === before, 'a preview makes no silence', page.url());
  await page.goto(address);
  await take('looking at it', 'Silence');
  check((await silences.allInnerTexts()).some((text) => text.includes('looking at it')), 'a silence is made on a phone', page.url());
  await page.goto(address);
  const told = (await words.allInnerTexts()).join(' ');
  check(/silence/i.test(told) && told.includes('ann'), 'the alert says who silenced it', told);
  await page.locator('button', { hasText: 'Give it back' }).click();
  check(!(await page.locator('main').innerText()).includes('ann has it'), 'an acknowledgement is taken back', page.url());
  await page.goto(`${base}/silences`);
  const end = page.locator('button', { hasText: 'End it' });
  const open = await end.count();
  await end.first().click();
  check((await end.count()) === open - 1, 'a silence is ended on a phone', page.url());
  page.off('request', count);
}

/** What somebody on call does, on a phone, without JavaScript. */
async function walks() {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  await page.goto(`${base}/logs`);
  const rows = page.locator('.logs > details');
  if (await rows.count()) {
    await rows.first().locator('summary').click();
    await rows.first().locator('button[name=with]').first().click();
    const q = new URL(page.url()).searchParams.get('q');
    check(Boolean(q) && !page.url().includes('with='), 'a filter button leads to a search that is a link', page.url());
    check((await page.locator('.logs > details').count()) > 0, 'a filter on a row keeps that row', q ?? '');
    await page.goto(`${base}/logs`);
    await rows.first().locator('summary').click();
    await rows.first().locator('.ctx').click();
    check((await page.locator('#here[open]').count()) === 1, 'the lines around a record show it open', page.url());
    await page.goto(`${base}/logs`);
    const value = page.locator('.side button[name=with]').first();
    if (await value.count()) {
      await value.click();
      check(/[?&]q=/.test(page.url()) && (await rows.count()) > 0, 'a value beside the records narrows them', page.url());
    }
    await page.goto(`${base}/logs?limit=2`);
    const older = page.locator('a[rel=next]');
    if (await older.count()) {
      const before = await page.locator('.logs time').first().getAttribute('datetime');
      await older.click();
      const after = await page.locator('.logs time').first().getAttribute('datetime');
      check(after <= before, 'older leads to older records', `${before} then ${after}`);
    }
  }
  await page.goto(`${base}/explore`);
  const metric = page.locator('td.name a');
  if (await metric.count()) {
    await metric.first().click();
    const drawn = (await page.locator('svg.pl').count()) + (await page.locator('.note').count());
    check(drawn > 0, 'a metric of the list leads to its graph, or says why there is none', page.url());
  }
  await page.goto(`${base}/alerts?tab=rules`);
  const rule = page.locator('td.name a');
  if (await rule.count()) {
    await rule.first().click();
    check((await page.locator('h2', { hasText: 'Condition' }).count()) === 1, 'a rule of the list leads to its page', page.url());
  }
  await page.goto(`${base}/alerts`);
  const why = page.locator('a[href^="/alerts/why/"]');
  if (await why.count()) await quiets(page, why.first());
  await page.goto(`${base}/alerts`);
  const alert = page.locator('.alert a.name');
  if (await alert.count()) {
    await alert.first().click();
    check((await page.locator('svg.pl .bf').count()) > 0, 'the page of an alert shows when it fires', page.url());
    const records = await page.locator('.logs > details').count();
    await page.locator('#take input[name=by]').fill('anna');
    await page.locator('#take input[name=comment]').fill('looking');
    await page.locator('#take button', { hasText: 'Acknowledge' }).click();
    check((await page.locator('button', { hasText: 'Give it back' }).count()) === 1, 'an alert is acknowledged in one form', page.url());
    if (records) {
      await page.locator('.logs summary').first().click();
      const trace = page.locator('.logs a[href^="/logs/trace"]');
      if (await trace.count()) {
        await trace.first().click();
        check((await page.locator('.logs > details').count()) > 0, 'an alert leads to a trace over its records', page.url());
      }
    }
  }
  await page.goto(`${base}/`);
  check((await page.locator('.top nav a:visible').count()) === 5, 'the bar of a phone holds five entries in one line');
  await page.locator('.top nav .more').click();
  await page.locator('#more a', { hasText: 'Silences' }).click();
  check(page.url().endsWith('/silences'), 'the other pages are behind More', page.url());
  await page.goto(`${base}/notifications`);
  const test = page.locator('form[action="/notifications/test"] button');
  if (await test.count()) {
    await test.first().click();
    const shown = page.locator('#test');
    for (let tries = 0; tries < 40 && !(await shown.locator('td').count()); tries += 1) {
      await page.waitForTimeout(250);
      await shown.locator('a', { hasText: 'Look again' }).click();
    }
    const words = (await shown.count()) ? await shown.innerText() : '';
    check(/accepted|refused|failed/.test(words), 'a test of a receiver shows what the provider answers', words);
  }
  await context.close();

  const scripted = await browser.newContext();
  const live = await scripted.newPage();
  const complaints = [];
  live.on('pageerror', (error) => complaints.push(String(error)));
  await live.goto(`${base}/logs`);
  if (await live.locator('.logs > details').count()) {
    await live.keyboard.press('j');
    await live.keyboard.press('Enter');
    const copy = live.locator('.logs > details[open] .acts button').first();
    check(await copy.waitFor({ timeout: 10_000 }).then(() => true, () => false), 'keys open a record, which can be copied');
    await live.keyboard.press('?');
    check(await live.locator('#keys').isVisible(), 'a key shows the keys');
    await live.keyboard.press('Escape');
    const before = await live.locator('.logs time').first().getAttribute('datetime');
    await live.locator('#live').click();
    const newer = await live.waitForFunction((before) => document.querySelector('.logs time').dateTime > before, before, { timeout: 30_000 })
      .then(() => true, () => false);
    check(newer, 'the live tail puts new records on top', await live.locator('#say').innerText());
    await live.locator('#live').click();
    check((await live.locator('#say').innerText()).includes('stopped'), 'the live tail stops');
  }
  check(complaints.length === 0, 'the script of the logs page has no error', complaints.join('; '));
  await scripted.close();

  const chart = await (await browser.newContext({ viewport: { width: 1366, height: 900 } })).newPage();
  await chart.goto(`${base}/explore?q=binnacle_store_active_series`);
  const plot = chart.locator('svg.pl');
  if (await plot.count()) {
    const box = await plot.boundingBox();
    await chart.mouse.move(box.x + box.width * 0.98, box.y + 50);
    const told = await chart.locator('.readout').innerText();
    check(/UTC · .*\d/.test(told), 'the crosshair tells time and value', told);
    await chart.mouse.move(box.x + box.width * 0.5, box.y + 50);
    await chart.mouse.down();
    await chart.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 5 });
    await Promise.all([chart.waitForURL(/from=\d{4}-.*to=\d{4}-/), chart.mouse.up()]);
    check(chart.url().includes('q=binnacle_store_active_series'), 'dragging over a chart zooms into it', chart.url());
    await chart.keyboard.press('g');
    await chart.keyboard.press('a');
    await chart.waitForURL(/\/alerts$/);
    await chart.keyboard.press('j');
    check(await chart.evaluate(() => document.activeElement.matches('a.name')), 'j goes to the next alert');
    await chart.locator('#fresh').click();
    check((await chart.locator('#fresh').getAttribute('aria-pressed')) === 'true', 'a page keeps itself fresh when asked to');
  }
  await chart.context().close();

  await suggests();
  await keepsWords();
  await livesOn(browser, base, check);

  const keys = await (await browser.newContext()).newPage();
  await keys.goto(`${base}/`);
  await keys.keyboard.press('Tab');
  check((await keys.evaluate(() => document.activeElement?.textContent)) === 'Skip to content', 'the first key stop skips to the content');
  await keys.context().close();
}

/** What is typed into a form that changes something is neither sent by accident nor lost to a refresh. */
async function keepsWords() {
  const page = await (await browser.newContext()).newPage();
  await page.clock.install();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${base}/silences`);
  const silences = () => page.locator('section[aria-label=Silences] tbody tr').count();
  const before = await silences();
  const words = { matchers: 'alertname="Nothing"', by: 'ann', comment: 'typed by hand' };
  for (const [name, text] of Object.entries(words)) await page.locator(`main [name=${name}]`).fill(text);
  const box = page.locator('textarea[name=matchers]');
  await box.press('End');
  await box.press('Enter');
  await page.keyboard.type('host_name="x"');
  check((await box.inputValue()) === 'alertname="Nothing"\nhost_name="x"', 'Enter is a new line among matchers', `${page.url()} ${await box.inputValue()}`);
  const isRefreshed = async () => {
    const asked = page.waitForResponse((response) => response.url() === page.url(), { timeout: 5_000 }).then(() => true, () => false);
    await page.clock.fastForward(31_000);
    return asked;
  };
  await page.locator('#fresh').click();
  await isRefreshed();
  for (const [name, text] of Object.entries(words)) {
    const kept = await page.locator(`main [name=${name}]`).inputValue();
    check(kept.startsWith(text), `a refresh keeps what was typed as ${name}`, JSON.stringify(kept));
  }
  await Promise.all([page.waitForURL(/[?&]matchers=/, { timeout: 10_000 }).catch(() => {}), box.press('Control+Enter')]);
  check((await page.locator('h2:text-is("What it would hold back")').count()) === 1, 'Ctrl+Enter among matchers is the preview', page.url());
  check((await silences()) === before, 'no key among matchers makes a silence', page.url());
  await page.goto(`${base}/silences`);
  check(await isRefreshed(), 'a page without typed words refreshes itself', page.url());
  check(complaints.length === 0, 'the script of the silences page has no error', complaints.join('; '));
  await page.context().close();
}

/** The query box says what could be written, and writes what is chosen with keys alone. */
async function suggests() {
  const page = await (await browser.newContext()).newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${base}/explore`);
  await page.keyboard.press('/');
  const rows = page.locator('#suggestions [role=option]');
  const box = page.locator('textarea[name=q]');
  const shown = async (name) => check(await rows.first().waitFor({ timeout: 10_000 }).then(() => true, () => false), name, await box.inputValue());
  await page.keyboard.type('binnacle_store_act', { delay: 20 });
  await shown('the query box suggests metrics');
  check((await looksWell(page)).length === 0, 'suggestions have no axe violations', (await looksWell(page)).join('; '));
  await page.keyboard.press('ArrowDown');
  check((await rows.first().getAttribute('aria-selected')) === 'true', 'an arrow chooses a suggestion');
  await page.keyboard.press('Enter');
  check((await box.inputValue()) === 'binnacle_store_active_series', 'Enter takes the chosen suggestion', await box.inputValue());
  await page.keyboard.type('{jo', { delay: 20 });
  await shown('the query box suggests labels');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  await shown('the query box suggests values');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.keyboard.type('}');
  check((await box.inputValue()) === 'binnacle_store_active_series{job="binnacle"}', 'a selector is written with suggestions alone', await box.inputValue());
  await Promise.all([page.waitForURL(/[?&]q=binnacle_store_active_series/), page.keyboard.press('Enter')]);
  check((await page.locator('svg.pl').count()) === 1, 'Enter runs the query', page.url());
  check(complaints.length === 0, 'suggestions have no error', complaints.join('; '));
  await page.context().close();
}

let largest = ['', 0];
for (const path of paths) {
  try {
    await looksRight(path);
    const bytes = await isSmall(path);
    if (bytes > largest[1]) largest = [path, bytes];
    await worksWithoutScript(path);
  } catch (error) {
    check(false, `${path} can be looked at`, String(error).split('\n')[0]);
  }
}
if (process.argv.length <= 3) {
  try {
    await walks();
  } catch (error) {
    check(false, 'the walks end', String(error).split('\n')[0]);
  }
}
await browser.close();

for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${paths.length} pages, largest ${largest[0]} with ${largest[1]} bytes`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
