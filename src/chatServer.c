/*
 * server - a chat server on libchatserver: what one client says, all others hear.
 *
 * One thread, one select. A pass reads each ready client once and then hands out what has been
 * said, so that what several clients said at a time costs a listener one system call.
 */

#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
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

/* A peer that answers nothing is given up after 60 s of silence and 3 probes 10 s apart, or
 * after the same time with data on the way to it. */
enum { IDLE_S = 60, PROBE_S = 10, PROBES = 3, GIVE_UP_MS = (IDLE_S + PROBES * PROBE_S) * 1000 };

/* What telnet sends when its user interrupts (IAC IP IAC DO TIMING-MARK), and the answer it then
 * waits for before it shows anything more (IAC WONT TIMING-MARK). */
static const char INTERRUPT[] = { '\xff', '\xf4', '\xff', '\xfd', '\x06' };
static const char ANSWER[] = { '\xff', '\xfc', '\x06' };

struct client {
	union {
		struct sockaddr any;
		struct sockaddr_in6 longest;
	} address;
	size_t held; /* how many bytes of INTERRUPT the last read ended with */
};

struct server {
	conn_pool_t pool;
	int listener;
	bool resting;           /* the listener is out of the read set */
	bool short_of_something; /* accept has failed since it last succeeded */
	struct timespec rested; /* when the listener goes back */
	sigset_t waiting_mask;  /* the signal mask while select waits */
	struct client clients[FD_SETSIZE];
};

struct options {
	const char *address; /* to listen on; NULL for all */
	const char *port;
};

/* ---- What is printed: the transcript on standard output, the log on standard error ---- */

static bool quiet;

__attribute__((format(printf, 1, 2))) static void transcript(const char *format, ...)
{
	va_list arguments;

	if (quiet)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}

/* One line with the time and, where there is one, the peer. */
static void log_line(const struct client *client, const char *what, const char *why)
{
	char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "", date[sizeof "2000-01-01T00:00:00+0000"];
	time_t seconds = time(NULL);
	struct tm local;

	if (client != NULL)
		getnameinfo(&client->address.any, sizeof client->address, host, sizeof host, port,
		            sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&seconds, &local));
	if (client != NULL)
		fprintf(stderr, "%s [%s]:%s: %s: %s\n", date, host, port, what, why);
	else
		fprintf(stderr, "%s %s: %s\n", date, what, why);
}

/* ---- Signals ---- */

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
	if (sigaction(SIGINT, &end, NULL) == -1 || sigaction(SIGTERM, &end, NULL) == -1)
		return -1;
	return sigaction(SIGPIPE, &ignore, NULL);
}

/* Whether it is time to end. Under load select never has to wait, and so never lets a signal
 * in: hence the look at those that are pending. */
static bool told_to_end(void)
{
	sigset_t pending;

	if (signalled)
		return true;
	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1);
}

/* ---- Listening ---- */

static int set_number(int sd, int level, int option, int value)
{
	return setsockopt(sd, level, option, &value, sizeof value);
}

/* Sets what a listener must have before it is bound. What concerns TCP passes to every socket
 * that is accepted from it. TCP_NODELAY: a line goes out at once, and does not wait for the last
 * one to be acknowledged. */
static int set_up_socket(int sd, int family)
{
	if (family == AF_INET6 && set_number(sd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == -1)
		return -1;
	if (set_number(sd, SOL_SOCKET, SO_REUSEADDR, 1) == -1 ||
	    set_number(sd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1)
		return -1;
	if (set_number(sd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPCNT, PROBES) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_USER_TIMEOUT, GIVE_UP_MS) == -1)
		return -1;
	return set_number(sd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* A non-blocking listening socket at the address; -1 with errno set where there can be none. */
static int listen_at(const struct addrinfo *address)
{
	int sd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (sd == -1)
		return -1;
	if (set_up_socket(sd, address->ai_family) == 0 &&
	    bind(sd, address->ai_addr, address->ai_addrlen) == 0 && listen(sd, SOMAXCONN) == 0)
		return sd;
	error = errno;
	close(sd);
	errno = error;
	return -1;
}

/* A listening socket on address and port; -1, having said why, where there can be none. */
static int listen_on(const char *address, const char *port)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		                        .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int failure = getaddrinfo(address, port, &hints, &found);
	int sd;

	if (failure != 0) {
		fprintf(stderr, "%s: %s\n", address,
		        failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
		return -1;
	}
	sd = listen_at(found);
	if (sd == -1)
		perror("cannot listen");
	freeaddrinfo(found);
	return sd;
}

/* Whether the kernel knows IPv6. One socket serves IPv6 and IPv4 then. */
static bool has_ipv6(void)
{
	int sd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sd == -1)
		return false;
	close(sd);
	return true;
}

/* ---- Newcomers ---- */

static struct timespec after(struct timespec time, long milliseconds)
{
	time.tv_nsec += milliseconds * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* Lets nobody in for a while. */
static void rest(struct server *server)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	server->rested = after(now, REST_MS);
	server->resting = true;
	FD_CLR(server->listener, &server->pool.read_set);
}

static void end_rest_in_time(struct server *server)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < server->rested.tv_sec ||
	    (now.tv_sec == server->rested.tv_sec && now.tv_nsec < server->rested.tv_nsec))
		return;
	server->resting = false;
	FD_SET(server->listener, &server->pool.read_set);
}

/* Sends a newcomer away for whom there is no room. */
static void refuse(int sd, const struct client *client)
{
	static const char full[] = "The room is full. Please come back later.\r\n";

	log_line(client, "refused", strerror(errno));
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
		log_line(NULL, "accept", strerror(errno));
	server->short_of_something = true;
	rest(server);
	return false;
}

/* Lets one newcomer in; false when there is no more. */
static bool accept_client(struct server *server)
{
	struct client client = { .held = 0 };
	socklen_t length = sizeof client.address;
	int sd = accept4(server->listener, &client.address.any, &length,
	                 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (sd == -1)
		return retry_accept(server);
	server->short_of_something = false;
	if (add_conn(sd, &server->pool) == -1) {
		refuse(sd, &client);
		return true;
	}
	server->clients[sd] = client;
	transcript("New incoming connection on sd %d\n", sd);
	return true;
}

static void accept_clients(struct server *server)
{
	int count = 0;

	while (count < ACCEPTS_A_PASS && accept_client(server))
		count++;
}

/* ---- Clients ---- */

/* Takes telnet's interrupts out of the text. *held becomes how many bytes at its end may be the
 * start of another one: they are taken out, too. Returns what is left; counts the interrupts. */
static size_t take_interrupts(char *text, size_t length, size_t *held, int *count)
{
	size_t in = 0, out = 0;

	*held = 0;
	while (in < length) {
		const char *start = memchr(text + in, INTERRUPT[0], length - in);
		size_t plain = (start != NULL ? (size_t)(start - text) : length) - in;
		size_t match;

		memmove(text + out, text + in, plain);
		out += plain;
		in += plain;
		match = length - in < sizeof INTERRUPT ? length - in : sizeof INTERRUPT;
		if (match == 0)
			break;
		if (memcmp(text + in, INTERRUPT, match) != 0) {
			text[out++] = text[in++];
			continue;
		}
		in += match;
		if (match == sizeof INTERRUPT)
			(*count)++;
		else
			*held = match;
	}
	return out;
}

/* Passes on what a client has said. The text has room for the held bytes in front of it. */
static int hear(struct server *server, int sd, char *text, size_t length)
{
	struct client *client = &server->clients[sd];
	int interrupts = 0;

	text -= client->held;
	memcpy(text, INTERRUPT, client->held);
	length = take_interrupts(text, length + client->held, &client->held, &interrupts);
	while (interrupts-- > 0) {
		if (chat_tell(sd, ANSWER, sizeof ANSWER, &server->pool) == -1)
			return -1;
	}
	return length == 0 ? 0 : chat_feed(sd, text, (int)length, &server->pool);
}

/* Lets a client go. What it said last is passed on even without its end. */
static void say_goodbye(struct server *server, int sd)
{
	if ((server->clients[sd].held > 0 &&
	     chat_feed(sd, INTERRUPT, (int)server->clients[sd].held, &server->pool) == -1) ||
	    chat_feed(sd, NULL, 0, &server->pool) == -1)
		log_line(&server->clients[sd], "its last line is lost", strerror(errno));
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
	char buffer[sizeof INTERRUPT + BUFFER_SIZE];
	char *text = buffer + sizeof INTERRUPT;
	ssize_t count;
	int error;

	transcript("Descriptor %d is readable\n", sd);
	count = read(sd, text, BUFFER_SIZE);
	error = errno;
	if (count == -1 && (error == EAGAIN || error == EINTR))
		return;
	if (count > 0) {
		transcript("%d bytes received from sd %d\n", (int)count, sd);
		if (hear(server, sd, text, (size_t)count) == 0)
			return;
		/* Out of memory. The speaker must not think that the others have heard it. */
		log_line(&server->clients[sd], "closed", strerror(errno));
	} else if (is_cut_off(server, sd)) {
		log_line(&server->clients[sd], "cut off", "too far behind the others");
	} else if (count == 0) {
		transcript("Connection closed for sd %d\n", sd);
	} else {
		log_line(&server->clients[sd], "read", strerror(error));
	}
	say_goodbye(server, sd);
}

/* ---- The room ---- */

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
	const fd_set *ready = &server->pool.ready_read_set;
	int sd;

	for (sd = next_in(ready, 0); sd < FD_SETSIZE; sd = next_in(ready, sd + 1)) {
		if (sd == server->listener)
			accept_clients(server);
		else
			read_client(server, sd);
	}
}

/* Hands out what is queued, without waiting for select to say who takes it: who had nothing
 * queued before this pass will. Only a client in `full`, for whom the kernel took no more, is
 * left out until select has said so. */
static void write_queued(conn_pool_t *pool, const fd_set *full)
{
	int sd;

	for (sd = next_in(&pool->write_set, 0); sd < FD_SETSIZE;
	     sd = next_in(&pool->write_set, sd + 1)) {
		/* Whom this fails for is gone, which the next read finds out. */
		if (!FD_ISSET(sd, full) || FD_ISSET(sd, &pool->ready_write_set))
			write_msg(sd, pool);
	}
}

/* Waits, reads, writes. -1 when select has failed. */
static int pass(struct server *server)
{
	static const struct timespec rest_time = { .tv_nsec = REST_MS * 1000000L };
	conn_pool_t *pool = &server->pool;
	const fd_set full = pool->write_set;

	if (server->resting)
		end_rest_in_time(server);
	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = pool->write_set;
	transcript("Waiting on select()...\nMaxFd %d\n", pool->maxfd);
	fflush(stdout);
	pool->nready = pselect(pool->maxfd + 1, &pool->ready_read_set, &pool->ready_write_set,
	                       NULL, server->resting ? &rest_time : NULL, &server->waiting_mask);
	if (pool->nready == -1)
		return errno == EINTR ? 0 : -1;
	read_ready(server);
	write_queued(pool, &full);
	return 0;
}

static int serve(struct server *server)
{
	static const fd_set nobody;
	int status = EXIT_SUCCESS;

	while (!told_to_end()) {
		if (pass(server) == -1) {
			perror("select");
			status = EXIT_FAILURE;
			break;
		}
	}
	write_queued(&server->pool, &nobody);
	while (server->pool.conn_head != NULL)
		remove_conn(server->pool.conn_head->fd, &server->pool);
	return status;
}

/* ---- The command line ---- */

/* The whole number that the text is, in digits and nothing else; false when it is none from
 * `least` to `most`. */
static bool parse_number(const char *text, uintmax_t least, uintmax_t most, uintmax_t *number)
{
	size_t length = strspn(text, "0123456789");

	errno = 0;
	*number = strtoumax(text, NULL, 10);
	return length > 0 && text[length] == '\0' && errno == 0 && *number >= least &&
	       *number <= most;
}

static void usage(void)
{
	puts("Usage: server <port>");
}

static void help(void)
{
	usage();
	puts("Relays every line from a client to all other clients.\n"
	     "\n"
	     "  --bind ADDRESS     listen on this address only, IPv4 or IPv6\n"
	     "  --max-queue BYTES  cut off a client for whom more than this waits\n"
	     "                     (8388608 unless given; 0 for no limit)\n"
	     "  --quiet            no transcript on standard output\n"
	     "  --help             print this and end\n"
	     "  --version          print the version and end\n"
	     "\n"
	     "Options come before the port. SIGINT or SIGTERM ends the server.");
}

/* Reads the command line. Ends the program where that asks for nothing more, or for nonsense. */
static void parse_options(int argc, char *argv[], struct options *options)
{
	static const struct option known[] = {
		{ "bind", required_argument, NULL, 'b' },
		{ "max-queue", required_argument, NULL, 'm' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	uintmax_t number;
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'b':
			options->address = optarg;
			break;
		case 'm':
			if (!parse_number(optarg, 0, SIZE_MAX, &number)) {
				fprintf(stderr, "%s: not a number of bytes: '%s'\n", argv[0],
				        optarg);
				usage();
				exit(EXIT_FAILURE);
			}
			chat_set_max_queue((size_t)number);
			break;
		case 'q':
			quiet = true;
			chat_set_quiet(1);
			break;
		case 'h':
			help();
			exit(EXIT_SUCCESS);
		case 'v':
			printf("server (libchatserver) %s\n", chat_version());
			exit(EXIT_SUCCESS);
		default: /* getopt_long has said what is wrong */
			usage();
			exit(EXIT_FAILURE);
		}
	}
	if (argc - optind != 1 || !parse_number(argv[optind], 1, 65535, &number)) {
		usage();
		exit(EXIT_FAILURE);
	}
	options->port = argv[optind];
}

int main(int argc, char *argv[])
{
	static struct server server;
	struct options options = { .address = has_ipv6() ? "::" : "0.0.0.0" };

	parse_options(argc, argv, &options);
	if (set_up_signals(&server.waiting_mask) == -1) {
		perror("signals");
		return EXIT_FAILURE;
	}
	server.listener = listen_on(options.address, options.port);
	if (server.listener == -1)
		return EXIT_FAILURE;
	init_pool(&server.pool);
	if (add_conn(server.listener, &server.pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	return serve(&server);
}
