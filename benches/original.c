/*
 * original - a chat server the way the original goes about it.
 *
 * Connections and messages are in linked lists; a connection is found by walking the list; every
 * recipient gets a copy of every message, an allocation for the node and one for the text; and
 * when select says that a client can be written to, its messages leave by one write each. What is
 * read at a time is a message.
 *
 * It differs from the original in what has no part in the comparison: the socket options are
 * those of the server (it is the same listen.c), it does not die of a client that leaves, and it
 * prints nothing.
 */

#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../src/server/listen.h"

enum { READ_SIZE = 4096 }; /* BUFFER_SIZE of chatServer.h */

struct msg {
	struct msg *next;
	char *text;
	size_t size;
};

struct conn {
	struct conn *prev, *next;
	int fd;
	struct msg *head, *tail;
};

static struct conn *conns;
static fd_set read_set, write_set;
static int maxfd;

static void *get_memory(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		abort();
	return memory;
}

static struct conn *find(int sd)
{
	struct conn *conn = conns;

	while (conn != NULL && conn->fd != sd)
		conn = conn->next;
	return conn;
}

static void add_conn(int sd)
{
	struct conn *conn = get_memory(sizeof *conn);

	*conn = (struct conn){ .next = conns, .fd = sd };
	if (conns != NULL)
		conns->prev = conn;
	conns = conn;
	FD_SET(sd, &read_set);
	if (sd > maxfd)
		maxfd = sd;
}

static void drop_message(struct conn *conn)
{
	struct msg *msg = conn->head;

	conn->head = msg->next;
	free(msg->text);
	free(msg);
}

static void remove_conn(int sd)
{
	struct conn *conn = find(sd);

	while (conn->head != NULL)
		drop_message(conn);
	if (conn->prev != NULL)
		conn->prev->next = conn->next;
	else
		conns = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
	free(conn);
	FD_CLR(sd, &read_set);
	FD_CLR(sd, &write_set);
	while (maxfd > 0 && !FD_ISSET(maxfd, &read_set))
		maxfd--;
	close(sd);
}

static void add_msg(int sender, const char *text, size_t size)
{
	struct conn *conn;
	struct msg *msg;

	for (conn = conns; conn != NULL; conn = conn->next) {
		if (conn->fd == sender)
			continue;
		msg = get_memory(sizeof *msg);
		*msg = (struct msg){ .text = get_memory(size), .size = size };
		memcpy(msg->text, text, size);
		if (conn->head == NULL)
			conn->head = msg;
		else
			conn->tail->next = msg;
		conn->tail = msg;
		FD_SET(conn->fd, &write_set);
	}
}

static void write_to_client(int sd)
{
	struct conn *conn = find(sd);
	struct msg *msg;
	ssize_t count;

	while ((msg = conn->head) != NULL) {
		count = write(sd, msg->text, msg->size);
		if (count == -1 && errno == EAGAIN)
			return;
		if (count >= 0 && (size_t)count < msg->size) {
			msg->size -= (size_t)count;
			memmove(msg->text, msg->text + count, msg->size);
			return;
		}
		drop_message(conn); /* also when it has left, which the next read finds out */
	}
	FD_CLR(sd, &write_set);
}

static void accept_clients(int listener)
{
	int sd;

	while ((sd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		if (sd < FD_SETSIZE)
			add_conn(sd);
		else
			close(sd);
	}
}

static void read_client(int sd)
{
	char buffer[READ_SIZE];
	ssize_t count = read(sd, buffer, sizeof buffer);

	if (count > 0)
		add_msg(sd, buffer, (size_t)count);
	else if (count == 0 || errno != EAGAIN)
		remove_conn(sd);
}

int main(int argc, char *argv[])
{
	int listener = argc == 2 ? listen_on(NULL, argv[1]) : -1;
	fd_set readable, writable;
	int ready, sd;

	if (listener == -1)
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	FD_SET(listener, &read_set);
	maxfd = listener;
	for (;;) {
		readable = read_set;
		writable = write_set;
		ready = select(maxfd + 1, &readable, &writable, NULL, NULL);
		if (ready == -1)
			return EXIT_FAILURE;
		for (sd = 0; ready > 0 && sd < FD_SETSIZE; sd++) {
			if (FD_ISSET(sd, &readable)) {
				ready--;
				if (sd == listener)
					accept_clients(listener);
				else
					read_client(sd);
			}
			if (FD_ISSET(sd, &writable)) {
				ready--;
				if (FD_ISSET(sd, &write_set))
					write_to_client(sd);
			}
		}
	}
}
