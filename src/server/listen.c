/* listen.c - see listen.h. */

#define _GNU_SOURCE /* gai_strerror, SOCK_NONBLOCK */

#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A silent peer is given up after 60 s without data and 3 unanswered probes 10 s apart, or after
 * the same time with data that it has not acknowledged. */
enum { IDLE_S = 60, PROBE_S = 10, PROBES = 3, GIVE_UP_MS = (IDLE_S + PROBES * PROBE_S) * 1000 };

static int set_number(int sd, int level, int option, int value)
{
	return setsockopt(sd, level, option, &value, sizeof value);
}

/* TCP_NODELAY sends a line at once, without waiting until the last one has been acknowledged. */
int set_up_tcp(int sd)
{
	if (set_number(sd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPCNT, PROBES) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_USER_TIMEOUT, GIVE_UP_MS) == -1)
		return -1;
	return set_number(sd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* Sets the options that a listener needs before bind(). */
static int set_up_socket(int sd, int family)
{
	if (family == AF_INET6 && set_number(sd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == -1)
		return -1;
	return set_number(sd, SOL_SOCKET, SO_REUSEADDR, 1) == -1 ? -1 : set_up_tcp(sd);
}

/* Returns a non-blocking listening socket at the address, or -1 with errno set. */
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

/* Returns the wildcard address: of IPv6, which here takes in IPv4 too, unless the kernel has IPv4
 * only. */
static const char *wildcard_address(void)
{
	int sd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sd == -1)
		return "0.0.0.0";
	close(sd);
	return "::";
}

/* Prints that it cannot listen there, and the reason from errno. */
static void report_failure(const char *address, const char *port)
{
	const char *why = strerror(errno);

	if (address == NULL)
		fprintf(stderr, "cannot listen on port %s: %s\n", port, why);
	else
		fprintf(stderr, "cannot listen on port %s of %s: %s\n", port, address, why);
}

int listen_on(const char *address, const char *port)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		                        .ai_socktype = SOCK_STREAM };
	const char *name = address != NULL ? address : wildcard_address();
	struct addrinfo *found;
	int failure = getaddrinfo(name, port, &hints, &found);
	int sd;

	if (failure != 0) {
		fprintf(stderr, "%s: %s\n", name,
		        failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
		return -1;
	}
	sd = listen_at(found);
	if (sd == -1)
		report_failure(address, port);
	freeaddrinfo(found);
	return sd;
}
