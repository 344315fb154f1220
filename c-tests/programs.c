/* Whole programs in the style of those that the header was made for: a select loop of their own,
 * a listener of their own and a cleanup of their own, under every set of names. */

#include <ctype.h>

#include "room.h"

/* The five functions under one set of names. */
struct edition {
	int (*init)(conn_pool_t *pool);
	int (*add)(int sd, conn_pool_t *pool);
	int (*remove)(int sd, conn_pool_t *pool);
	int (*say)(int sd, char *buffer, int len, conn_pool_t *pool);
	int (*write)(int sd, conn_pool_t *pool);
	bool capitals;
};

static const struct edition editions[] = {
	{ init_pool, add_conn, remove_conn, add_msg, write_msg, false },
	{ init_pool, add_conn, remove_conn, add_msg, write_to_client, false },
	{ initPool, addConn, removeConn, addMsg, writeToClient, true },
};
enum { EDITIONS = sizeof editions / sizeof editions[0], CLIENTS = 4 };

struct program {
	const struct edition *lib;
	conn_pool_t *pool;
	int listener;
};

static void let_in(struct program *program)
{
	int sd = accept(program->listener, NULL, NULL);

	CHECK(sd != -1);
	CHECK_EQ(program->lib->add(sd, program->pool), 0);
}

/* Reads once from a client. The buffer is not terminated. */
static void read_from(struct program *program, int sd)
{
	char buffer[BUFFER_SIZE];
	int count = (int)read(sd, buffer, sizeof buffer);

	if (count == 0)
		program->lib->remove(sd, program->pool);
	else
		program->lib->say(sd, buffer, count, program->pool);
}

/* Handles ready descriptors in numeric order, as the original does. */
static void serve_by_descriptor(struct program *program)
{
	conn_pool_t *pool = program->pool;
	int sd;

	for (sd = 0; sd <= pool->maxfd && pool->nready > 0; sd++) {
		if (FD_ISSET(sd, &pool->ready_read_set)) {
			pool->nready--;
			if (sd == program->listener)
				let_in(program);
			else
				read_from(program, sd);
		}
		if (FD_ISSET(sd, &pool->ready_write_set)) {
			pool->nready--;
			program->lib->write(sd, pool);
		}
	}
}

/* Handles them along the list. The next one is read first, since the current one may be removed. */
static void serve_by_list(struct program *program)
{
	conn_pool_t *pool = program->pool;
	conn_t *conn, *following;

	if (FD_ISSET(program->listener, &pool->ready_read_set))
		let_in(program);
	for (conn = pool->conn_head; conn != NULL; conn = following) {
		int sd = conn->fd;

		following = conn->next;
		if (sd == program->listener)
			continue;
		if (FD_ISSET(sd, &pool->ready_write_set))
			program->lib->write(sd, pool);
		if (FD_ISSET(sd, &pool->ready_read_set))
			read_from(program, sd);
	}
}

typedef void way_to_serve(struct program *program);

/* One pass of the loop. The time-out is short: the program may have nothing left to do while TCP
 * still delivers. */
static void pass(struct program *program, way_to_serve *serve)
{
	struct timeval moment = { .tv_usec = 10000 };
	conn_pool_t *pool = program->pool;

	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = pool->write_set;
	pool->nready = select(pool->maxfd + 1, &pool->ready_read_set, &pool->ready_write_set, NULL,
	                      &moment);
	CHECK(pool->nready >= 0);
	serve(program);
	check_sound(pool);
}

static void pass_until_there_are(unsigned int count, struct program *program, way_to_serve *serve)
{
	while (program->pool->nr_conns != count)
		pass(program, serve);
}

/* Runs passes until the client has received this. */
static void check_told(struct program *program, way_to_serve *serve, int sd, const char *text)
{
	while (!is_readable(sd))
		pass(program, serve);
	check_receives(sd, text, strlen(text));
}

/* Listeners in the list, and listeners in read_set only. */
static void listener_joins(struct program *program)
{
	CHECK_EQ(program->lib->add(program->listener, program->pool), 0);
}

static void listener_is_set(struct program *program)
{
	FD_SET(program->listener, &program->pool->read_set);
	program->pool->maxfd = program->listener;
}

static void clean_up_by_remove(struct program *program)
{
	conn_t *conn, *following;

	for (conn = program->pool->conn_head; conn != NULL; conn = following) {
		following = conn->next;
		CHECK_EQ(program->lib->remove(conn->fd, program->pool), 0);
	}
	CHECK(program->pool->conn_head == NULL);
	CHECK_EQ(program->pool->nr_conns, 0);
}

static void clean_up_by_hand(struct program *program)
{
	conn_t *conn = program->pool->conn_head;

	while (conn != NULL) {
		conn_t *following = conn->next;
		msg_t *msg = conn->write_msg_head;

		while (msg != NULL) {
			msg_t *later = msg->next;

			free(msg->message);
			free(msg);
			msg = later;
		}
		close(conn->fd);
		free(conn);
		conn = following;
	}
}

/* The text as these functions relay it. */
static const char *as_told(const struct edition *lib, char text[])
{
	char *at;

	for (at = text; lib->capitals && *at != '\0'; at++)
		*at = (char)toupper((unsigned char)*at);
	return text;
}

static void run(const struct edition *lib, void (*open_door)(struct program *), way_to_serve *serve,
                void (*clean_up)(struct program *))
{
	struct program program = { .lib = lib, .pool = malloc(sizeof(conn_pool_t)) };
	int clients[CLIENTS], at;
	unsigned int others;

	CHECK_EQ(lib->init(program.pool), 0);
	program.listener = listen_on_loopback();
	open_door(&program);
	others = program.pool->nr_conns;
	for (at = 0; at < CLIENTS; at++) {
		clients[at] = connect_to(program.listener);
		pass_until_there_are(others + (unsigned int)at + 1, &program, serve);
	}
	CHECK_EQ(send(clients[0], "hello\n", 6, 0), 6);
	for (at = 1; at < CLIENTS; at++)
		check_told(&program, serve, clients[at], as_told(lib, (char[]){ "hello\n" }));
	CHECK(!is_readable(clients[0]));
	/* The client with the highest descriptor leaves, and another takes its place. */
	close(clients[CLIENTS - 1]);
	pass_until_there_are(others + CLIENTS - 1, &program, serve);
	clients[CLIENTS - 1] = connect_to(program.listener);
	pass_until_there_are(others + CLIENTS, &program, serve);
	CHECK_EQ(send(clients[1], "still\n", 6, 0), 6);
	check_told(&program, serve, clients[CLIENTS - 1], as_told(lib, (char[]){ "still\n" }));
	check_told(&program, serve, clients[0], as_told(lib, (char[]){ "still\n" }));
	/* Leaves something queued for the cleanup. */
	CHECK_EQ(lib->say(clients[0], (char[]){ "never sent" }, 10, program.pool), 0);
	clean_up(&program);
	if (is_open(program.listener))
		close(program.listener);
	for (at = 0; at < CLIENTS; at++)
		close(clients[at]);
	free(program.pool);
}

static void run_all_editions(way_to_serve *serve, void (*clean_up)(struct program *))
{
	int at;

	for (at = 0; at < EDITIONS; at++) {
		run(&editions[at], listener_joins, serve, clean_up);
		run(&editions[at], listener_is_set, serve, clean_up);
	}
}

TEST(a_program_by_descriptors_that_removes_everyone_at_the_end)
{
	run_all_editions(serve_by_descriptor, clean_up_by_remove);
}

TEST(a_program_by_descriptors_that_frees_everything_itself)
{
	run_all_editions(serve_by_descriptor, clean_up_by_hand);
}

TEST(a_program_along_the_list_that_removes_everyone_at_the_end)
{
	run_all_editions(serve_by_list, clean_up_by_remove);
}

TEST(a_program_along_the_list_that_frees_everything_itself)
{
	run_all_editions(serve_by_list, clean_up_by_hand);
}
