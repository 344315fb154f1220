// A room of its own for a test: ./server, lighttpd with the settings that are shipped except for
// its ports and its certificate, terminals (nc), and tabs of a browser.
'use strict';
const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { spawn, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const ROOT = path.resolve(__dirname, '../..');
const SCRATCH = path.join(ROOT, 'build/web');
const CONFIGURATION = path.join(ROOT, 'packaging/lighttpd');
const PATH = `${process.env.PATH}:/usr/sbin`;
const FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];

const found = (tool) => PATH.split(':').find((folder) => fs.existsSync(path.join(folder, tool)));
// The reason to skip what needs these tools, or false. https needs a module of lighttpd's, too.
const MOD_OPENSSL = '/usr/lib/lighttpd/mod_openssl.so';
const missing = (scheme, ...tools) => {
    const absent = tools.filter((tool) => !found(tool));
    if (scheme === 'https' && !fs.existsSync(MOD_OPENSSL)) absent.push(MOD_OPENSSL);
    return absent.length > 0 && `not found on this machine: ${absent.join(', ')}`;
};

// How long a test waits for what must come, in ms: a busy machine is slow.
const PATIENCE = 60000;

async function until(what, check) {
    for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(10)) {
        const value = await check();
        if (value) return value;
    }
    throw new Error(`not within ${PATIENCE} ms: ${what}`);
}

// Ports are free below the range from which Linux gives them to clients. Test programs claim them by
// the hundred: tests/common/ports.rs tells how.
const is_free = (port) =>
    new Promise((resolve) => {
        const server = net.createServer().on('error', () => resolve(false));
        server.listen(port, () => server.close(() => resolve(true)));
    });
const claim = (port) =>
    new Promise((resolve) => {
        const socket = dgram.createSocket('udp4').on('error', () => resolve(false));
        socket.bind(port, '127.0.0.1', () => resolve(socket.unref()));
    });
let [next, end] = [0, 0];
async function free_port() {
    for (let block = process.pid; ; ) {
        if (next < end) {
            const port = next++;
            if (await is_free(port)) return port;
        } else {
            const first = 10000 + (block++ % 200) * 100;
            if (await claim(first)) [next, end] = [first, first + 100];
        }
    }
}

const listens = (port) =>
    new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1', () => resolve(socket.destroy()));
        socket.on('error', () => resolve(false));
    });

// Each test program makes its own: two that make one at the same time would mix its parts.
let has_certificate = false;
function certificate() {
    const pem = path.join(SCRATCH, `certificate-${process.pid}.pem`);
    if (!has_certificate) {
        has_certificate = true;
        execFileSync(
            'openssl',
            [
                'req',
                '-x509',
                '-newkey',
                'rsa:2048',
                '-nodes',
                '-days',
                '30',
                '-subj',
                '/CN=localhost',
                '-addext',
                'subjectAltName=DNS:localhost',
                '-keyout',
                `${pem}.key`,
                '-out',
                `${pem}.crt`,
            ],
            { stdio: 'ignore' },
        );
        fs.writeFileSync(
            pem,
            ['key', 'crt'].map((part) => fs.readFileSync(`${pem}.${part}`)).join(''),
        );
    }
    return pem;
}

class Room {
    constructor(scheme) {
        Object.assign(this, { scheme, children: [], complaints: [] });
    }

    // Without a server where the test is one itself; with more settings for lighttpd.
    async open({ options = [], server = true, settings = '' } = {}) {
        fs.mkdirSync(SCRATCH, { recursive: true });
        this.port = await free_port();
        this.plain = await free_port();
        this.tls = await free_port();
        this.url = `${this.scheme}://localhost:${this.scheme === 'https' ? this.tls : this.plain}/`;
        if (server) await this.serve(...options);
        await this.proxy(settings);
    }

    run(command, args) {
        const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, PATH } });
        child.printed = '';
        for (const output of [child.stdout, child.stderr]) {
            output.setEncoding('utf8').on('data', (text) => (child.printed += text));
        }
        child.stdin.on('error', () => {});
        this.children.push(child);
        return child;
    }

    async started(child, is_ready) {
        await until(`${child.spawnfile} listens`, () => {
            assert.equal(child.exitCode, null, child.printed);
            return is_ready();
        });
    }

    async serve(...options) {
        this.server = this.run('./server', ['--quiet', ...options, String(this.port)]);
        await this.started(this.server, () => this.server.printed.includes('listening on '));
    }

    async stop_server() {
        this.server.kill('SIGTERM');
        await once(this.server, 'exit');
    }

    async proxy(settings) {
        const folder = fs.mkdtempSync(path.join(SCRATCH, 'conf-'));
        const ours = {
            8080: this.plain,
            8443: this.tls,
            5555: this.port,
            '/etc/chatserver/web.pem': certificate(),
        };
        const main = this.scheme === 'https' ? 'chatserver-tls.conf' : 'chatserver.conf';
        for (const file of fs.readdirSync(CONFIGURATION)) {
            const text =
                fs.readFileSync(path.join(CONFIGURATION, file), 'utf8') +
                (file === main ? settings : '');
            fs.writeFileSync(
                path.join(folder, file),
                text.replace(/8080|8443|5555|\/etc\/chatserver\/web.pem/g, (name) => ours[name]),
            );
        }
        this.lighttpd = this.run('lighttpd', ['-D', '-f', path.join(folder, main)]);
        await this.started(this.lighttpd, () => listens(new URL(this.url).port));
        fs.rmSync(folder, { recursive: true });
    }

    // Someone with a terminal.
    terminal() {
        const nc = this.run('nc', ['127.0.0.1', String(this.port)]);
        return {
            say: (bytes) => nc.stdin.write(bytes),
            hears: (text) =>
                until(`nc hears ${text.slice(0, 40)}`, () => nc.printed.includes(text)),
            heard: () => nc.printed,
        };
    }

    // Someone with a browser. What its console complains of is collected.
    async tab(browser, { joined = true } = {}) {
        const page = await browser.newPage({ ignoreHTTPSErrors: true });
        page.setDefaultTimeout(PATIENCE);
        page.on('pageerror', (error) => this.complaints.push(String(error)));
        page.on('console', (message) => {
            if (message.type() === 'error') this.complaints.push(message.text());
        });
        await page.goto(this.url);
        const tab = {
            page,
            say: async (line) => {
                await page.fill('#line', line);
                await page.press('#line', 'Enter');
            },
            lines: (kind = '') =>
                page.$$eval(`#lines p${kind}`, (all) => all.map((p) => p.textContent)),
            hears: (line) =>
                page.waitForFunction(
                    (text) =>
                        [...document.querySelectorAll('#lines p')].some(
                            (p) => p.textContent === text,
                        ),
                    line,
                    { polling: 100 },
                ),
            is: (state) => page.waitForSelector(`[data-state=${state}]`),
        };
        if (joined) await tab.is('joined');
        return tab;
    }

    async close() {
        await Promise.all(
            this.children
                .filter((child) => child.exitCode === null && !child.signalCode)
                .map((child) => child.kill() && once(child, 'exit')),
        );
    }
}

const launch = () =>
    require('playwright-core').chromium.launch({
        executablePath: path.join(found('chromium'), 'chromium'),
        args: FLAGS,
    });

module.exports = { ROOT, Room, launch, missing, sleep, until };
