/*
 * server - a chat server on libchatserver: every line from a client goes to all other clients.
 *
 * One thread, one select(). A pass reads each ready client once and then sends what has come in as
 * one batch, so that lines from several clients cost one system call for each recipient.
 */

#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/fdset_next.h"
#include "../common/log.h"
#include "../common/notify.h"
#include "../common/signals.h"
#include "../common/tcp.h"
#include "../common/telnet.h"
#include "chatServerExt.h"
#include "flow.h"
#include "listen.h"
#include "options.h"
#include "pass.h"
#include "printable.h"
#include "stats.h"
#include "systemd.h"

/* Connections accepted in one pass: enough for a rush, and the clients do not have to wait. */
enum { ACCEPTS_A_PASS = 16 };

/* The most that one read takes: four times BUFFER_SIZE, which relays a heavy sender's bytes in a
 * third of the time, since the sends are what costs. A larger buffer saves little more, and the
 * other clients would wait for it. */
enum { READ_SIZE = 16 * 1024 };

/* chat_feed() relays a line without an end in pieces of this size. */
enum { LINE_PIECE = 64 * 1024 };

/* A socket on which a call failed for want of descriptors or memory stays ready as far as select()
 * can see. Watching it on would make the loop spin, so it is not watched for a while. */
enum { RETRY_US = 100000 };

/* A writable socket that has taken what it has room for may refuse more. If it refuses more often
 * than this in a row, the kernel is short of memory. */
enum { MAX_REFUSALS = 3 };

/* Free bytes before what is read, for what an earlier read left unfinished: a part of a telnet
 * command or of a character. */
enum { HEADROOM = TELNET_HEADROOM + PRINTABLE_HELD };

/* How long a client that has shut down sending may stay without taking anything. The kernel's
 * TCP_USER_TIMEOUT is the same, but not every kernel has it. */
#ifndef STALLED_S
#define STALLED_S 90
#endif

static const fd_set empty_set;

struct client {
	char address[ADDRESS_SIZE];
	struct telnet telnet;
	struct printable printable;
	bool has_spoken;     /* it has sent something */
	size_t unfinished;   /* bytes of a line without an end, which are not relayed yet */
	bool in_line;        /* the last byte relayed was no line end */
	int refusals;        /* how often in a row it was writable and took nothing more */
	int64_t progress_at; /* when it last took something; only while it is leaving */
	uint64_t taken;      /* bytes that it had acknowledged then */
};

struct server {
	struct options options;
	conn_pool_t pool;
	fd_set listeners, inherited; /* all; those that a service manager has passed */
	bool has_inherited;
	unsigned int listener_count;
	bool accept_failing; /* accept() has failed since it last succeeded */
	bool batch_pending;  /* memory was short for a part of the batch */
	int64_t accept_at;   /* before this time the listeners are not watched */
	int64_t write_at;    /* before this time writability is not watched */
	struct pass pass;
	int next_light, next_reader; /* the descriptors at which the next pass begins to read, */
	int next_writer;             /* and to write */
	sigset_t waiting_mask;       /* the signal mask while pselect() waits */
	struct flow flow;
	fd_set leaving; /* clients that have shut down sending, and get what is left for them */
	int64_t stall_check_at; /* before this time they are not checked for progress */
	struct stats stats;
	struct client clients[FD_SETSIZE];
};

static unsigned int count_clients(const struct server *server)
{
	return server->pool.nr_conns - server->listener_count;
}

/* ---- New connections ---- */

/* Closes a new connection that the pool has not taken, for the reason in errno. */
static void refuse(struct server *server, int sd, const struct client *client)
{
	static const char full[] = "The room is full. Please come back later.\r\n";

	server->stats.refused++;
	log_warning(client->address, "refused",
	            errno == EMFILE ? "the room is full" : strerror(errno));
	send(sd, full, sizeof full - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(sd);
}

static void ignore_listeners(struct server *server)
{
	int sd;

	FOR_EACH_FD (sd, &server->listeners)
		FD_CLR(sd, &server->pool.ready_read_set);
}

/* Accepts nobody for the rest of this pass, and for RETRY_US. */
static void pause_listeners(struct server *server)
{
	server->accept_at = now_us() + RETRY_US;
	ignore_listeners(server);
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
	pause_listeners(server);
	return false;
}

/* Whether the room is full, and newcomers at this listener wait: where it was passed, another
 * process may accept them meanwhile. */
static bool has_to_wait(const struct server *server, int listener)
{
	return FD_ISSET(listener, &server->inherited) &&
	       count_clients(server) >= server->options.max_clients;
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
	if (count_clients(server) >= server->options.max_clients ||
	    add_conn(sd, &server->pool) == -1) {
		refuse(server, sd, &client);
		return true;
	}
	/* The client may have connected before the listener was set up. If this fails, the
	 * connection is broken and the first read() reports it. */
	if (server->has_inherited)
		set_up_tcp(sd);
	server->clients[sd] = client;
	flow_join(&server->flow, sd);
	transcript("New incoming connection on sd %d\n", sd);
	if (server->options.verbose)
		log_text(LOG_INFO, "%s: joined", client.address);
	if (has_to_wait(server, listener))
		log_warning(NULL, "accept", "the room is full");
	return true;
}

static void accept_clients(struct server *server, int listener)
{
	bool one_at_a_time = flow_holds_newcomers(&server->flow);
	int left = one_at_a_time ? 1 : ACCEPTS_A_PASS;

	while (left > 0 && !has_to_wait(server, listener) && accept_client(server, listener))
		left--;
	if (one_at_a_time)
		pause_listeners(server);
}

/* ---- Clients ---- */

/* Returns how many bytes chat_feed() relays of a text: up to its last line end, or else pieces of a
 * long line, with what it has kept of the line until now. */
static size_t count_relayed(struct client *client, const char *text, size_t length)
{
	const char *end = (const char *)memrchr(text, '\n', length);
	size_t all = client->unfinished + length;

	client->unfinished = end != NULL ? (size_t)(text + length - end - 1) : all % LINE_PIECE;
	return all - client->unfinished;
}

/* Relays what a client has sent, as the options say, and answers its telnet commands. The text has
 * HEADROOM in front of it. Returns -1 with errno set on failure, and with the text forgotten. */
static int relay(struct server *server, int sd, char *text, size_t length)
{
	struct client client = server->clients[sd];
	char answers[READ_SIZE + TELNET_ANSWERS_EXTRA];
	size_t answers_length = 0;

	if (!server->options.raw)
		text = telnet_filter(&client.telnet, text, &length, answers, &answers_length);
	if (server->options.printable)
		text = printable_filter(&client.printable, text, &length);
	if (chat_tell(sd, answers, (int)answers_length, &server->pool) == -1)
		return -1;
	if (length > 0) {
		client.in_line = text[length - 1] != '\n';
		stats_received(&server->stats, text, length, count_clients(server) - 1);
		if (chat_feed(sd, text, (int)length, &server->pool) == -1)
			return -1;
		server->flow.bytes += count_relayed(&client, text, length);
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
	if (!server->options.raw && (client->in_line || length > 0))
		end[length++] = '\n';
	server->flow.bytes += client->unfinished + length;
	if (chat_feed(sd, end, (int)length, &server->pool) == -1)
		log_warning(client->address, "its last line is lost", strerror(errno));
}

static void remove_client(struct server *server, int sd)
{
	stats_departed(&server->stats, sd, &server->pool);
	FD_CLR(sd, &server->leaving);
	if (server->options.verbose)
		log_text(LOG_INFO, "%s: left", server->clients[sd].address);
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
	log_warning(server->clients[sd].address, "cut off", "too far behind the others");
	return true;
}

/* Handles a read that got nothing. A client that has shut down sending may still listen, and stays
 * until it has taken what is queued for it. */
static void end_client(struct server *server, int sd, ssize_t count, int error)
{
	struct client *client = &server->clients[sd];
	const bool is_cut_off = was_cut_off(server, sd);

	if (!is_cut_off && count == 0)
		transcript("Connection closed for sd %d\n", sd);
	else if (!is_cut_off && (error != ECONNRESET || client->has_spoken))
		log_warning(client->address, "read", strerror(error));
	end_last_line(server, sd);
	if (is_cut_off || count != 0) {
		remove_client(server, sd);
		return;
	}
	FD_CLR(sd, &server->pool.read_set);
	FD_SET(sd, &server->leaving);
	client->progress_at = now_us();
}

/* Whether a client for which something is queued has taken nothing for STALLED_S seconds. It may
 * take so little that it is never writable, but it acknowledges what it takes. */
static bool has_stalled(struct server *server, int sd)
{
	struct client *client = &server->clients[sd];
	chat_conn_info_t info = { .sent_bytes = 0 };
	int unacknowledged = 0;
	uint64_t taken;

	chat_get_info(sd, &server->pool, &info);
	ioctl(sd, TIOCOUTQ, &unacknowledged);
	taken = info.sent_bytes - (uint64_t)unacknowledged;
	if (client->taken != taken)
		client->progress_at = now_us();
	client->taken = taken;
	return now_us() - client->progress_at >= STALLED_S * 1000000LL;
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
	server->stats.bytes_in += (size_t)count;
	flow_received(&server->flow, sd, (size_t)count);
	if (relay(server, sd, text, (size_t)count) == 0)
		return;
	/* Out of memory. Closing shows the sender that its text is lost, and keeps the recipients
	 * from getting what it sends next, with a gap before it. */
	log_warning(server->clients[sd].address, "closed", strerror(errno));
	end_last_line(server, sd);
	remove_client(server, sd);
}

/* ---- A pass ---- */

/* Sends what came in during this pass. What there is no memory for waits for the next one. */
static void uncork(struct server *server)
{
	if (chat_uncork(&server->pool) == 0) {
		server->batch_pending = false;
		return;
	}
	if (!server->batch_pending)
		log_warning(NULL, "something has to wait", strerror(errno));
	server->batch_pending = true;
}

/* Serves ready descriptors once each, beginning with `*next`: if `light`, the listeners and the
 * clients that have sent little lately, and otherwise all that are left. Stops, and sets `*next`,
 * when the pass has had its time, or the server has relayed `limit` bytes since its start. */
static void read_round(struct server *server, bool light, int *next, uint64_t limit)
{
	fd_set *ready = &server->pool.ready_read_set;
	int sd, at, start = *next;

	FOR_EACH_FD_FROM (sd, at, start, ready) {
		const bool near_limit = server->flow.bytes + READ_SIZE > limit;

		if (light && !flow_is_light(&server->flow, sd))
			continue;
		FD_CLR(sd, ready);
		if (FD_ISSET(sd, &server->listeners))
			accept_clients(server, sd);
		else
			read_client(server, sd, light || near_limit ? BUFFER_SIZE : READ_SIZE);
		if (server->flow.bytes >= limit || pass_is_over(&server->pass)) {
			*next = sd + 1;
			return;
		}
	}
}

/* Reads what is ready and delivers it, as far as a pass may. Clients that send little come first,
 * and do not wait for those that send much; one of these is served in any case. */
static void relay_ready(struct server *server)
{
	uint64_t before = server->flow.bytes, limit = before;
	size_t most = pass_most(&server->pass, server->pool.nr_conns);

	/* No reader is to be cut off by one pass, before senders are held for it. */
	limit += most < server->flow.backlog_limit ? most : server->flow.backlog_limit;
	pass_begin(&server->pass, READ_US);
	chat_cork(&server->pool);
	read_round(server, true, &server->next_light, limit);
	read_round(server, false, &server->next_reader, limit);
	uncork(server);
	pass_delivered(&server->pass, (size_t)(server->flow.bytes - before));
}

/* Writes to a client. The kernel may be so short of memory that it takes nothing, although select()
 * calls the socket writable: then writability is not watched for a while. */
static void write_client(struct server *server, int sd)
{
	int *refusals = &server->clients[sd].refusals;
	bool is_refused, is_short;

	errno = 0;
	/* If this fails, the peer is gone; the next read() reports it. */
	if (write_msg(sd, &server->pool) == -1)
		return;
	is_refused = errno == EAGAIN && FD_ISSET(sd, &server->pool.ready_write_set);
	*refusals = is_refused ? *refusals + 1 : 0;
	is_short = errno == ENOBUFS || errno == ENOMEM || *refusals > MAX_REFUSALS;
	if (is_short && now_us() >= server->write_at)
		server->write_at = now_us() + RETRY_US;
}

/* Writes what is queued, for so many microseconds; the next pass goes on behind. Clients in `full`,
 * for which the kernel took no more in an earlier pass, wait until select() reports them
 * writable. */
static void write_queued(struct server *server, const fd_set *full, int64_t duration)
{
	conn_pool_t *pool = &server->pool;
	int sd, at, start = server->next_writer;

	pass_begin(&server->pass, duration);
	FOR_EACH_FD_FROM (sd, at, start, &pool->write_set) {
		if (FD_ISSET(sd, full) && !FD_ISSET(sd, &pool->ready_write_set))
			continue;
		write_client(server, sd);
		if (pass_is_over(&server->pass)) {
			server->next_writer = sd + 1;
			return;
		}
	}
}

/* Removes clients that are leaving and for whom nothing is left, or who take nothing. */
static void remove_leaving(struct server *server)
{
	const bool check = now_us() >= server->stall_check_at;
	int sd;

	/* A check counts the queue message by message, which is too much for every pass. */
	if (check)
		server->stall_check_at = now_us() + STALLED_S * 1000000LL / 9;
	FOR_EACH_FD (sd, &server->leaving) {
		if (FD_ISSET(sd, &server->pool.write_set)) {
			if (!check || !has_stalled(server, sd))
				continue;
			log_warning(server->clients[sd].address, "closed", strerror(ETIMEDOUT));
		} else if (!was_cut_off(server, sd) && server->batch_pending) {
			continue; /* a part of the batch may be for it */
		}
		remove_client(server, sd);
	}
}

/* Fills the sets for select(). Returns its timeout, or NULL for none. */
static const struct timespec *prepare_select(struct server *server)
{
	static const struct timespec retry = { .tv_nsec = RETRY_US * 1000L },
				     recheck = { .tv_nsec = RECHECK_MS * 1000000L },
				     stall_check = { .tv_sec = STALLED_S / 9 + 1 };
	const struct timespec *timeout = NULL;
	conn_pool_t *pool = &server->pool;
	const int64_t now = now_us();
	bool must_retry = log_flush();
	int sd;

	must_retry |= !notify_ready();
	if (fdset_next(&server->leaving, 0) < FD_SETSIZE)
		timeout = &stall_check;
	if (now < server->accept_at || now < server->write_at || server->batch_pending ||
	    must_retry)
		timeout = &retry;
	pool->ready_read_set = pool->read_set;
	if (now < server->accept_at)
		ignore_listeners(server);
	FOR_EACH_FD (sd, &server->inherited) {
		if (has_to_wait(server, sd))
			FD_CLR(sd, &pool->ready_read_set);
	}
	pool->ready_write_set = now < server->write_at ? empty_set : pool->write_set;
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
			stats_log(&server->stats, &server->pool, count_clients(server));
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

		if (!FD_ISSET(sd, &server->listeners))
			transcript("removing connection with sd %d \n", sd);
		remove_conn(sd, &server->pool);
	}
	return status;
}

/* ---- The start ---- */

/* Raises the limit on descriptors as far as select() can use it. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= FD_SETSIZE)
		return;
	limit.rlim_cur = limit.rlim_max < FD_SETSIZE ? limit.rlim_max : FD_SETSIZE;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int fail(const char *what)
{
	perror(what);
	return EXIT_FAILURE;
}

/* Listens as the options say, and adds all listeners to the pool. */
static int open_listeners(struct server *server)
{
	const struct options *options = &server->options;
	fd_set own = empty_set;
	int at, sd;

	for (at = 0; at < options->address_count; at++) {
		if (listen_on(options->addresses[at], options->port, options->address_count == 1,
		              &own) == -1)
			return -1;
	}
	server->listeners = server->inherited;
	FOR_EACH_FD (sd, &own)
		FD_SET(sd, &server->listeners);
	FOR_EACH_FD (sd, &server->listeners) {
		if (add_conn(sd, &server->pool) == -1)
			return fail("add_conn");
	}
	server->listener_count = server->pool.nr_conns;
	return 0;
}

/* Sees to it that the room is full where select() cannot watch another client. */
static void limit_clients(struct server *server)
{
	unsigned int seats = 0;
	int fd;

	for (fd = 0; fd < FD_SETSIZE; fd++)
		seats += fcntl(fd, F_GETFD) == -1;
	if (seats < server->options.max_clients)
		server->options.max_clients = seats;
}

static void log_listeners(const struct server *server)
{
	char text[ADDRESS_SIZE];
	int sd;

	if (user_timeout_is_missing)
		log_warning(NULL, "TCP_USER_TIMEOUT", strerror(ENOPROTOOPT));
	FOR_EACH_FD (sd, &server->listeners) {
		const struct sockaddr_storage address = local_address(sd);

		format_address(&address, text);
		log_text(LOG_INFO, "listening on %s", text);
	}
}

int main(int argc, char *argv[])
{
	static struct server server;
	struct options *options = &server.options;
	int inherited;

	if (signals_prepare() == -1)
		return fail("signals");
	if (log_reserve() == -1)
		return fail("/dev/null");
	inherited = inherit_listeners(&server.inherited);
	if (inherited == -1)
		return EXIT_FAILURE;
	server.has_inherited = inherited > 0;
	parse_options(argc, argv, server.has_inherited, options);
	if (log_open(options->quiet) == -1)
		return fail("standard output or error");
	raise_limit();
	chat_set_quiet(1); /* stdio could wait; the server prints those lines itself */
	chat_set_max_queue(options->max_queue);
	flow_init(&server.flow, options->max_queue);
	server.stats.started_at = now_us();
	init_pool(&server.pool);
	if (open_listeners(&server) != 0)
		return EXIT_FAILURE;
	if (server.has_inherited)
		limit_clients(&server);
	/* Not earlier: until here a signal ends the program, even during a slow name lookup. */
	if (signals_block(&server.waiting_mask) == -1)
		return fail("signals");
	log_listeners(&server);
	return serve(&server);
}
