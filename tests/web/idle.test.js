// A file of its own, for files run at the same time.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Room, launch, missing, sleep } = require('./harness.js');

for (const scheme of ['http', 'https']) {
    const skip = missing('chromium', 'lighttpd', 'nc', 'openssl');
    test(`a tab stays that is idle for 70 s, over ${scheme}`, { skip }, async (t) => {
        const room = new Room(scheme);
        t.after(() => room.close());
        await room.open();
        const browser = await launch();
        t.after(() => browser.close());
        const tab = await room.tab(browser);
        await sleep(70000);
        room.terminal().say('still here?\n');
        await tab.hears('still here?');
        assert.deepEqual(await tab.lines(), ['still here?']); // no note of a lost connection
        assert.deepEqual(room.complaints, []);
    });
}
