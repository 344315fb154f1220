/*
 * instruments.c - commits a fault that valgrind or a sanitizer must find.
 *
 * `instruments NAME` commits one fault, `instruments` none. In those named `library_` the library
 * makes the bad access, because it is given something wrong.
 */

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chatServerExt.h"

/* Hides the fault from the compiler. */
static void *volatile hidden;
static volatile int number = 0x7fffffff;

static int read_after_free(void)
{
	char *byte = hidden = malloc(1);

	free(byte);
	return *(volatile char *)hidden;
}

static int overflow_an_int(void)
{
	return number + 1;
}

static int forget_memory(void)
{
	hidden = malloc(8);
	hidden = NULL;
	return 0;
}

static int forget_a_descriptor(void)
{
	return open("/dev/null", O_RDONLY);
}

/* A pool with one connection. */
static int make_room(conn_pool_t *pool)
{
	int sd = open("/dev/null", O_RDWR);

	init_pool(pool);
	if (sd == -1 || add_conn(sd, pool) == -1)
		exit(EXIT_FAILURE);
	return sd;
}

static int library_reads_after_free(void)
{
	conn_pool_t pool;
	int sd = make_room(&pool);

	free(pool.conn_head);
	return write_msg(sd, &pool);
}

static int library_reads_past_the_end(void)
{
	conn_pool_t pool;
	int sd = make_room(&pool);
	char *message = malloc(8);

	memset(message, 'x', 8);
	add_msg(sd + 1, message, 9, &pool);
	free(message);
	return remove_conn(sd, &pool);
}

static int library_writes_past_the_end(void)
{
	conn_pool_t pool;
	int sd = make_room(&pool);

	hidden = malloc(sizeof(chat_conn_info_t) - sizeof(size_t));
	chat_get_info(sd, &pool, hidden);
	free(hidden);
	return remove_conn(sd, &pool);
}

static int library_frees_twice(void)
{
	conn_pool_t pool;
	int sd = make_room(&pool);

	add_msg(sd + 1, "x", 1, &pool);
	free(pool.conn_head->write_msg_head->message);
	return remove_conn(sd, &pool);
}

static int library_reads_a_crooked_message(void)
{
	static msg_t messages[2];
	conn_pool_t pool;
	int sd = make_room(&pool);

	pool.conn_head->write_msg_head = hidden = (char *)messages + 1;
	return write_msg(sd, &pool);
}

/* The program frees a connection without its unfinished line, which the library allocated. */
static int library_memory_is_forgotten(void)
{
	conn_pool_t pool;
	int sd = make_room(&pool);

	chat_feed(sd, "no end", 6, &pool);
	free(pool.conn_head);
	return close(sd);
}

static const struct {
	const char *name;
	int (*commit)(void);
} faults[] = {
	{ "read_after_free", read_after_free },
	{ "overflow_an_int", overflow_an_int },
	{ "forget_memory", forget_memory },
	{ "forget_a_descriptor", forget_a_descriptor },
	{ "library_reads_after_free", library_reads_after_free },
	{ "library_reads_past_the_end", library_reads_past_the_end },
	{ "library_writes_past_the_end", library_writes_past_the_end },
	{ "library_frees_twice", library_frees_twice },
	{ "library_reads_a_crooked_message", library_reads_a_crooked_message },
	{ "library_memory_is_forgotten", library_memory_is_forgotten },
};

int main(int argc, char *argv[])
{
	conn_pool_t pool;
	size_t at;

	chat_set_quiet(1);
	remove_conn(make_room(&pool), &pool);
	for (at = 0; argc == 2 && at < sizeof faults / sizeof *faults; at++) {
		if (strcmp(argv[1], faults[at].name) == 0) {
			faults[at].commit();
			return EXIT_SUCCESS;
		}
	}
	return argc == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
