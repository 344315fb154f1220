/*
 * micro - calls functions of the library over and over, with many connections in the pool, so that
 * the instructions of one can be counted.
 *
 *     micro OPERATION CONNECTIONS [WAITING]
 *
 * Only a function whose name begins with "measured_" is counted, by callgrind (micro.sh). The
 * number of calls, or of messages to a recipient, is printed at the end. WAITING is the number of
 * messages per queue where several wait.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chatServerExt.h"

enum {
	CALLS = 4000,    /* enough to include the rare calls for which malloc takes longer */
	OUTSIDER = 1023, /* a sender that is not in the pool: all connections are recipients */
	STRIDE = 617,    /* prime: its multiples visit all connections, in no apparent order */
};

static char line[32] = "line for all the other clients\n";
static conn_pool_t pool;
static int members[FD_SETSIZE]; /* the descriptors in the pool */
static int nr_members, waiting;
static struct sockaddr_in sink_address = { .sin_family = AF_INET };

static void check(bool succeeded, const char *what)
{
	if (succeeded)
		return;
	perror(what);
	exit(EXIT_FAILURE);
}

/* ---- What is counted ---- */

#define MEASURED static __attribute__((noinline))

MEASURED int measured_init_pool(void)
{
	return init_pool(&pool);
}

MEASURED int measured_add_conn(int sd)
{
	return add_conn(sd, &pool);
}

MEASURED int measured_remove_conn(int sd)
{
	return remove_conn(sd, &pool);
}

MEASURED int measured_add_msg(void)
{
	return add_msg(OUTSIDER, line, sizeof line, &pool);
}

MEASURED int measured_write_msg(int sd)
{
	return write_msg(sd, &pool);
}

/* ---- Connections ---- */

/* A socket that takes everything that is written: its datagrams go to a socket that is never read,
 * and the kernel drops what does not fit there. So nothing stays in a queue. */
static int new_socket(void)
{
	int sd = socket(AF_INET, SOCK_DGRAM, 0);

	check(sd != -1, "socket");
	check(connect(sd, (struct sockaddr *)&sink_address, sizeof sink_address) == 0, "connect");
	return sd;
}

static void set_up_sink(void)
{
	socklen_t length = sizeof sink_address;
	int sink = socket(AF_INET, SOCK_DGRAM, 0);

	sink_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(sink != -1 && bind(sink, (struct sockaddr *)&sink_address, length) == 0 &&
	              getsockname(sink, (struct sockaddr *)&sink_address, &length) == 0,
	      "sink");
}

/* The first message is not counted: it has a fresh heap. */
static void fill_pool(void)
{
	int i;

	check(init_pool(&pool) == 0, "init_pool");
	for (i = 0; i < nr_members; i++) {
		members[i] = new_socket();
		check(add_conn(members[i], &pool) == 0, "add_conn");
	}
	check(add_msg(OUTSIDER, line, sizeof line, &pool) == 0, "add_msg");
	for (i = 0; i < nr_members; i++)
		check(write_msg(members[i], &pool) == 0, "write_msg");
}

/* ---- The operations; each returns the number of measured events ---- */

static long init_pools(void)
{
	int i;

	for (i = 0; i < CALLS; i++)
		check(measured_init_pool() == 0, "init_pool");
	return CALLS;
}

/* Adds one connection to the others, and removes it again. */
static long add_and_remove(void)
{
	int i, sd;

	for (i = 0; i < CALLS; i++) {
		sd = new_socket();
		check(measured_add_conn(sd) == 0, "add_conn");
		check(measured_remove_conn(sd) == 0, "remove_conn");
	}
	return CALLS;
}

/* Removes a connection anywhere in the list, and adds one with the same number at its end. */
static long remove_any(void)
{
	int i, sd;

	for (i = 0; i < CALLS; i++) {
		sd = members[i * STRIDE % nr_members];
		check(measured_remove_conn(sd) == 0, "remove_conn");
		check(new_socket() == sd, "the same descriptor");
		check(add_conn(sd, &pool) == 0, "add_conn");
	}
	return CALLS;
}

/* Has messages wait in every queue, and writes them. */
static long send_messages(void)
{
	int messages = waiting * (1 + CALLS / nr_members);
	int i, member;

	for (i = 1; i <= messages; i++) {
		check(measured_add_msg() == 0, "add_msg");
		for (member = 0; i % waiting == 0 && member < nr_members; member++)
			check(measured_write_msg(members[member]) == 0, "write_msg");
	}
	return (long)messages * nr_members;
}

static const struct operation {
	const char *name;
	long (*run)(void);
} operations[] = {
	{ "init_pools", init_pools },
	{ "add_and_remove", add_and_remove },
	{ "remove_any", remove_any },
	{ "send_messages", send_messages },
};

int main(int argc, char *argv[])
{
	size_t i;

	nr_members = argc > 2 ? atoi(argv[2]) : 0;
	waiting = argc > 3 ? atoi(argv[3]) : 1;
	for (i = 0; i < sizeof operations / sizeof *operations; i++) {
		if (nr_members <= 0 || nr_members > FD_SETSIZE || waiting <= 0 ||
		    strcmp(operations[i].name, argv[1]) != 0)
			continue;
		chat_set_quiet(1);
		set_up_sink();
		fill_pool();
		printf("%ld\n", operations[i].run());
		return EXIT_SUCCESS;
	}
	fputs("usage: micro OPERATION CONNECTIONS [WAITING]; the operations are\n", stderr);
	for (i = 0; i < sizeof operations / sizeof *operations; i++)
		fprintf(stderr, "  %s\n", operations[i].name);
	return EXIT_FAILURE;
}
