// A line typed goes to the room as it is; what the room sends is shown as text, line by line.
const KEPT_LINES = 2000, KEPT_CHARACTERS = 2_000_000, LONGEST_LINE = 1 << 17;
const FULL = 'The room is full. Please come back later.';
const [scroll, lines, form, input, send, state] =
    ['scroll', 'lines', 'form', 'line', 'send', 'state'].map((id) => document.getElementById(id));
const kept = []; // oldest first: { text, kind, shown: its element, once it has been drawn }
let characters = 0, due = 0, drawn = 0, socket, delay = 250;

// Control characters become visible, as ^[ for an escape.
const visible = (text) => text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, (control) => control > '\x7f'
    ? '\ufffd' : '^' + String.fromCharCode(control.charCodeAt() ^ 64));

function keep(kind, line) {
    const text = visible(line);
    kept.push({ kind, text });
    characters += text.length;
    while (kept.length > KEPT_LINES || characters > KEPT_CHARACTERS) {
        const { text, shown } = kept.shift();
        characters -= text.length;
        shown?.remove();
    }
    // At once, but ten times a second at most; and not while the tab is in the background.
    due ||= setTimeout(() => requestAnimationFrame(draw), drawn + 100 - performance.now());
}

function draw() {
    due = 0;
    drawn = performance.now();
    const undrawn = kept.filter((line) => !line.shown);
    lines.ariaLive = undrawn.length > 20 ? 'off' : 'polite'; // nobody can listen to a flood
    lines.append(...undrawn.map((line) => line.shown = Object.assign(document.createElement('p'),
        { className: line.kind, dir: 'auto', textContent: line.text })));
}

function tell(kind, text) {
    if (document.body.dataset.state === kind) return;
    document.body.dataset.state = kind;
    state.textContent = text;
    send.disabled = kind !== 'joined';
}

function join() {
    const decoder = new TextDecoder(); // it keeps what is left of a character that is split
    let settling, joined = false, first = true, refused = false, rest = '';
    const hear = (line) => {
        refused = first && line === FULL;
        if (!refused) keep('theirs', line);
        first = false;
    };

    // lighttpd answers that it speaks "binary", asked or not, which a browser minds if it has not.
    socket = new WebSocket(Object.assign(new URL('/room', location),
        { protocol: location.protocol.replace('http', 'ws') }), 'binary');
    socket.binaryType = 'arraybuffer';
    // A room that is full lets one in, says so, and closes.
    socket.onopen = () => settling = setTimeout(() => {
        joined = true;
        tell('joined', 'In the room');
    }, 100);
    socket.onmessage = ({ data }) => {
        const ended = (rest + decoder.decode(data, { stream: true })).split('\n');
        rest = ended.pop();
        for (const line of ended) hear(line.replace(/\r$/, ''));
        if (rest.length > LONGEST_LINE) [rest] = ['', hear(rest)];
    };
    socket.onclose = () => {
        clearTimeout(settling);
        joined &&= !refused;
        if (refused) tell('full', 'The room is full – waiting for a seat …');
        else if (rest) tell('cut', 'Cut off: this tab fell too far behind – joining again …');
        else tell('lost', 'Connection lost – trying again …');
        if (joined) keep('note', rest ? 'Cut off: lines are missing here.'
            : 'Connection lost: lines may be missing here.');
        delay = joined ? 250 : Math.min(1.5 * delay, 5000);
        setTimeout(join, delay);
    };
}

form.onsubmit = (event) => {
    event.preventDefault();
    if (!input.value) return;
    socket.send(input.value + '\n');
    keep('own', input.value);
    input.value = '';
    input.focus();
    scroll.scrollTop = 0; // the newest line: #scroll begins at its bottom
};
join();
