/*
 * server - a chat server on libchatserver: every line from a client goes to all other clients.
 *
 * One thread, one select(). A pass reads each ready client once and then sends what has come in as
 * one batch, so that lines from several clients cost one system call for each recipient.
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

/* Connections accepted in one pass: enough for a rush, and the clients do not have to wait. */
enum { ACCEPTS_A_PASS = 16 };

/* The most that one read takes. The sends are what costs: relaying a heavy sender's bytes takes a
 * third of the time that it takes with BUFFER_SIZE, a quarter of this. A larger buffer saves little
 * more, and the other clients would wait for it. */
enum { READ_SIZE = 16 * 1024 };

/* The most that one pass delivers, in bytes to all recipients together: ten full reads, each to a
 * thousand clients. That takes some forty milliseconds; signals, new connections and the other
 * senders come after it. A build that copies every message for every recipient sets it lower. */
#ifndef BYTES_A_PASS
#define BYTES_A_PASS (10 * READ_SIZE * 1000)
#endif

static const fd_set empty_set;

struct client {
	union {
		struct sockaddr any;
		struct sockaddr_in6 longest;
	} address;
	size_t held; /* bytes of TELNET_INTERRUPT that the last read ended with */
};

struct server {
	conn_pool_t pool;
	struct listeners listeners;
	bool accept_failing;          /* accept() has failed since it last succeeded */
	bool short_of_memory;         /* a part of the batch is left for the next pass */
	struct backoff write_backoff; /* while it is active, writability is not watched */
	int next_reader;              /* the descriptor at which the next pass begins to read */
	sigset_t waiting_mask;        /* the signal mask while pselect() waits */
	struct flow flow;
	struct stats stats;
	struct client clients[FD_SETSIZE];
};

static void log_about(const struct client *client, const char *what, const char *why)
{
	log_line(LOG_WARNING, &client->address.any, sizeof client->address, what, why);
}

/* ---- New connections ---- */

/* Closes a new connection that the pool has not taken, for the reason in errno. */
static void refuse(struct server *server, int sd, const struct client *client)
{
	static const char full[] = "The room is full. Please come back later.\r\n";

	server->stats.refused++;
	log_about(client, "refused", errno == EMFILE ? "the room is full" : strerror(errno));
	send(sd, full, sizeof full - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(sd);
}

/* Decides whether to retry a failed accept() at once: yes after a signal, or when the client has
 * already left. Other failures last for a while, so the listeners pause. */
static bool retry_accept(struct server *server)
{
	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	if (errno == EAGAIN)
		return false;
	if (!server->accept_failing)
		log_line(LOG_WARNING, NULL, 0, "accept", strerror(errno));
	server->accept_failing = true;
	listeners_pause(&server->listeners, &server->pool);
	return false;
}

/* Accepts one connection. Returns false when there is no other to accept. */
static bool accept_client(struct server *server, int listener)
{
	struct client client = { .held = 0 };
	socklen_t length = sizeof client.address;
	int sd = accept4(listener, &client.address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (sd == -1)
		return retry_accept(server);
	server->accept_failing = false;
	if (add_conn(sd, &server->pool) == -1) {
		refuse(server, sd, &client);
		return true;
	}
	/* The client may have connected before the listener was set up. If this fails, the connection
	 * is broken and the first read() reports it. */
	if (server->listeners.inherited)
		set_up_tcp(sd);
	server->clients[sd] = client;
	flow_join(&server->flow, sd);
	transcript("New incoming connection on sd %d\n", sd);
	return true;
}

static void accept_clients(struct server *server, int listener)
{
	int count = 0;

	while (count < ACCEPTS_A_PASS && accept_client(server, listener))
		count++;
}

/* ---- Clients ---- */

/* Queues what a client has sent, without telnet's interrupts, and answers those. The text has room
 * for the held bytes in front of it. Returns -1 with errno set on failure. */
static int relay(struct server *server, int sd, char *text, size_t length)
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

/* Removes a client. Its last line is relayed even without a line end. */
static void disconnect(struct server *server, int sd)
{
	if ((server->clients[sd].held > 0 &&
	     chat_feed(sd, TELNET_INTERRUPT, (int)server->clients[sd].held, &server->pool) == -1) ||
	    chat_feed(sd, NULL, 0, &server->pool) == -1)
		log_about(&server->clients[sd], "its last line is lost", strerror(errno));
	stats_departed(&server->stats, sd, &server->pool);
	remove_conn(sd, &server->pool);
}

/* Whether the library has cut the connection off, and not the client. */
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
		flow_received(&server->flow, sd, (size_t)count);
		stats_received(&server->stats, text, (size_t)count,
		               count_clients(&server->listeners, &server->pool) - 1);
		if (relay(server, sd, text, (size_t)count) == 0)
			return;
		/* Out of memory. Closing shows the sender that its text is lost, and keeps the
		 * recipients from getting what it sends next, with a gap before it. */
		log_about(&server->clients[sd], "closed", strerror(errno));
		server->clients[sd].held = 0;
	} else if (is_cut_off(server, sd)) {
		server->stats.cut_off++;
		log_about(&server->clients[sd], "cut off", "too far behind the others");
	} else if (count == 0) {
		transcript("Connection closed for sd %d\n", sd);
	} else {
		log_about(&server->clients[sd], "read", strerror(error));
	}
	disconnect(server, sd);
}

/* ---- A pass ---- */

/* Serves the ready descriptors from `from` on and below `end`. Returns false once the server has
 * received `limit` bytes since its start. */
static bool read_range(struct server *server, int from, int end, uint64_t limit)
{
	const fd_set *ready = &server->pool.ready_read_set;
	int sd;

	for (sd = fdset_next(ready, from); sd < end; sd = fdset_next(ready, sd + 1)) {
		if (is_listener(&server->listeners, sd))
			accept_clients(server, sd);
		else
			read_client(server, sd);
		if (server->flow.bytes >= limit) {
			server->next_reader = sd + 1;
			return false;
		}
	}
	return true;
}

/* Reads once from each ready client, until the pass has as much as it may deliver. The next pass
 * goes on with the client after that. */
static void read_ready(struct server *server)
{
	uint64_t limit = server->flow.bytes + BYTES_A_PASS / server->pool.nr_conns;
	int start = server->next_reader;

	if (read_range(server, start, FD_SETSIZE, limit))
		read_range(server, 0, start, limit);
}

/* Writes what is queued. Clients in `full`, from whom the kernel took no more in an earlier pass,
 * wait until select() reports them writable. */
static void write_queued(struct server *server, const fd_set *full)
{
	conn_pool_t *pool = &server->pool;
	int sd;

	for (sd = fdset_next(&pool->write_set, 0); sd < FD_SETSIZE;
	     sd = fdset_next(&pool->write_set, sd + 1)) {
		if (FD_ISSET(sd, full) && !FD_ISSET(sd, &pool->ready_write_set))
			continue;
		errno = 0;
		/* If this fails, the peer is gone; the next read() reports it. */
		if (write_msg(sd, pool) == 0 && (errno == ENOBUFS || errno == ENOMEM) &&
		    !server->write_backoff.active)
			backoff_start(&server->write_backoff);
	}
}

/* Sends what came in during this pass. What there is no memory for waits for the next one. */
static void uncork(struct server *server)
{
	if (chat_uncork(&server->pool) == 0) {
		server->short_of_memory = false;
		return;
	}
	if (!server->short_of_memory)
		log_line(LOG_WARNING, NULL, 0, "something has to wait", strerror(errno));
	server->short_of_memory = true;
}

/* Fills the sets for select(). Returns its timeout, or NULL for none. */
static const struct timespec *prepare_select(struct server *server)
{
	static const struct timespec retry = { .tv_nsec = BACKOFF_MS * 1000000L },
				     recheck = { .tv_nsec = RECHECK_MS * 1000000L };
	const struct timespec *timeout = NULL;
	conn_pool_t *pool = &server->pool;

	if (server->listeners.backoff.active || server->write_backoff.active ||
	    server->short_of_memory)
		timeout = &retry;
	listeners_resume(&server->listeners, pool);
	backoff_expired(&server->write_backoff);
	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = server->write_backoff.active ? empty_set : pool->write_set;
	if (flow_throttle(&server->flow, &pool->ready_read_set))
		timeout = &recheck;
	return timeout;
}

/* Makes one pass: waits, reads, writes. Returns -1 with errno set when select() has failed. */
static int run_once(struct server *server)
{
	conn_pool_t *pool = &server->pool;
	const fd_set full = pool->write_set;
	const struct timespec *timeout = prepare_select(server);

	transcript("Waiting on select()...\nMaxFd %d\n", pool->maxfd);
	fflush(stdout);
	pool->nready = pselect(pool->maxfd + 1, &pool->ready_read_set, &pool->ready_write_set, NULL,
	                       timeout, &server->waiting_mask);
	if (pool->nready == -1) {
		if (errno != EINTR)
			return -1;
		/* Go through the pass with nothing ready, so that throttling ends in time however many
		 * signals come. */
		pool->ready_read_set = pool->ready_write_set = empty_set;
		pool->nready = 0;
	}
	chat_cork(pool);
	read_ready(server);
	uncork(server);
	write_queued(server, &full);
	flow_update(&server->flow, &pool->write_set, &pool->ready_write_set);
	return 0;
}

static int serve(struct server *server)
{
	int status = EXIT_SUCCESS;

	while (!should_stop()) {
		if (stats_requested())
			stats_log(&server->stats, &server->pool,
			          count_clients(&server->listeners, &server->pool),
			          server->flow.bytes);
		if (run_once(server) == -1) {
			log_line(LOG_ERR, NULL, 0, "select", strerror(errno));
			status = EXIT_FAILURE;
			break;
		}
	}
	uncork(server);
	write_queued(server, &empty_set);
	while (server->pool.conn_head != NULL)
		remove_conn(server->pool.conn_head->fd, &server->pool);
	return status;
}

int main(int argc, char *argv[])
{
	static struct server server;
	struct options options = { .max_queue = MAX_QUEUE };
	int inherited;

	if (prepare_output() == -1) {
		perror("/dev/null");
		return EXIT_FAILURE;
	}
	inherited = inherit_listeners();
	if (inherited == -1)
		return EXIT_FAILURE;
	parse_options(argc, argv, inherited > 0, &options);
	chat_set_max_queue(options.max_queue);
	flow_set_limit(&server.flow, options.max_queue);
	stats_start(&server.stats);
	init_pool(&server.pool);
	if (listeners_open(&server.listeners, inherited, &options, &server.pool) == -1)
		return EXIT_FAILURE;
	/* Not earlier: until here a signal ends the program, even during a slow name lookup. */
	if (set_up_signals(&server.waiting_mask) == -1) {
		perror("signals");
		return EXIT_FAILURE;
	}
	notify_ready();
	return serve(&server);
}
