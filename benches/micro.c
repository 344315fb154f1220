/*
 * micro - calls one function of the library over and over, with many connections in the pool, so
 * that its instructions can be counted.
 *
 *     micro OPERATION CONNECTIONS
 *
 * Only functions whose names begin with "measured_" are counted, by callgrind (micro.sh). The
 * number of calls is printed at the end.
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
	WAITING = 16,    /* messages per queue where several wait */
	OUTSIDER = 1023, /* a sender that is not in the pool: all connections are recipients */
	STRIDE = 617,    /* prime: its multiples visit all connections, in no apparent order */
};

static char line[32] = "line for all the other clients\n";
static conn_pool_t pool;
static int members[FD_SETSIZE]; /* the descriptors in the pool */
static int nr_members;
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

static void fill_pool(void)
{
	int i;

	check(init_pool(&pool) == 0, "init_pool");
	for (i = 0; i < nr_members; i++) {
		members[i] = new_socket();
		check(add_conn(members[i], &pool) == 0, "add_conn");
	}
}

/* ---- The operations; each returns the number of measured events ---- */

static long run_init_pool(void)
{
	int i;

	for (i = 0; i < CALLS; i++)
		check(measured_init_pool() == 0, "init_pool");
	return CALLS;
}

/* Adds one connection to the others, and removes it again. */
static long run_add_conn(void)
{
	int i, sd;

	for (i = 0; i < CALLS; i++) {
		sd = new_socket();
		check(measured_add_conn(sd) == 0, "add_conn");
		remove_conn(sd, &pool);
	}
	return CALLS;
}

static long run_remove_newest(void)
{
	int i, sd;

	for (i = 0; i < CALLS; i++) {
		sd = new_socket();
		check(add_conn(sd, &pool) == 0, "add_conn");
		check(measured_remove_conn(sd) == 0, "remove_conn");
	}
	return CALLS;
}

/* Removes a connection anywhere in the list, and adds one with the same number at its end. */
static long run_remove_any(void)
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

static void empty_queues(void)
{
	int i;

	for (i = 0; i < nr_members; i++)
		check(write_msg(members[i], &pool) == 0, "write_msg");
}

/* The first round, with a fresh heap, is not counted. */
static long run_add_msg(void)
{
	int rounds = 1 + CALLS / nr_members;
	int i;

	check(add_msg(OUTSIDER, line, sizeof line, &pool) == 0, "add_msg");
	empty_queues();
	for (i = 0; i < rounds; i++) {
		check(measured_add_msg() == 0, "add_msg");
		empty_queues();
	}
	return (long)rounds * nr_members;
}

static long write_waiting(int waiting)
{
	int rounds = 1 + CALLS / nr_members;
	int i, member;

	for (i = 0; i < rounds * waiting; i++) {
		check(add_msg(OUTSIDER, line, sizeof line, &pool) == 0, "add_msg");
		if ((i + 1) % waiting != 0)
			continue;
		for (member = 0; member < nr_members; member++)
			check(measured_write_msg(members[member]) == 0, "write_msg");
	}
	return (long)rounds * waiting * nr_members;
}

static long run_write_one(void)
{
	return write_waiting(1);
}

static long run_write_several(void)
{
	return write_waiting(WAITING);
}

static const struct operation {
	const char *name;
	long (*run)(void);
} operations[] = {
	{ "init_pool", run_init_pool },
	{ "add_conn", run_add_conn },
	{ "remove_conn-newest", run_remove_newest },
	{ "remove_conn-any", run_remove_any },
	{ "add_msg", run_add_msg },
	{ "write_msg-1", run_write_one },
	{ "write_msg-16", run_write_several },
};

static int usage(void)
{
	size_t i;

	fputs("usage: micro OPERATION CONNECTIONS; the operations are\n", stderr);
	for (i = 0; i < sizeof operations / sizeof *operations; i++)
		fprintf(stderr, "  %s\n", operations[i].name);
	return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
	size_t i;

	nr_members = argc == 3 ? atoi(argv[2]) : 0;
	if (nr_members <= 0 || nr_members > FD_SETSIZE)
		return usage();
	for (i = 0; i < sizeof operations / sizeof *operations; i++) {
		if (strcmp(operations[i].name, argv[1]) != 0)
			continue;
		chat_set_quiet(1);
		set_up_sink();
		fill_pool();
		printf("%ld\n", operations[i].run());
		return EXIT_SUCCESS;
	}
	return usage();
}
