/*
 * server - a chat server on libchatserver: what one client says, all others hear.
 *
 * One thread, one select. A pass reads each ready client once and then hands out what has been
 * said, so that what several clients said at a time costs a listener one system call.
 */

#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backoff.h"
#include "chatServerExt.h"
#include "fdset_next.h"
#include "flow.h"
#include "listen.h"
#include "listeners.h"
#include "log.h"
#include "options.h"
#include "signals.h"
#include "stats.h"
#include "systemd.h"
#include "telnet.h"

/* Newcomers let in by one pass: enough for a rush, and the room is not kept waiting. */
enum { ACCEPTS_A_PASS = 16 };

/* What one read takes at most. Four times BUFFER_SIZE from somebody who says much cost a third as much
 * to pass on, since it is the sends that cost. More saves less, and those who chat beside him wait for
 * it. */
enum { READ_SIZE = 16 * 1024 };

/* What one pass may have to deliver, in bytes to all recipients together: what ten say in one read
 * each, to a thousand. That is some forty milliseconds' work, after which signals, newcomers and the
 * others have their turn. A build in which all of it is copies wants less. */
#ifndef BYTES_A_PASS
#define BYTES_A_PASS (10 * READ_SIZE * 1000)
#endif

static const fd_set nobody;

struct client {
	union {
		struct sockaddr any;
		struct sockaddr_in6 longest;
	} address;
	size_t held; /* how many bytes of TELNET_INTERRUPT the last read ended with */
};

struct server {
	conn_pool_t pool;
	struct doors doors;
	bool short_of_something; /* accept has failed since it last succeeded */
	bool short_of_memory;    /* not all that was said has been handed out */
	struct rest writing;     /* while it is on, select does not ask who takes more */
	bool hurried;            /* something is to be tried again soon */
	int next_reader;         /* where the next pass begins to read */
	sigset_t waiting_mask;   /* the signal mask while select waits */
	struct flow flow;
	struct figures figures;
	struct client clients[FD_SETSIZE];
};

static void log_about(const struct client *client, const char *what, const char *why)
{
	log_line(LOG_WARNING, &client->address.any, sizeof client->address, what, why);
}

/* ---- Newcomers ---- */

/* Sends a newcomer away for whom there is no room. */
static void refuse(struct server *server, int sd, const struct client *client)
{
	static const char full[] = "The room is full. Please come back later.\r\n";

	server->figures.refused++;
	log_about(client, "refused", errno == EMFILE ? "the room is full" : strerror(errno));
	send(sd, full, sizeof full - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(sd);
}

/* Accept has failed. The newcomer may just have left again; anything else takes time to get
 * better. Whether it is worth trying again at once. */
static bool retry_accept(struct server *server)
{
	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	if (errno == EAGAIN)
		return false;
	if (!server->short_of_something)
		log_line(LOG_WARNING, NULL, 0, "accept", strerror(errno));
	server->short_of_something = true;
	doors_rest(&server->doors, &server->pool);
	return false;
}

/* Lets one newcomer in; false when there is no more. */
static bool accept_client(struct server *server, int door)
{
	struct client client = { .held = 0 };
	socklen_t length = sizeof client.address;
	int sd = accept4(door, &client.address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (sd == -1)
		return retry_accept(server);
	server->short_of_something = false;
	if (add_conn(sd, &server->pool) == -1) {
		refuse(server, sd, &client);
		return true;
	}
	/* It may have come before the door was set up. What then fails, its first read tells. */
	if (server->doors.passed)
		set_up_tcp(sd);
	server->clients[sd] = client;
	flow_join(&server->flow, sd);
	transcript("New incoming connection on sd %d\n", sd);
	return true;
}

static void accept_clients(struct server *server, int door)
{
	int count = 0;

	while (count < ACCEPTS_A_PASS && accept_client(server, door))
		count++;
}

/* ---- Clients ---- */

/* Passes on what a client has said. The text has room for the held bytes in front of it. */
static int hear(struct server *server, int sd, char *text, size_t length)
{
	struct client *client = &server->clients[sd];
	int interrupts = 0;

	text -= client->held;
	memcpy(text, TELNET_INTERRUPT, client->held);
	length = take_interrupts(text, length + client->held, &client->held, &interrupts);
	while (interrupts-- > 0) {
		if (chat_tell(sd, TELNET_ANSWER, TELNET_ANSWER_SIZE, &server->pool) == -1)
			return -1;
	}
	return length == 0 ? 0 : chat_feed(sd, text, (int)length, &server->pool);
}

/* Lets a client go. What it said last is passed on even without its end. */
static void say_goodbye(struct server *server, int sd)
{
	if ((server->clients[sd].held > 0 &&
	     chat_feed(sd, TELNET_INTERRUPT, (int)server->clients[sd].held, &server->pool) == -1) ||
	    chat_feed(sd, NULL, 0, &server->pool) == -1)
		log_about(&server->clients[sd], "its last line is lost", strerror(errno));
	figures_leave(&server->figures, sd, &server->pool);
	remove_conn(sd, &server->pool);
}

/* Whether the library has ended the connection, and not the client. */
static bool is_cut_off(struct server *server, int sd)
{
	chat_conn_info_t info;

	return chat_get_info(sd, &server->pool, &info) == 0 && info.cut_off != 0;
}

/* Reads once from a client. */
static void read_client(struct server *server, int sd)
{
	char buffer[TELNET_INTERRUPT_SIZE + READ_SIZE];
	char *text = buffer + TELNET_INTERRUPT_SIZE;
	ssize_t count;
	int error;

	transcript("Descriptor %d is readable\n", sd);
	count = read(sd, text, READ_SIZE);
	error = errno;
	if (count == -1 && (error == EAGAIN || error == EINTR))
		return;
	if (count > 0) {
		transcript("%d bytes received from sd %d\n", (int)count, sd);
		flow_heard(&server->flow, sd, (size_t)count);
		figures_heard(&server->figures, text, (size_t)count,
		              count_clients(&server->doors, &server->pool) - 1);
		if (hear(server, sd, text, (size_t)count) == 0)
			return;
		/* Out of memory. The speaker must not think that the others have heard it, nor they
		 * hear what came after it. */
		log_about(&server->clients[sd], "closed", strerror(errno));
		server->clients[sd].held = 0;
	} else if (is_cut_off(server, sd)) {
		server->figures.cut_off++;
		log_about(&server->clients[sd], "cut off", "too far behind the others");
	} else if (count == 0) {
		transcript("Connection closed for sd %d\n", sd);
	} else {
		log_about(&server->clients[sd], "read", strerror(error));
	}
	say_goodbye(server, sd);
}

/* ---- The room ---- */

/* Serves the ready ones from `from` on and below `end`; false when the pass has enough to do. */
static bool read_range(struct server *server, int from, int end, uint64_t enough)
{
	const fd_set *ready = &server->pool.ready_read_set;
	int sd;

	for (sd = next_in(ready, from); sd < end; sd = next_in(ready, sd + 1)) {
		if (is_door(&server->doors, sd))
			accept_clients(server, sd);
		else
			read_client(server, sd);
		if (server->flow.said >= enough) {
			server->next_reader = sd + 1;
			return false;
		}
	}
	return true;
}

/* Reads once from everyone who is ready, or from as many as a pass can deliver for; the next pass
 * goes on behind them. */
static void read_ready(struct server *server)
{
	uint64_t enough = server->flow.said + BYTES_A_PASS / server->pool.nr_conns;
	int start = server->next_reader;

	if (read_range(server, start, FD_SETSIZE, enough))
		read_range(server, 0, start, enough);
}

/* Writes what is queued, to all but those in `full`, for whom the kernel took no more: they wait
 * until select says that it does. */
static void write_queued(struct server *server, const fd_set *full)
{
	conn_pool_t *pool = &server->pool;
	int sd;

	for (sd = next_in(&pool->write_set, 0); sd < FD_SETSIZE;
	     sd = next_in(&pool->write_set, sd + 1)) {
		if (FD_ISSET(sd, full) && !FD_ISSET(sd, &pool->ready_write_set))
			continue;
		errno = 0;
		/* Whom this fails for is gone, which the next read finds out. */
		if (write_msg(sd, pool) == 0 && (errno == ENOBUFS || errno == ENOMEM) &&
		    !server->writing.on)
			rest_begin(&server->writing);
	}
}

/* Hands out what was said in this pass. What there is no memory for waits for the next one. */
static void uncork(struct server *server)
{
	if (chat_uncork(&server->pool) == 0) {
		server->short_of_memory = false;
		return;
	}
	if (!server->short_of_memory)
		log_line(LOG_WARNING, NULL, 0, "something has to wait", strerror(errno));
	server->short_of_memory = true;
	server->hurried = true;
}

/* Fills the sets with those whom select is to wait for. For how long at most: NULL for ever. */
static const struct timespec *choose(struct server *server)
{
	static const struct timespec soon = { .tv_nsec = REST_MS * 1000000L },
				     very_soon = { .tv_nsec = PACE_MS * 1000000L };
	const struct timespec *patience = NULL;
	conn_pool_t *pool = &server->pool;

	if (server->doors.rest.on || server->writing.on || server->hurried)
		patience = &soon;
	server->hurried = false;
	doors_end_rest_in_time(&server->doors, pool);
	rest_end_in_time(&server->writing);
	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = server->writing.on ? nobody : pool->write_set;
	if (flow_hold_back(&server->flow, &pool->ready_read_set))
		patience = &very_soon;
	return patience;
}

/* Waits, reads, writes. -1 when select has failed. */
static int pass(struct server *server)
{
	conn_pool_t *pool = &server->pool;
	const fd_set full = pool->write_set;
	const struct timespec *patience = choose(server);

	transcript("Waiting on select()...\nMaxFd %d\n", pool->maxfd);
	fflush(stdout);
	pool->nready = pselect(pool->maxfd + 1, &pool->ready_read_set, &pool->ready_write_set,
	                       NULL, patience, &server->waiting_mask);
	if (pool->nready == -1) {
		if (errno != EINTR)
			return -1;
		/* Nobody is ready. The rest of a pass comes all the same, so that however many signals
		 * come, nobody is held back for longer. */
		pool->ready_read_set = pool->ready_write_set = nobody;
		pool->nready = 0;
	}
	chat_cork(pool);
	read_ready(server);
	uncork(server);
	write_queued(server, &full);
	flow_look(&server->flow, &pool->write_set, &pool->ready_write_set);
	return 0;
}

static int serve(struct server *server)
{
	int status = EXIT_SUCCESS;

	while (!told_to_end()) {
		if (asked_for_figures())
			figures_log(&server->figures, &server->pool,
			            count_clients(&server->doors, &server->pool));
		if (pass(server) == -1) {
			log_line(LOG_ERR, NULL, 0, "select", strerror(errno));
			status = EXIT_FAILURE;
			break;
		}
	}
	uncork(server);
	write_queued(server, &nobody);
	while (server->pool.conn_head != NULL)
		remove_conn(server->pool.conn_head->fd, &server->pool);
	return status;
}

int main(int argc, char *argv[])
{
	static struct server server;
	struct options options = { .max_queue = MAX_QUEUE };
	int passed;

	if (prepare_output() == -1) {
		perror("/dev/null");
		return EXIT_FAILURE;
	}
	passed = take_passed_sockets();
	if (passed == -1)
		return EXIT_FAILURE;
	parse_options(argc, argv, passed > 0, &options);
	chat_set_max_queue(options.max_queue);
	flow_set_limit(&server.flow, options.max_queue);
	figures_start(&server.figures);
	init_pool(&server.pool);
	if (doors_open(&server.doors, passed, &options, &server.pool) == -1)
		return EXIT_FAILURE;
	/* Only now: until here a signal ends the program, also while a name is looked up. */
	if (set_up_signals(&server.waiting_mask) == -1) {
		perror("signals");
		return EXIT_FAILURE;
	}
	say_ready();
	return serve(&server);
}
