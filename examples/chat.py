#!/usr/bin/env python3
"""A chat server in one script, on libchatserver.so through ctypes.

    chat.py PORT        serves until SIGINT or SIGTERM
    chat.py --layout    prints where the fields of the structs lie

Types and functions are read from the headers, so nothing here has to be kept in step with them. In
the source tree these are the tree's headers and library; elsewhere the installed ones, which
LD_LIBRARY_PATH and CPATH can name, as for compilers. Needs Python 3.8 or later.
"""

import contextlib
import ctypes
import errno
import os
import re
import select
import signal
import socket
import sys
from pathlib import Path

if sys.version_info < (3, 8):
    sys.exit("Python 3.8 or later is needed")

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "build" / "libchatserver.so"


def find():
    """The two headers and the library."""
    if TREE.exists():
        folders, library = [ROOT / "include"], str(TREE)
    else:
        told = filter(None, os.environ.get("CPATH", "").split(":"))
        folders = [Path(folder) for folder in (*told, "/usr/local/include", "/usr/include")]
        library = "libchatserver.so.1"
    for folder in folders:
        headers = [folder / name for name in ("chatServer.h", "chatServerExt.h")]
        if all(header.exists() for header in headers):
            try:
                return headers, ctypes.CDLL(library, use_errno=True)
            except OSError as error:
                sys.exit(f"{error}: run make, or install the library")
    sys.exit("no chatServerExt.h: install the library, or name its folder in CPATH")


BUFFER_SIZE = 4096


class FdSet(ctypes.Structure):
    """The fd_set of <sys/select.h>: a bit for each of 1,024 descriptors, in words."""

    WORD = 8 * ctypes.sizeof(ctypes.c_ulong)
    _fields_ = [("words", ctypes.c_ulong * (1024 // WORD))]

    def __contains__(self, fd):
        return bool(self.words[fd // self.WORD] >> fd % self.WORD & 1)



# ---- From the headers to ctypes ----

KNOWN = {
    "void": None,
    "char *": ctypes.c_char_p,
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "fd_set": FdSet,
}


def declarations(path):
    """The text of a header without comments and preprocessor lines."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def split(declaration):
    """A type and a name: "struct msg *prev" is ("struct msg *", "prev")."""
    return re.fullmatch(r"(.*?)(\w+)", declaration.strip()).groups()


class Interface:
    """What the headers declare: the structs by their tags, and the library's functions."""

    def __init__(self, headers, library):
        text = "".join(map(declarations, headers))
        self.tags = {
            name: tag for tag, name in re.findall(r"^typedef struct (\w+) (\w+);", text, re.M)
        }
        self.define_structs(text)
        for kind, name, parameters in re.findall(r"^(\w[\w *]*?)(\w+)\((.*)\);", text, re.M):
            setattr(self, name, self.declare(library[name], kind, parameters))

    def define_structs(self, text):
        bodies = re.findall(r"^struct (\w+) \{(.*?)\};", text, re.M | re.S)
        # All of them come first, since they point at each other.
        self.structs = {tag: type(tag, (ctypes.Structure,), {}) for tag, _ in bodies}
        for tag, body in bodies:
            fields = (split(field) for field in body.split(";") if field.strip())
            self.structs[tag]._fields_ = [(name, self.type_of(kind)) for kind, name in fields]

    def declare(self, function, kind, parameters):
        function.restype = self.type_of(kind)
        if parameters != "void":
            function.argtypes = [self.type_of(split(each)[0]) for each in parameters.split(",")]
        if kind.strip() == "int":
            function.errcheck = raise_on_failure
        return function

    def type_of(self, spelling):
        """The ctypes type for one as C spells it."""
        spelling = re.sub(r"\b(const|struct) ", "", spelling).strip()
        if spelling in KNOWN:
            return KNOWN[spelling]
        if spelling.endswith("*"):
            return ctypes.POINTER(self.type_of(spelling[:-1]))
        return self.structs[self.tags.get(spelling, spelling)]


def raise_on_failure(result, function, _arguments):
    """An exception in place of -1."""
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), function.__name__)
    return result


chat = Interface(*find())


def print_layout():
    for tag, struct in chat.structs.items():
        print(tag, ctypes.sizeof(struct), ctypes.alignment(struct))
        for name, _ in struct._fields_:
            print(f"{tag}.{name}", getattr(struct, name).offset)


# ---- The room ----


class Room:
    def __init__(self, port):
        self.pool = chat.structs["conn_pool"]()
        chat.init_pool(self.pool)
        self.listener = socket.create_server(("", port))
        # A newcomer may have left again before it is accepted.
        self.listener.setblocking(False)
        self.full = False

    def clients(self):
        """The descriptors of all clients, along the list."""
        conn = self.pool.conn_head
        while conn:
            yield conn.contents.fd
            conn = conn.contents.next

    def serve(self, wakeup):
        """Serves until there is something to read from `wakeup`."""
        while True:
            readers = [wakeup, *self.clients()]
            if not self.full:
                readers.append(self.listener)
            writers = [sd for sd in self.clients() if sd in self.pool.write_set]
            readable, writable, _ = select.select(readers, writers, [])
            if wakeup in readable:
                return
            self.read_ready(readable)
            self.write_ready(writable)

    def read_ready(self, readable):
        """Reads once from each; what they say leaves together at the end."""
        chat.chat_cork(self.pool)
        for one in readable:
            if one is self.listener:
                self.let_in()
            else:
                self.read_from(one)
        chat.chat_uncork(self.pool)

    def write_ready(self, writable):
        for sd in writable:
            # Not for whom has left in this pass.
            if sd in self.pool.write_set:
                with contextlib.suppress(OSError):  # gone, which the next read finds out
                    chat.write_msg(sd, self.pool)

    def let_in(self):
        try:
            newcomer, _ = self.listener.accept()
            chat.add_conn(newcomer.fileno(), self.pool)
            newcomer.detach()  # the pool closes it
        except OSError as error:
            print(error, file=sys.stderr)
            self.full = error.errno == errno.EMFILE  # until somebody leaves

    def read_from(self, sd):
        try:
            text = os.read(sd, BUFFER_SIZE)
            # At the end, with nothing, what came without a newline is passed on as well.
            chat.chat_feed(sd, text, len(text), self.pool)
        except OSError as error:
            print(error, file=sys.stderr)
            text = b""
        if not text:
            self.let_go(sd)

    def let_go(self, sd):
        chat.remove_conn(sd, self.pool)
        self.full = False

    def close(self):
        self.listener.close()
        for sd in list(self.clients()):
            self.let_go(sd)


def main(arguments):
    if arguments == ["--layout"]:
        return print_layout()
    if len(arguments) != 1 or not arguments[0].isdecimal() or not 0 < int(arguments[0]) < 65536:
        sys.exit(__doc__)
    # A signal becomes a byte to read, so select sees it whenever it comes.
    wakeup, signalled = socket.socketpair()
    signalled.setblocking(False)
    signal.set_wakeup_fd(signalled.fileno())
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, lambda *_: None)
    chat.chat_set_quiet(1)  # what C prints would not keep its place among what Python does
    try:
        room = Room(int(arguments[0]))
    except OSError as error:
        sys.exit(f"cannot listen: {error}")
    with contextlib.closing(room):
        room.serve(wakeup)


if __name__ == "__main__":
    main(sys.argv[1:])
