// HTTP as people expect it of a web server.
'use strict';
const { after, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const { promisify } = require('node:util');
const { ROOT, Room, missing } = require('./harness.js');

const TOOLS = ['lighttpd', 'curl', 'openssl'];
const run = promisify(execFile);
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'];
const VERSION = 'Sec-WebSocket-Version: 13';
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';

function parse(response) {
    const [head, ...body] = response.split('\r\n\r\n');
    const [status, ...fields] = head.split('\r\n');
    const headers = Object.fromEntries(
        fields.map((field) => {
            const [name, ...value] = field.split(': ');
            return [name.toLowerCase(), value.join(': ')];
        }),
    );
    return { status: Number(status.split(' ')[1]), headers, body: body.join('\r\n\r\n') };
}

for (const scheme of ['http', 'https']) {
    describe(scheme, { skip: missing(scheme, ...TOOLS) }, () => {
        const room = new Room(scheme);
        before(() => room.open());
        after(() => room.close());

        const OPTIONS = ['-sik', '--http1.1', '--max-time', '60'];
        const url = (where) => new URL(where, room.url).href;
        const curl = async (where, ...options) =>
            parse((await run('curl', [...OPTIONS, ...options, url(where)])).stdout);
        // Not with curl, which shows an answer only once the connection ends.
        const shake_hands = async (fields, Origin = new URL(room.url).origin) => {
            const headers = Object.fromEntries(fields.map((field) => field.split(': ')));
            const { get } = { http, https }[scheme];
            const options = { headers: { ...headers, Origin }, rejectUnauthorized: false };
            const request = get(url('/room'), options);
            const [answer] = await Promise.race([once(request, 'upgrade'), once(request, 'response')]);
            request.destroy();
            return { status: answer.statusCode, headers: answer.headers };
        };

        test('a file comes with its type and length', async () => {
            const { status, headers, body } = await curl('/');
            assert.equal(status, 200);
            assert.equal(headers['content-type'], 'text/html; charset=utf-8');
            assert.equal(Number(headers['content-length']), Buffer.byteLength(body));
            assert.equal(body, fs.readFileSync(path.join(ROOT, 'web/index.html'), 'utf8'));
            assert.match((await curl('/room.js')).headers['content-type'], /^text\/javascript/);
            assert.match((await curl('/room.css')).headers['content-type'], /^text\/css/);
        });

        test('a file that has not changed is not sent again', async () => {
            const { headers } = await curl('/room.js');
            const again = await curl('/room.js', '-H', `If-None-Match: ${headers.etag}`);
            assert.deepEqual([again.status, again.body], [304, '']);
        });

        test('a folder is listed, and nothing runs in the list', async () => {
            const { status, body } = await curl('/docs/');
            assert.equal(status, 200);
            for (const file of fs.readdirSync(path.join(ROOT, 'docs'))) {
                assert.ok(body.includes(`<a href="${file}`), file);
            }
            assert.doesNotMatch(body, /<script|<style/);
        });

        test('a page that is not there is a page of our own', async () => {
            const { status, headers, body } = await curl('/nowhere');
            assert.equal(status, 404);
            assert.equal(headers['content-type'], 'text/html; charset=utf-8');
            assert.match(body, /<h1>Not found<\/h1>/);
        });

        test('nothing outside the two folders is served', async () => {
            for (const where of [
                '/../Makefile',
                '/docs/../../Makefile',
                '/%2e%2e/Makefile',
                '/docs../Makefile',
            ]) {
                const { status } = await curl('/', '--path-as-is', '--request-target', where);
                assert.ok([400, 403, 404].includes(status), `${where}: ${status}`);
            }
        });

        test('methods other than GET and HEAD are not allowed', async () => {
            for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
                const { status, headers } = await curl('/index.html', '-X', method, '-d', 'x');
                assert.deepEqual(
                    [status, headers.allow, headers.location],
                    [405, 'GET, HEAD', undefined],
                );
            }
            assert.equal((await curl('/', '-X', 'NONSENSE')).status, 501);
        });

        test('HEAD is GET without the body', async () => {
            const [get, head] = [await curl('/room.js'), await curl('/room.js', '--head')];
            assert.deepEqual([head.status, head.body], [200, '']);
            assert.equal(head.headers['content-length'], get.headers['content-length']);
        });

        test('a range is a part of the file', async () => {
            const whole = (await curl('/room.js')).body;
            const part = await curl('/room.js', '--range', '3-17');
            assert.deepEqual([part.status, part.body], [206, whole.slice(3, 18)]);
            assert.equal(part.headers['content-range'], `bytes 3-17/${Buffer.byteLength(whole)}`);
            assert.equal((await curl('/room.js', '--range', '99999999-')).status, 416);
        });

        test('a body beyond the limit is refused', async () => {
            assert.equal((await curl('/', '-d', 'x'.repeat(17 << 10))).status, 413);
        });

        test('every answer has the security headers', async () => {
            for (const where of ['/', '/docs/', '/nowhere']) {
                const { headers } = await curl(where);
                const policy = headers['content-security-policy'];
                assert.match(policy, /default-src 'none'/);
                assert.match(policy, /frame-ancestors 'none'/);
                assert.doesNotMatch(policy, /unsafe|\*/);
                assert.equal(headers['x-content-type-options'], 'nosniff');
            }
        });

        test('a right WebSocket handshake is answered', async () => {
            const { status, headers } = await shake_hands([...UPGRADE, VERSION, KEY]);
            assert.equal(status, 101);
            assert.equal(headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
        });

        test('a wrong WebSocket handshake is refused', async () => {
            assert.equal((await shake_hands([...UPGRADE, VERSION])).status, 400, 'no key');
            assert.equal((await shake_hands([VERSION, KEY])).status, 404, 'no upgrade');
            for (const headers of [[], [...UPGRADE, KEY], [...UPGRADE, KEY, `${VERSION}3`]]) {
                const { status, headers: answer } = await shake_hands(headers);
                assert.deepEqual([status, answer['sec-websocket-version']], [426, '13']);
            }
        });

        test('another site cannot join through its visitors', async () => {
            for (const origin of [
                'https://elsewhere.example',
                'null',
                `${new URL(room.url).origin}0`,
            ]) {
                assert.equal(
                    (await shake_hands([...UPGRADE, VERSION, KEY], origin)).status,
                    403,
                    origin,
                );
            }
        });

        test(
            'the example gets a page',
            { skip: scheme === 'https' && 'it speaks no TLS' },
            async () => {
                const script = path.join(ROOT, 'examples/http_get.sh');
                const get = (where) => run(script, [where, 'localhost', new URL(room.url).port]);
                const { status, body } = parse((await get('/room.css')).stdout);
                assert.deepEqual(
                    [status, body],
                    [200, fs.readFileSync(path.join(ROOT, 'web/room.css'), 'utf8')],
                );
                await assert.rejects(get('/nowhere'), { code: 22 });
            },
        );
    });
}
