/*
 * original.c - examples/moving/before/chatServer.c as a contender. It prints nothing, survives a
 * client that leaves, and has the server's socket options and accept queue (listen.c). The way it
 * keeps and writes messages is unchanged: linked lists that are walked, a copy of every message for
 * every recipient, a write for every message, on sockets that block.
 */

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../src/common/tcp.h"

#define printf(...)           ((void)0)
#define fflush(stream)        ((void)0)
#define write(sd, text, size) send(sd, text, size, MSG_NOSIGNAL)
#define listen(sd, backlog)   (set_up_tcp(sd) == -1 ? -1 : listen(sd, SOMAXCONN))

#include "../examples/moving/before/chatServer.c"
