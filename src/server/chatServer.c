/*
 * server - a chat server on libchatserver: every line from a client goes to all other clients.
 *
 * One thread, one select(). A pass reads each ready client once and then sends what has come in as
 * one batch, so that lines from several clients cost one system call for each recipient.
 */

#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "backoff.h"
#include "chatServerExt.h"
#include "fdset_next.h"
#include "flow.h"
#include "leaving.h"
#include "listen.h"
#include "listeners.h"
#include "log.h"
#include "options.h"
#include "output.h"
#include "pass.h"
#include "printable.h"
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

/* The room in front of what is read, for bytes that an earlier read ended with. */
enum { HEADROOM = TELNET_HEADROOM + PRINTABLE_HELD };

static const fd_set empty_set;

struct client {
	char address[ADDRESS_SIZE];
	struct telnet telnet;
	struct printable printable;
	bool has_spoken; /* it has sent something */
	bool in_line;    /* the last byte relayed was no line end */
};

struct server {
	conn_pool_t pool;
	struct listeners listeners;
	bool raw, printable;  /* see struct options */
	bool accept_failing;  /* accept() has failed since it last succeeded */
	bool short_of_memory; /* a part of the batch is left for the next pass */
	bool has_notified;    /* the service manager has been told, if there is one */
	unsigned int max_clients;
	struct backoff write_backoff; /* while it is active, writability is not watched */
	struct pass pass;
	int next_light, next_reader; /* the descriptors at which the next pass begins to read, */
	int next_writer;             /* and to write */
	sigset_t waiting_mask;       /* the signal mask while pselect() waits */
	struct flow flow;
	struct leaving leaving;
	struct stats stats;
	struct client clients[FD_SETSIZE];
};

static void log_about(const struct client *client, const char *what, const char *why)
{
	log_warning(client->address, what, why);
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
		log_warning(NULL, "accept", strerror(errno));
	server->accept_failing = true;
	listeners_pause(&server->listeners, &server->pool);
	return false;
}

/* Accepts one connection. Returns false when there is no other to accept. */
static bool accept_client(struct server *server, int listener)
{
	struct client client = { .has_spoken = false };
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof peer;
	int sd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (sd == -1)
		return retry_accept(server);
	server->accept_failing = false;
	format_address(&peer, client.address);
	errno = EMFILE;
	if (count_clients(&server->listeners, &server->pool) >= server->max_clients ||
	    add_conn(sd, &server->pool) == -1) {
		refuse(server, sd, &client);
		return true;
	}
	/* The client may have connected before the listener was set up. If this fails, the
	 * connection is broken and the first read() reports it. */
	if (server->listeners.inherited)
		set_up_tcp(sd);
	server->clients[sd] = client;
	flow_join(&server->flow, sd);
	transcript("New incoming connection on sd %d\n", sd);
	log_visit(client.address, "joined");
	return true;
}

static void accept_clients(struct server *server, int listener)
{
	bool one_at_a_time = flow_holds_newcomers(&server->flow);
	int left = one_at_a_time ? 1 : ACCEPTS_A_PASS;

	while (left > 0 && accept_client(server, listener))
		left--;
	if (one_at_a_time)
		listeners_pause(&server->listeners, &server->pool);
}

/* ---- Clients ---- */

/* Relays what a client has sent, as the options say, and answers its telnet commands. The text has
 * HEADROOM in front of it. Returns -1 with errno set on failure, and with the text forgotten. */
static int relay(struct server *server, int sd, char *text, size_t length)
{
	struct client client = server->clients[sd];
	char answers[READ_SIZE + TELNET_ANSWERS_EXTRA];
	size_t answers_length = 0;

	if (!server->raw)
		text = telnet_filter(&client.telnet, text, &length, answers, &answers_length);
	if (server->printable)
		text = printable_filter(&client.printable, text, &length);
	if (chat_tell(sd, answers, (int)answers_length, &server->pool) == -1)
		return -1;
	if (length > 0) {
		client.in_line = text[length - 1] != '\n';
		stats_received(&server->stats, text, length,
		               count_clients(&server->listeners, &server->pool) - 1);
		if (chat_feed(sd, text, (int)length, &server->pool) == -1)
			return -1;
	}
	server->clients[sd] = client;
	return 0;
}

/* Relays the last line of a client that says nothing more, with a line end where there is none. */
static void end_last_line(struct server *server, int sd)
{
	const struct client *client = &server->clients[sd];
	size_t length = client->printable.held_length;
	char end[PRINTABLE_HELD + 1];

	memset(end, '?', length);
	if (!server->raw && (client->in_line || length > 0))
		end[length++] = '\n';
	if (chat_feed(sd, end, (int)length, &server->pool) == -1)
		log_about(client, "its last line is lost", strerror(errno));
}

static void remove_client(struct server *server, int sd)
{
	stats_departed(&server->stats, sd, &server->pool);
	FD_CLR(sd, &server->leaving.set);
	log_visit(server->clients[sd].address, "left");
	transcript("removing connection with sd %d \n", sd);
	remove_conn(sd, &server->pool);
}

/* Whether the library has cut the connection off, and not the client. If so, logs and counts it. */
static bool was_cut_off(struct server *server, int sd)
{
	chat_conn_info_t info;

	if (chat_get_info(sd, &server->pool, &info) == -1 || info.cut_off == 0)
		return false;
	server->stats.cut_off++;
	log_about(&server->clients[sd], "cut off", "too far behind the others");
	return true;
}

/* Handles a read that got nothing. A client that has shut down sending may still listen. */
static void end_client(struct server *server, int sd, ssize_t count, int error)
{
	const struct client *client = &server->clients[sd];
	bool is_leaving = false;

	if (!was_cut_off(server, sd)) {
		is_leaving = count == 0;
		if (is_leaving)
			transcript("Connection closed for sd %d\n", sd);
		else if (error != ECONNRESET || client->has_spoken)
			log_about(client, "read", strerror(error));
	}
	end_last_line(server, sd);
	if (is_leaving)
		leaving_add(&server->leaving, sd, &server->pool);
	else
		remove_client(server, sd);
}

/* Reads once from a client, `size` bytes at most. */
static void read_client(struct server *server, int sd, size_t size)
{
	char buffer[HEADROOM + READ_SIZE];
	char *text = buffer + HEADROOM;
	ssize_t count;

	transcript("Descriptor %d is readable\n", sd);
	count = read(sd, text, size);
	if (count == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		end_client(server, sd, count, errno);
		return;
	}
	transcript("%d bytes received from sd %d\n", (int)count, sd);
	server->clients[sd].has_spoken = true;
	flow_received(&server->flow, sd, (size_t)count);
	if (relay(server, sd, text, (size_t)count) == 0)
		return;
	/* Out of memory. Closing shows the sender that its text is lost, and keeps the recipients
	 * from getting what it sends next, with a gap before it. */
	log_about(&server->clients[sd], "closed", strerror(errno));
	end_last_line(server, sd);
	remove_client(server, sd);
}

/* ---- A pass ---- */

/* Sends what came in during this pass. What there is no memory for waits for the next one. */
static void uncork(struct server *server)
{
	if (chat_uncork(&server->pool) == 0) {
		server->short_of_memory = false;
		return;
	}
	if (!server->short_of_memory)
		log_warning(NULL, "something has to wait", strerror(errno));
	server->short_of_memory = true;
}

/* Serves ready descriptors once each, beginning with `*next`: if `light`, the listeners and the
 * clients who have sent little lately, and otherwise all that are left. Stops, and sets `*next`, when
 * the pass has had its time, or the server has received `limit` bytes since its start. */
static void read_round(struct server *server, bool light, int *next, uint64_t limit)
{
	fd_set *ready = &server->pool.ready_read_set;
	int sd, at, start = *next;

	FOR_EACH_FD_FROM (sd, at, start, ready) {
		if (light && !flow_is_light(&server->flow, sd))
			continue;
		FD_CLR(sd, ready);
		if (is_listener(&server->listeners, sd))
			accept_clients(server, sd);
		else
			read_client(server, sd, light ? BUFFER_SIZE : READ_SIZE);
		if (server->flow.bytes >= limit || pass_is_over(&server->pass)) {
			*next = sd + 1;
			return;
		}
	}
}

/* Reads what is ready and delivers it, as far as a pass may. Whoever sends little comes first, and
 * does not wait for those who send much; one of these is served in any case. */
static void relay_ready(struct server *server)
{
	uint64_t before = server->flow.bytes;
	uint64_t limit = before + pass_most(&server->pass, server->pool.nr_conns);

	pass_begin(&server->pass, READ_US);
	chat_cork(&server->pool);
	read_round(server, true, &server->next_light, limit);
	read_round(server, false, &server->next_reader, limit);
	uncork(server);
	pass_delivered(&server->pass, (size_t)(server->flow.bytes - before));
}

/* Writes what is queued, for so many microseconds; the next pass goes on behind. Clients in `full`,
 * from whom the kernel took no more in an earlier pass, wait until select() reports them writable. */
static void write_queued(struct server *server, const fd_set *full, int64_t duration)
{
	conn_pool_t *pool = &server->pool;
	int sd, at, start = server->next_writer;

	pass_begin(&server->pass, duration);
	FOR_EACH_FD_FROM (sd, at, start, &pool->write_set) {
		if (FD_ISSET(sd, full) && !FD_ISSET(sd, &pool->ready_write_set))
			continue;
		errno = 0;
		/* If this fails, the peer is gone; the next read() reports it. */
		if (write_msg(sd, pool) == 0 && (errno == ENOBUFS || errno == ENOMEM) &&
		    !server->write_backoff.active)
			backoff_start(&server->write_backoff);
		if (pass_is_over(&server->pass)) {
			server->next_writer = sd + 1;
			return;
		}
	}
}

/* Removes clients that are leaving and for whom nothing is left, or who take nothing. */
static void remove_leaving(struct server *server)
{
	conn_pool_t *pool = &server->pool;
	struct leaving *leaving = &server->leaving;
	int sd;

	for (sd = fdset_next(&leaving->set, 0); sd < FD_SETSIZE;
	     sd = fdset_next(&leaving->set, sd + 1)) {
		if (FD_ISSET(sd, &pool->write_set)) {
			if (!leaving_has_stalled(leaving, sd, &pool->ready_write_set))
				continue;
			log_about(&server->clients[sd], "closed", strerror(ETIMEDOUT));
		} else if (!was_cut_off(server, sd) && server->short_of_memory) {
			continue; /* a part of the batch may be for it */
		}
		remove_client(server, sd);
	}
}

/* Fills the sets for select(). Returns its timeout, or NULL for none. */
static const struct timespec *prepare_select(struct server *server)
{
	static const struct timespec retry = { .tv_nsec = BACKOFF_MS * 1000000L },
				     recheck = { .tv_nsec = RECHECK_MS * 1000000L },
				     stall_check = { .tv_sec = STALL_CHECK_S };
	const struct timespec *timeout = NULL;
	conn_pool_t *pool = &server->pool;

	server->has_notified = server->has_notified || notify_ready();
	if (fdset_next(&server->leaving.set, 0) < FD_SETSIZE)
		timeout = &stall_check;
	if (server->listeners.backoff.active || server->write_backoff.active ||
	    server->short_of_memory || !server->has_notified || log_summarize(false))
		timeout = &retry;
	listeners_resume(&server->listeners, pool);
	backoff_expired(&server->write_backoff);
	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = server->write_backoff.active ? empty_set : pool->write_set;
	if (outputs_watch(&pool->ready_write_set))
		timeout = &retry;
	if (flow_throttle(&server->flow, &pool->ready_read_set))
		timeout = &recheck;
	return timeout;
}

/* Makes one pass: waits, reads, writes. Returns -1 with errno set when select() has failed. */
static int run_once(struct server *server)
{
	conn_pool_t *pool = &server->pool;
	const fd_set full = pool->write_set;
	const struct timespec *timeout;

	transcript("Waiting on select()...\nMaxFd %d\n", pool->maxfd);
	outputs_flush();
	timeout = prepare_select(server);
	pool->nready = pselect(pool->maxfd + 1, &pool->ready_read_set, &pool->ready_write_set, NULL,
	                       timeout, &server->waiting_mask);
	if (pool->nready == -1) {
		if (errno != EINTR)
			return -1;
		/* Go through the pass with nothing ready, so that throttling ends in time however
		 * many signals come. */
		pool->ready_read_set = pool->ready_write_set = empty_set;
		pool->nready = 0;
	}
	relay_ready(server);
	write_queued(server, &full, WRITE_US);
	remove_leaving(server);
	flow_update(&server->flow, &pool->write_set);
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
			log_text(LOG_ERR, "select: %s", strerror(errno));
			status = EXIT_FAILURE;
			break;
		}
	}
	uncork(server);
	write_queued(server, &empty_set, LAST_WRITE_US);
	while (server->pool.conn_head != NULL) {
		int sd = server->pool.conn_head->fd;

		if (!is_listener(&server->listeners, sd))
			transcript("removing connection with sd %d \n", sd);
		remove_conn(sd, &server->pool);
	}
	log_summarize(true);
	return status;
}

/* Raises the limit on descriptors as far as select() can use it. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= FD_SETSIZE)
		return;
	limit.rlim_cur = limit.rlim_max < FD_SETSIZE ? limit.rlim_max : FD_SETSIZE;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char *argv[])
{
	static struct server server;
	static struct options options = { .max_queue = MAX_QUEUE, .max_clients = UINT_MAX };
	int inherited;

	if (signals_prepare() == -1) {
		perror("signals");
		return EXIT_FAILURE;
	}
	if (outputs_reserve() == -1) {
		perror("/dev/null");
		return EXIT_FAILURE;
	}
	inherited = inherit_listeners();
	if (inherited == -1)
		return EXIT_FAILURE;
	parse_options(argc, argv, inherited > 0, &options);
	if (log_open() == -1) {
		perror("standard output or error");
		return EXIT_FAILURE;
	}
	raise_limit();
	chat_set_quiet(1); /* stdio could wait; the server prints those lines itself */
	server.raw = options.raw;
	server.printable = options.printable;
	chat_set_max_queue(options.max_queue);
	flow_init(&server.flow, options.max_queue);
	server.max_clients = options.max_clients;
	stats_start(&server.stats);
	init_pool(&server.pool);
	if (listeners_open(&server.listeners, inherited, &options, &server.pool) == -1)
		return EXIT_FAILURE;
	/* Not earlier: until here a signal ends the program, even during a slow name lookup. */
	if (signals_block(&server.waiting_mask) == -1) {
		complain("signals: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	listeners_log(&server.listeners);
	return serve(&server);
}
