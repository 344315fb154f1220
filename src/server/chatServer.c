/*
 * server - a chat server on libchatserver: every line from a client goes to all other clients.
 *
 * One thread, one select(). A pass reads each ready client once and then sends what has come in as
 * one batch, so that lines from several clients cost one system call for each recipient.
 */

#define _GNU_SOURCE /* clock_gettime, pselect */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../common/clock.h"
#include "../common/fdset_next.h"
#include "../common/log.h"
#include "../common/notify.h"
#include "../common/signals.h"
#include "../common/tcp.h"
#include "accept.h"
#include "leave.h"
#include "listen.h"
#include "receive.h"
#include "server.h"
#include "systemd.h"

/* A writable socket that has taken what it has room for may refuse more. If it refuses more often
 * than this in a row, the kernel is short of memory. */
enum { MAX_REFUSALS = 3 };

static const fd_set empty_set;

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
	size_t most = pass_read_limit(&server->pass, server->pool.nr_conns);

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

	must_retry |= !notify_ready();
	if (fdset_next(&server->leaving, 0) < FD_SETSIZE)
		timeout = &stall_check;
	if (now < server->accept_at || now < server->write_at || server->batch_pending ||
	    must_retry)
		timeout = &retry;
	pool->ready_read_set = pool->read_set;
	watch_listeners(server, now);
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
	const bool alone = options->address_count == 1 && !server->has_inherited;
	fd_set own = empty_set;
	int at, sd;

	for (at = 0; at < options->address_count; at++) {
		if (listen_on(options->addresses[at], options->port, alone, &own) == -1)
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
