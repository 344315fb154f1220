/*
 * floor - the cheapest possible broadcaster on select: the price of the kernel alone.
 *
 * A pass selects, reads every ready client once into one batch, and sends each client the whole
 * batch except its own part by one gathered write. There are no lists, queues, copies or limits:
 * where the kernel does not take everything, all clients wait for that one. So it is no chat
 * server, and it stops for good when a client does not read.
 *
 * It has in common with the server, so that the two differ in nothing but their own work: the
 * socket options (the same listen.c), the size of a read, one read per client and pass, and that
 * it relays whole lines. When a read does not end with a line, the partial line is put aside and
 * comes before the client's next read.
 *
 * Compiled with COPIES, it keeps a copy of each message for each recipient until the end of the
 * pass, in two blocks from malloc, as the header promises to programs: the price of that alone.
 */

#define _GNU_SOURCE /* accept4, memrchr */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../src/common/fdset_next.h"
#include "../src/server/listen.h"

enum { READ_SIZE = 16 * 1024 }; /* as src/server/receive.h has it */

/* What has been read in this pass. Memory that is never used costs nothing. */
static char batch[FD_SETSIZE * 2 * READ_SIZE];
static size_t batch_size;
static int has_messages;

static struct client {
	size_t own, own_end; /* its own part of the batch */
	size_t partial_size;
} clients[FD_SETSIZE];

/* Each client's partial line. A separate array keeps the structs above close together. */
static char partials[FD_SETSIZE][READ_SIZE];

static int everyone[FD_SETSIZE]; /* the descriptors of the clients, in no order */
static int nr_clients;
static fd_set watched;
static int maxfd;

/* Writes all of the pieces, and waits where the kernel does not take them at once. */
static void write_all(int sd, struct iovec *piece, int count)
{
	struct pollfd writable = { .fd = sd, .events = POLLOUT };
	ssize_t taken;

	while (count > 0) {
		taken = writev(sd, piece, count);
		if (taken == -1 && errno == EAGAIN)
			poll(&writable, 1, -1);
		else if (taken == -1 && errno != EINTR)
			return; /* the client is gone; the next read reports it */
		for (; taken > 0 && count > 0 && (size_t)taken >= piece->iov_len; piece++, count--)
			taken -= (ssize_t)piece->iov_len;
		if (taken > 0) {
			piece->iov_base = (char *)piece->iov_base + taken;
			piece->iov_len -= (size_t)taken;
		}
	}
}

#ifndef COPIES

/* The text is in the batch already, at its end. */
static void append(int sd, const char *text, size_t size)
{
	clients[sd].own = (size_t)(text - batch);
	clients[sd].own_end = batch_size = clients[sd].own + size;
	has_messages = 1;
}

static void clear(int sd)
{
	clients[sd].own = clients[sd].own_end = 0;
}

/* Sends a client the batch without its own part. */
static void send_batch(int sd)
{
	struct client *client = &clients[sd];
	struct iovec pieces[2];
	int count = 0;

	if (client->own > 0)
		pieces[count++] = (struct iovec){ batch, client->own };
	if (client->own_end < batch_size)
		pieces[count++] = (struct iovec){ batch + client->own_end,
			                          batch_size - client->own_end };
	clear(sd);
	write_all(sd, pieces, count);
}

#else

struct msg {
	struct msg *next;
	char *text;
	size_t size;
};

static struct queue {
	struct msg *head, *tail;
} queues[FD_SETSIZE];

static void *get_memory(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		abort();
	return memory;
}

static void append(int sd, const char *text, size_t size)
{
	struct queue *queue;
	struct msg *msg;
	int i;

	for (i = 0; i < nr_clients; i++) {
		if (everyone[i] == sd)
			continue;
		queue = &queues[everyone[i]];
		msg = get_memory(sizeof *msg);
		*msg = (struct msg){ .text = get_memory(size), .size = size };
		memcpy(msg->text, text, size);
		if (queue->head == NULL)
			queue->head = msg;
		else
			queue->tail->next = msg;
		queue->tail = msg;
	}
	has_messages = 1;
}

static void clear(int sd)
{
	struct msg *msg;

	while ((msg = queues[sd].head) != NULL) {
		queues[sd].head = msg->next;
		free(msg->text);
		free(msg);
	}
}

/* Sends a client its queue, 64 messages per call. */
static void send_batch(int sd)
{
	struct iovec pieces[64];
	struct msg *msg = queues[sd].head;
	int count;

	while (msg != NULL) {
		for (count = 0; msg != NULL && count < 64; msg = msg->next)
			pieces[count++] = (struct iovec){ msg->text, msg->size };
		write_all(sd, pieces, count);
	}
	clear(sd);
}

#endif

static void accept_clients(int listener)
{
	int sd;

	while ((sd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		if (sd >= FD_SETSIZE) {
			close(sd);
			continue;
		}
		clients[sd].partial_size = 0;
		everyone[nr_clients++] = sd;
		FD_SET(sd, &watched);
		if (sd > maxfd)
			maxfd = sd;
	}
}

static void disconnect(int sd)
{
	int i = 0;

	while (everyone[i] != sd)
		i++;
	everyone[i] = everyone[--nr_clients];
	FD_CLR(sd, &watched);
	clear(sd);
	close(sd);
}

/* Reads once, and appends what ends with a line to the batch. */
static void read_client(int sd)
{
	struct client *client = &clients[sd];
	char *start = batch + batch_size, *end, *cut;
	ssize_t count;

	memcpy(start, partials[sd], client->partial_size);
	count = read(sd, start + client->partial_size, READ_SIZE);
	if (count == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		disconnect(sd);
		return;
	}
	end = start + client->partial_size + count;
	cut = memrchr(end - count, '\n', (size_t)count);
	cut = cut != NULL ? cut + 1 : start;
	if (end - cut > READ_SIZE) /* too long a line to wait for its end */
		cut = end;
	client->partial_size = (size_t)(end - cut);
	memcpy(partials[sd], cut, client->partial_size);
	if (cut > start)
		append(sd, start, (size_t)(cut - start));
}

int main(int argc, char *argv[])
{
	fd_set ready;
	int i, sd, listener;

	if (argc != 2 || listen_on(NULL, argv[1], true, &watched) == -1)
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	listener = maxfd = fdset_next(&watched, 0);
	for (;;) {
		ready = watched;
		if (select(maxfd + 1, &ready, NULL, NULL, NULL) == -1)
			return EXIT_FAILURE;
		for (sd = fdset_next(&ready, 0); sd <= maxfd; sd = fdset_next(&ready, sd + 1)) {
			if (sd == listener)
				accept_clients(listener);
			else
				read_client(sd);
		}
		for (i = 0; has_messages && i < nr_clients; i++)
			send_batch(everyone[i]);
		batch_size = 0;
		has_messages = 0;
	}
}
