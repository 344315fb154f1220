/*
 * server - a chat server on libchatserver: what one client says, all others hear.
 *
 * One thread, one select. A pass reads each ready client once and then hands out what has been
 * said, so that what several clients said at a time costs a listener one system call.
 */

#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "chatServerExt.h"

/* Newcomers let in by one pass: enough for a rush, and the room is not kept waiting. */
enum { ACCEPTS_A_PASS = 16 };

/* How long nobody is let in after accept has failed for want of descriptors or memory. The
 * newcomers wait in the kernel meanwhile, and select does not report them over and over. */
enum { REST_MS = 100 };

struct server {
	conn_pool_t pool;
	int listener;
	bool resting;           /* the listener is out of the read set */
	struct timespec rested; /* when it goes back */
	sigset_t waiting_mask;  /* the signal mask while select waits */
};

static volatile sig_atomic_t signalled;

static void on_signal(int signal)
{
	(void)signal;
	signalled = 1;
}

/* Blocks the signals that end the server except while select waits: one that comes between the
 * look at `signalled` and the wait would be lost otherwise. */
static int set_up_signals(sigset_t *waiting_mask)
{
	struct sigaction end = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	sigset_t ending;

	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &ending, waiting_mask) == -1)
		return -1;
	sigdelset(waiting_mask, SIGINT);
	sigdelset(waiting_mask, SIGTERM);
	return sigaction(SIGINT, &end, NULL) | sigaction(SIGTERM, &end, NULL) |
	       sigaction(SIGPIPE, &ignore, NULL);
}

/* Whether it is time to end. Under load select never has to wait, and so never lets a signal
 * in: hence the look at those that are pending. */
static bool told_to_end(void)
{
	sigset_t pending;

	return signalled || (sigpending(&pending) == 0 && (sigismember(&pending, SIGINT) == 1 ||
	                                                   sigismember(&pending, SIGTERM) == 1));
}

static struct timespec now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time;
}

static bool is_past(struct timespec time)
{
	struct timespec present = now();

	return present.tv_sec > time.tv_sec ||
	       (present.tv_sec == time.tv_sec && present.tv_nsec >= time.tv_nsec);
}

/* A port is a whole number from 1 to 65535, in digits and nothing else. */
static bool is_port(const char *text)
{
	size_t length = strspn(text, "0123456789");
	long port = strtol(text, NULL, 10);

	return length > 0 && text[length] == '\0' && port >= 1 && port <= 65535;
}

/* Sets what a listener must have before it is bound. TCP_NODELAY passes to every socket that is
 * accepted from it: a line goes out at once, and does not wait for the last one to be
 * acknowledged. */
static int set_up_socket(int sd, int family)
{
	const int on = 1, off = 0;

	if (family == AF_INET6 &&
	    setsockopt(sd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == -1)
		return -1;
	if (setsockopt(sd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1)
		return -1;
	return setsockopt(sd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A non-blocking listening socket on address and port; -1 with errno set where there is none. */
static int listen_on(const char *address, const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
		                  .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int sd;

	if (getaddrinfo(address, port, &hints, &found) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	sd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sd != -1 && (set_up_socket(sd, found->ai_family) == -1 ||
	                 bind(sd, found->ai_addr, found->ai_addrlen) == -1 ||
	                 listen(sd, SOMAXCONN) == -1)) {
		int error = errno;

		close(sd);
		errno = error;
		sd = -1;
	}
	freeaddrinfo(found);
	return sd;
}

/* Listens for IPv6 and IPv4 in one socket, or for IPv4 alone where the kernel has no other. */
static int listen_everywhere(const char *port)
{
	int sd = listen_on("::", port);

	if (sd == -1 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		sd = listen_on("0.0.0.0", port);
	return sd;
}

/* Lets nobody in for a while. */
static void rest(struct server *server)
{
	server->rested = now();
	server->rested.tv_nsec += REST_MS * 1000000L;
	if (server->rested.tv_nsec >= 1000000000L) {
		server->rested.tv_nsec -= 1000000000L;
		server->rested.tv_sec++;
	}
	server->resting = true;
	FD_CLR(server->listener, &server->pool.read_set);
}

static void end_rest(struct server *server)
{
	server->resting = false;
	FD_SET(server->listener, &server->pool.read_set);
}

/* Lets one newcomer in; false when there is none. */
static bool accept_client(struct server *server)
{
	int sd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (sd == -1) {
		/* The newcomer may have left again; anything else needs time to get better. */
		if (errno == EAGAIN)
			return false;
		if (errno == EINTR || errno == ECONNABORTED)
			return true;
		perror("accept");
		rest(server);
		return false;
	}
	if (add_conn(sd, &server->pool) == -1) {
		perror("no room for a newcomer");
		close(sd);
		return true;
	}
	printf("New incoming connection on sd %d\n", sd);
	return true;
}

static void accept_clients(struct server *server)
{
	int count = 0;

	while (count < ACCEPTS_A_PASS && accept_client(server))
		count++;
}

/* Reads once from a client and passes on the lines that end in it. */
static void read_client(conn_pool_t *pool, int sd)
{
	char buffer[BUFFER_SIZE];
	ssize_t count;

	printf("Descriptor %d is readable\n", sd);
	count = read(sd, buffer, sizeof buffer);
	if (count == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count > 0) {
		printf("%d bytes received from sd %d\n", (int)count, sd);
		if (chat_feed(sd, buffer, (int)count, pool) == 0)
			return;
		/* Out of memory. The speaker should not think that the others have heard it. */
		perror("cannot pass on a message");
	} else if (count == 0) {
		printf("Connection closed for sd %d\n", sd);
	} else {
		perror("read");
	}
	/* A last line without its end is passed on as it is. */
	chat_feed(sd, NULL, 0, pool);
	remove_conn(sd, pool);
}

/* The lowest descriptor in the set that is not below `from`; FD_SETSIZE when there is none.
 * Looks at a word of the set at a time. */
static int next_in(const fd_set *set, int from)
{
	enum { BITS = 8 * sizeof(unsigned long) };
	unsigned long mask = ~0UL << from % BITS;
	unsigned long word;
	int at;

	for (at = from / BITS; at < FD_SETSIZE / BITS; at++) {
		memcpy(&word, (const char *)set + (size_t)at * sizeof word, sizeof word);
		if ((word & mask) != 0)
			return at * BITS + __builtin_ctzl(word & mask);
		mask = ~0UL;
	}
	return FD_SETSIZE;
}

static void read_ready(struct server *server)
{
	conn_pool_t *pool = &server->pool;
	int sd;

	for (sd = next_in(&pool->ready_read_set, 0); sd < FD_SETSIZE;
	     sd = next_in(&pool->ready_read_set, sd + 1)) {
		if (sd == server->listener)
			accept_clients(server);
		else
			read_client(pool, sd);
	}
}

/* Hands out what is queued, without waiting for select to say who takes it: who had nothing
 * queued before this pass will. Only a client whom `full` names, since the kernel took no more
 * for it, is tried when select has said so. */
static void write_queued(conn_pool_t *pool, const fd_set *full)
{
	int sd;

	for (sd = next_in(&pool->write_set, 0); sd < FD_SETSIZE;
	     sd = next_in(&pool->write_set, sd + 1)) {
		if (!FD_ISSET(sd, full) || FD_ISSET(sd, &pool->ready_write_set))
			write_msg(sd, pool);
	}
}

/* One pass: waits, reads, writes. -1 when select has failed. */
static int pass(struct server *server)
{
	const struct timespec rest_time = { .tv_nsec = REST_MS * 1000000L };
	conn_pool_t *pool = &server->pool;
	const fd_set full = pool->write_set;

	if (server->resting && is_past(server->rested))
		end_rest(server);
	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = pool->write_set;
	printf("Waiting on select()...\nMaxFd %d\n", pool->maxfd);
	fflush(stdout);
	pool->nready = pselect(pool->maxfd + 1, &pool->ready_read_set, &pool->ready_write_set,
	                       NULL, server->resting ? &rest_time : NULL, &server->waiting_mask);
	if (pool->nready == -1)
		return errno == EINTR ? 0 : -1;
	read_ready(server);
	write_queued(pool, &full);
	return 0;
}

int main(int argc, char *argv[])
{
	struct server server = { .resting = false };
	int status = EXIT_SUCCESS;

	if (argc != 2 || !is_port(argv[1])) {
		puts("Usage: server <port>");
		return EXIT_FAILURE;
	}
	if (set_up_signals(&server.waiting_mask) != 0) {
		perror("signals");
		return EXIT_FAILURE;
	}
	server.listener = listen_everywhere(argv[1]);
	if (server.listener == -1) {
		perror("cannot listen");
		return EXIT_FAILURE;
	}
	init_pool(&server.pool);
	if (add_conn(server.listener, &server.pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	while (!told_to_end()) {
		if (pass(&server) == -1) {
			perror("select");
			status = EXIT_FAILURE;
			break;
		}
	}
	while (server.pool.conn_head != NULL)
		remove_conn(server.pool.conn_head->fd, &server.pool);
	return status;
}
